//! What no scope may cover, two scopes of one institution may not cover either: pairs of all scopes over ages and dates.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::ids::{GrantId, NegotiationId};
use concordat_protocol::scope::{Bound, Constraint, Value, Values};

use super::{ages::facts, *};

/// The columns of the scopes that are held; `true` for a date.
const HELD: [(&str, bool); 3] = [("age", false), ("birth_date", true), ("visit", true)];
/// The columns of the scopes that are decided on: another age, two dates of birth of which the steward has declared one, and another date.
const DECIDED: [(&str, bool); 4] = [
    ("AGE_AT_VISIT", false),
    ("birth_date", true),
    ("index_day", true),
    ("visit", true),
];
const AGES: [&str; 2] = ["age", "AGE_AT_VISIT"];
const BIRTHS: [&str; 2] = ["birth_date", "index_day"];
/// The first day of 1970, where a year begins.
const NEW_YEAR: i32 = 0;

/// How a request uses a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    No,
    Shown,
    Selecting,
}

const USES: [Use; 3] = [Use::No, Use::Shown, Use::Selecting];

/// A request that uses the columns in these ways.
fn request(uses: &[(&str, bool, Use)]) -> Scope {
    let of = |wanted: Use| uses.iter().filter(move |(_, _, used)| *used == wanted);
    let from = |is_date: bool| {
        let value = if is_date { Value::Date(NEW_YEAR) } else { Value::Int(40) };
        let low = Some(Bound { value, inclusive: true });
        Constraint::new(Values::Range { low, high: None }, false).unwrap()
    };
    let rows: BTreeMap<_, _> = of(Use::Selecting)
        .map(|(column, is_date, _)| (name(column), from(*is_date)))
        .collect();
    Scope {
        datasets: only(
            Columns::new(of(Use::Shown).map(|(column, _, _)| (name(column), Transform::Clear))).unwrap(),
            Rows::new(rows).unwrap(),
        ),
        ..wide()
    }
}

/// All requests over these columns, in each way.
fn requests(columns: &[(&'static str, bool)]) -> Vec<Scope> {
    let mut all: Vec<Vec<(&str, bool, Use)>> = vec![Vec::new()];
    for (column, is_date) in columns {
        let with = |known: Vec<(&'static str, bool, Use)>| {
            USES.map(|used| [&known[..], &[(*column, *is_date, used)]].concat())
        };
        all = all.into_iter().flat_map(with).collect();
    }
    // A request without a column gets nothing, whatever its rows are.
    let shows = |uses: &&Vec<(&str, bool, Use)>| uses.iter().any(|(_, _, used)| *used == Use::Shown);
    all.iter().filter(shows).map(|uses| request(uses)).collect()
}

fn held_under(under: HeldUnder, scope: &Scope) -> HeldScope {
    HeldScope {
        under,
        scope: scope.clone(),
    }
}

fn granted(number: u8) -> HeldUnder {
    HeldUnder::Grant(GrantId::from_bytes([number; 16]))
}

struct Deciding {
    policy: Policy,
    consumer: Party,
    provider: Party,
    facts: CollectionFacts,
}

impl Deciding {
    fn new() -> Self {
        Self {
            policy: shipped(),
            consumer: zurich(),
            provider: budapest(),
            facts: facts(),
        }
    }

    fn offer(&self, request: &Scope, held: &[HeldScope]) -> OfferDecision {
        let input = OfferInput {
            consumer: &self.consumer,
            provider: &self.provider,
            collection: Some(&self.facts),
            request,
            held,
        };
        self.policy.offer(&input, NOON)
    }

    /// The scope that is offered; `None` if nothing is.
    fn scope(&self, request: &Scope, held: &[HeldScope]) -> Option<Scope> {
        match self.offer(request, held) {
            OfferDecision::Offer(offer) => Some(offer.scope),
            OfferDecision::Refused(_) => None,
        }
    }

    /// The rules by which a query under `granted` is denied; `None` if it is permitted.
    fn denied(&self, granted: &Scope, earlier: &[HeldScope]) -> Option<Vec<RuleReason>> {
        let input = QueryInput {
            granted,
            requester: &eva(),
            purpose: &Purpose::HealthResearch,
            as_of: false,
            consumer: &self.consumer,
            provider: &self.provider,
            collection: Some(&self.facts),
            earlier,
        };
        match self.policy.decide(&input, NOON) {
            QueryDecision::Permit(_) => None,
            QueryDecision::Deny { reasons } => Some(reasons),
        }
    }

    /// The different scopes that one request alone can get.
    fn scopes(&self, columns: &[(&'static str, bool)]) -> Vec<Scope> {
        let mut scopes: Vec<Scope> = Vec::new();
        for offered in requests(columns).iter().filter_map(|request| self.scope(request, &[])) {
            if !scopes.contains(&offered) {
                scopes.push(offered);
            }
        }
        scopes
    }
}

fn covers_any(scope: &Scope, columns: &[&str]) -> bool {
    let shown = columns_of(scope).names();
    let selecting = rows_of(scope).constraints().map(|(column, _)| column);
    let mut covered = shown.chain(selecting);
    covered.any(|column| columns.contains(&column.as_str()))
}

/// Whether two scopes cover ages and years of birth together.
fn are_in_conflict(one: &Scope, other: &Scope) -> bool {
    let any = |columns: &[&str]| covers_any(one, columns) || covers_any(other, columns);
    any(&AGES) && any(&BIRTHS)
}

/// One scope for what two cover. Both were offered by the same policy, so that a column is shown alike in both.
fn union(one: &Scope, other: &Scope) -> Scope {
    let columns: BTreeMap<_, _> = [one, other]
        .iter()
        .flat_map(|scope| columns_of(scope).iter())
        .map(|(column, transform)| (column.clone(), transform))
        .collect();
    let rows: BTreeMap<_, _> = [one, other]
        .iter()
        .flat_map(|scope| rows_of(scope).constraints())
        .map(|(column, constraint)| (column.clone(), constraint.clone()))
        .collect();
    Scope {
        datasets: only(Columns::new(columns).unwrap(), Rows::new(rows).unwrap()),
        ..one.clone()
    }
}

#[test]
fn held_scope_and_offer_together_are_what_one_offer_allows() {
    let deciding = Deciding::new();
    let requests = requests(&DECIDED);
    let alone: Vec<Option<Scope>> = requests.iter().map(|request| deciding.scope(request, &[])).collect();
    let mut offers = 0;
    let mut narrowed = 0;
    for first in &deciding.scopes(&HELD) {
        let held = [held_under(granted(7), first)];
        for (request, alone) in requests.iter().zip(&alone) {
            match deciding.offer(request, &held) {
                OfferDecision::Offer(offer) => {
                    assert!(!are_in_conflict(first, &offer.scope), "{first:?}\n{:?}", offer.scope);
                    let both = union(first, &offer.scope);
                    assert_eq!(deciding.scope(&both, &[]).as_ref(), Some(&both), "one scope for both");
                    if alone.as_ref() == Some(&offer.scope) {
                        offers += 1;
                    } else {
                        narrowed += 1;
                        assert!(overlaps(first, request), "too narrow: {request:?}");
                    }
                }
                OfferDecision::Refused(refusal) => {
                    let rules: BTreeSet<&str> = rules(&refusal.reasons).into_iter().collect();
                    assert!(rules.iter().all(|rule| rule.starts_with("one-age")), "{rules:?}");
                    assert!(alone.is_none() || overlaps(first, request), "{request:?}");
                }
            }
        }
    }
    assert!(offers > 50 && narrowed > 50, "{offers} {narrowed}");
}

/// Whether the request covers what, together with `first`, is not offered.
fn overlaps(first: &Scope, request: &Scope) -> bool {
    let (ages, births) = (covers_any(request, &AGES), covers_any(request, &BIRTHS));
    (ages && covers_any(first, &BIRTHS)) || (births && covers_any(first, &AGES))
}

#[test]
fn held_scope_of_an_earlier_grant_denies_queries_under_a_later_one() {
    let deciding = Deciding::new();
    let scopes = deciding.scopes(&DECIDED);
    let mut denied = 0;
    for first in &deciding.scopes(&HELD) {
        let earlier = [held_under(granted(7), first)];
        for later in &scopes {
            match deciding.denied(later, &earlier) {
                None => assert!(!are_in_conflict(first, later), "{first:?}\n{later:?}"),
                Some(reasons) => {
                    denied += 1;
                    assert!(are_in_conflict(first, later), "{reasons:?}\n{first:?}\n{later:?}");
                    for reason in reasons {
                        assert_eq!(reason.rule, "one-age-across-grants");
                        let grant = GrantId::from_bytes([7; 16]).to_string();
                        assert!(reason.text.contains(&grant), "{}", reason.text);
                        assert!(reason.remedy.is_some_and(|remedy| remedy.contains(&grant)));
                    }
                }
            }
        }
        assert_eq!(deciding.denied(first, &[]), None, "the first one stays usable");
    }
    assert!(denied > 50, "{denied}");
}

#[test]
fn held_scope_is_named_with_what_ends_it() {
    let deciding = Deciding::new();
    let ages = deciding.scope(&request(&[("age", false, Use::Shown)]), &[]).unwrap();
    let id = NegotiationId::from_bytes([9; 16]);
    let cases = [
        (granted(7), GrantId::from_bytes([7; 16]).to_string(), "grant relinquish"),
        (HeldUnder::Negotiation(id), id.to_string(), "grant reject"),
    ];
    for (under, id, command) in cases {
        let held = [held_under(under, &ages)];
        let both = request(&[("birth_date", true, Use::Shown), ("visit", true, Use::Shown)]);
        let OfferDecision::Offer(offer) = deciding.offer(&both, &held) else {
            panic!("refused")
        };
        let [removed] = offer
            .narrowings
            .iter()
            .filter(|n| n.difference.offered.ends_with("removed"))
            .collect::<Vec<_>>()[..]
        else {
            panic!("{:?}", offer.narrowings)
        };
        assert_eq!(removed.reason.rule, "one-age-across-grants");
        assert!(removed.reason.text.contains(&id), "{}", removed.reason.text);
        let remedy = removed.reason.remedy.clone().unwrap();
        assert!(remedy.contains(command) && remedy.contains(&id), "{remedy}");
        for used in [Use::Shown, Use::Selecting] {
            let OfferDecision::Refused(refusal) = deciding.offer(&request(&[("birth_date", true, used)]), &held) else {
                panic!("a year of birth was offered")
            };
            assert_eq!(rules(&refusal.reasons), ["one-age-across-grants"]);
        }
    }
}

#[test]
fn held_scope_of_a_column_that_the_dataset_has_lost_counts() {
    let mut deciding = Deciding::new();
    let scopes = [("age", false), ("birth_date", true)]
        .map(|(column, is_date)| deciding.scope(&request(&[(column, is_date, Use::Shown)]), &[]).unwrap());
    columns_in(&mut deciding.facts).retain(|column| !["age", "birth_date"].contains(&column.name.as_str()));
    for (held, other, is_date) in [(&scopes[0], "index_day", true), (&scopes[1], "AGE_AT_VISIT", false)] {
        let held = [held_under(granted(7), held)];
        let wanted = request(&[(other, is_date, Use::Shown), ("visit", true, Use::Shown)]);
        let offered = deciding.scope(&wanted, &held).unwrap();
        assert_eq!(columns_of(&offered).len(), 1, "{offered:?}");
    }
}

#[test]
fn held_scope_of_another_dataset_or_of_the_holder_does_not_count() {
    let mut deciding = Deciding::new();
    let births = request(&[("birth_date", true, Use::Shown), ("visit", true, Use::Shown)]);
    let ages = deciding.scope(&request(&[("age", false, Use::Shown)]), &[]).unwrap();
    let elsewhere = Scope {
        collection: "budapest.ward".parse().unwrap(),
        datasets: Datasets::one("ward".parse().unwrap(), columns_of(&ages).clone(), Rows::all()),
        ..ages.clone()
    };
    let columns = |deciding: &Deciding, held: &Scope| {
        let held = [held_under(granted(7), held)];
        columns_of(&deciding.scope(&births, &held).unwrap()).len()
    };
    assert_eq!((columns(&deciding, &ages), columns(&deciding, &elsewhere)), (1, 2));
    deciding.consumer = deciding.provider.clone();
    let births = Scope {
        places: Places::Any,
        ..births.clone()
    };
    let held = [held_under(granted(7), &ages)];
    assert_eq!(columns_of(&deciding.scope(&births, &held).unwrap()).len(), 2);
}

#[test]
fn held_scope_in_clear_does_not_hide_what_policies_show_together() {
    let mut deciding = Deciding::new();
    columns_in(&mut deciding.facts).iter_mut().for_each(|column| {
        if column.name == name("age") {
            column.class = Some(ColumnClass::Ordinary);
        }
    });
    let births = request(&[("birth_date", true, Use::Shown)]);
    let both = request(&[("birth_date", true, Use::Shown), ("age", false, Use::Shown)]);
    let together = deciding.scope(&both, &[]).unwrap();
    assert_eq!(columns_of(&together).len(), 2, "one scope has both");
    let ages = deciding.scope(&request(&[("age", false, Use::Shown)]), &[]).unwrap();
    assert_eq!(columns_of(&ages).transform(&name("age")), Transform::Clear);
    let held = [held_under(granted(7), &ages)];
    assert_eq!(columns_of(&deciding.scope(&births, &held).unwrap()).len(), 1);
}
