//! The evaluation of one request, step by step.

mod columns;

use std::collections::BTreeMap;

use concordat_protocol::decision::RuleReason;
use concordat_protocol::scope::{
    Datasets, Disjoint, InvalidScope, Limits, Noise, NotApplied, Part, People, Places, Protection, ProtectionName,
    Purpose, Purposes, Scope, Subjects, Tier, Window,
};

use super::ceiling::{Ceiling, ShownColumn};
use super::decision::{Offer, OfferDecision, OfferInput, Refusal};
use super::one_age;
use crate::{
    entities::{self, pair, text},
    explanation::Explanation,
    facts::{self, CollectionFacts, Parties},
    load::Policy,
    prohibited,
    request::AuthorizationRequest,
    verdict::Verdict,
};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// The rule for what this version does not apply.
const SCOPE_APPLIED: &str = "scope-applied";
/// The tiers with their actions, the widest first.
const TIERS: [(Tier, &str); 4] = [
    (Tier::Records, "answer-records"),
    (Tier::Aggregate, "answer-aggregate"),
    (Tier::Count, "answer-count"),
    (Tier::Exists, "answer-exists"),
];

/// The evaluation of one request, with the steps decided so far.
pub(super) struct OfferEvaluation<'a> {
    policy: &'a Policy,
    input: &'a OfferInput<'a>,
    facts: &'a CollectionFacts,
    /// Whether the rules that lead to each step are noted: some two kilobytes for each column.
    is_explained: bool,
    explanation: Explanation,
}

type Reasons = Vec<RuleReason>;

impl<'a> OfferEvaluation<'a> {
    pub(super) fn new(
        policy: &'a Policy,
        input: &'a OfferInput<'a>,
        facts: &'a CollectionFacts,
        is_explained: bool,
    ) -> Self {
        Self {
            policy,
            input,
            facts,
            is_explained,
            explanation: Explanation::default(),
        }
    }

    pub(super) fn run(mut self) -> OfferDecision {
        if let Err(unapplied) = self.input.request.check_applied() {
            return self.refused(vec![not_applied(&unapplied)]);
        }
        match self.ceiling() {
            Ok(ceiling) => self.conclude(&ceiling),
            Err(reasons) => self.refused(reasons),
        }
    }

    /// The protection that the figures of this request would have, whatever their columns, which are not evaluated; `None` if none are
    /// offered.
    pub(super) fn protection_of_figures(mut self) -> Option<ProtectionName> {
        let mut withheld = BTreeMap::new();
        let purposes = self.purposes(&mut withheld).ok()?;
        let tier = self.tier(&purposes, &mut withheld).ok()?;
        self.places(&mut withheld).ok()?;
        let protection = self.protection(tier, &purposes, &mut withheld).ok()?;
        (tier < Tier::Records).then(|| protection.name())
    }

    fn conclude(self, ceiling: &Ceiling) -> OfferDecision {
        let request = self.input.request;
        let met = request.meet(&ceiling.scope);
        match met.and_then(|scope| self.without_hidden(scope)) {
            Ok(scope) => {
                let differences = request.differences(&scope).into_iter();
                let explained = differences.map(|difference| ceiling.explain(difference, request));
                let narrowings = explained.collect();
                OfferDecision::Offer(Box::new(Offer {
                    scope,
                    narrowings,
                    explanation: self.explanation,
                }))
            }
            Err(disjoint) => {
                let reasons = match self.unclassified(&disjoint) {
                    Some(reason) => vec![reason],
                    None => ceiling.nothing_left(request, &disjoint),
                };
                self.refused(reasons)
            }
        }
    }

    /// The scope without the datasets of which no column is left: the number of their rows, and of those that meet a condition, is not
    /// released to members either. Of a dataset alone, which was not hidden, a number needs no column.
    ///
    /// # Errors
    /// If none is left.
    fn without_hidden(&self, scope: Scope) -> Result<Scope, Disjoint> {
        let is_own = self.input.consumer.institution == self.input.provider.institution;
        let is_number = scope.tier < Tier::Aggregate && scope.only().is_some();
        if is_own || is_number {
            return Ok(scope);
        }
        let shown = scope.datasets.iter().filter(|(_, shown)| !shown.columns.is_empty());
        let datasets = Datasets::new(shown.map(|(name, shown)| (name.clone(), shown.clone())));
        let datasets = datasets.map_err(|_| Disjoint { part: Part::Columns })?;
        Ok(Scope { datasets, ..scope })
    }

    /// The reason for the holder's own people if columns that are not classified are among those of which nothing is left. A member does
    /// not learn which columns there are.
    fn unclassified(&self, disjoint: &Disjoint) -> Option<RuleReason> {
        let OfferInput { consumer, provider, .. } = self.input;
        if consumer.institution != provider.institution || disjoint.part != Part::Columns {
            return None;
        }
        let unclassified = self
            .facts
            .columns()
            .filter(|(_, column)| column.class.is_none())
            .count();
        let dataset = &self.facts.reference.collection;
        (unclassified > 0).then(|| {
            RuleReason::new(
                prohibited::UNCLASSIFIED,
                format!(
                    "columns of `{dataset}` are not classified ({unclassified} of {}), and an unclassified column is not released, \
                     whatever the rules permit",
                    self.facts.columns().count()
                ),
                format!("a data steward can classify them: `concordat dataset classify {dataset} COLUMN=CLASS`"),
            )
        })
    }

    pub(super) fn refused(self, reasons: Reasons) -> OfferDecision {
        OfferDecision::Refused(Refusal {
            reasons,
            explanation: self.explanation,
        })
    }

    fn ceiling(&mut self) -> Result<Ceiling, Reasons> {
        let request = self.input.request;
        let mut withheld = BTreeMap::new();
        let purposes = self.purposes(&mut withheld)?;
        let tier = self.tier(&purposes, &mut withheld)?;
        let protection = self.protection(tier, &purposes, &mut withheld)?;
        let shown = self.columns(&purposes, tier);
        let shown = one_age::apply(self.input, self.facts, shown);
        let window = self.window(tier, &mut withheld)?;
        self.check_rows(&shown, window)?;
        let places = self.places(&mut withheld)?;
        let scope = Scope {
            collection: request.collection.clone(),
            tier,
            protection,
            subjects: Subjects::Any,
            datasets: self.datasets(&shown).map_err(invalid)?,
            purposes: Purposes::new(purposes).map_err(invalid)?,
            people: People::Any,
            places,
            limits: self.limits(tier, &mut withheld),
            window,
        };
        let columns = shown.into_iter().map(|(path, (transform, reason))| {
            let label = path.label(&self.facts.reference);
            (label, ShownColumn { transform, reason })
        });
        let columns = columns.collect();
        Ok(Ceiling {
            scope,
            withheld,
            columns,
        })
    }

    fn purposes(&mut self, withheld: &mut BTreeMap<Part, RuleReason>) -> Result<Vec<Purpose>, Reasons> {
        let mut allowed = Vec::new();
        let mut denied = Reasons::new();
        for purpose in self.input.request.purposes.iter() {
            match self.dataset("use-for-purpose", entities::purpose(purpose), purpose) {
                Ok(()) => allowed.push(purpose.clone()),
                Err(reasons) => denied.extend(reasons.into_iter().map(|reason| reason.about(purpose))),
            }
        }
        if allowed.is_empty() {
            return Err(denied);
        }
        withheld.extend(denied.into_iter().next().map(|reason| (Part::Purposes, reason)));
        Ok(allowed)
    }

    /// The widest tier that is allowed for every purpose, at most the requested one.
    fn tier(&mut self, purposes: &[Purpose], withheld: &mut BTreeMap<Part, RuleReason>) -> Result<Tier, Reasons> {
        let mut denied = Reasons::new();
        for (tier, action) in TIERS.into_iter().filter(|(tier, _)| *tier <= self.input.request.tier) {
            let answers = purposes
                .iter()
                .map(|purpose| self.dataset(action, entities::purpose(purpose), purpose));
            let reasons: Reasons = answers.filter_map(Result::err).flatten().collect();
            if reasons.is_empty() {
                withheld.extend(denied.into_iter().next().map(|reason| (Part::Tier, reason)));
                return Ok(tier);
            }
            denied.extend(reasons);
        }
        denied.dedup();
        Err(denied)
    }

    /// The protection that reveals most of those that the settings and the rules allow for every purpose, at most the requested one.
    /// Records have none; a rule that permits exact figures permits them.
    fn protection(
        &mut self,
        tier: Tier,
        purposes: &[Purpose],
        withheld: &mut BTreeMap<Part, RuleReason>,
    ) -> Result<Protection, Reasons> {
        let settings = self.policy.limits(&self.facts.release, tier);
        let set = match tier {
            Tier::Records => ProtectionName::Exact,
            Tier::Aggregate | Tier::Count | Tier::Exists => settings.protection,
        };
        let widest = self.input.request.protection.name().max(set);
        let mut denied = Reasons::new();
        let is_tried =
            |name: &ProtectionName| *name >= widest && (tier < Tier::Records || *name == ProtectionName::Exact);
        for name in ProtectionName::ALL.into_iter().filter(is_tried) {
            let answers = purposes
                .iter()
                .map(|purpose| self.dataset(facts::protect_action(name), entities::purpose(purpose), purpose));
            let reasons: Reasons = answers.filter_map(Result::err).flatten().collect();
            if reasons.is_empty() {
                let reason = denied.into_iter().next().unwrap_or_else(|| protected_by_setting(set));
                withheld.insert(Part::Protection, reason);
                return Ok(match name {
                    ProtectionName::Exact => Protection::Exact,
                    ProtectionName::Perturbed => Protection::Perturbed(Noise::of(settings.figures_with_noise)),
                    ProtectionName::Private => Protection::Private(settings.loss),
                });
            }
            denied.extend(reasons);
        }
        denied.dedup();
        Err(denied)
    }

    /// The requested places that are allowed; if any place is requested, those of the two parties.
    fn places(&mut self, withheld: &mut BTreeMap<Part, RuleReason>) -> Result<Places, Reasons> {
        let parties = [
            self.input.consumer.jurisdiction.clone(),
            self.input.provider.jurisdiction.clone(),
        ];
        let requested: Vec<_> = match &self.input.request.places {
            Places::Any => parties.to_vec(),
            Places::Only(places) => places.iter().cloned().collect(),
        };
        let mut allowed = Vec::new();
        let mut denied = Reasons::new();
        for place in requested {
            match self.dataset("receive-in", vec![pair("place", text(&place))], &place) {
                Ok(()) => allowed.push(place),
                Err(reasons) => denied.extend(reasons.into_iter().map(|reason| reason.about(&place))),
            }
        }
        if allowed.is_empty() {
            return Err(denied);
        }
        let everywhere = RuleReason::new(
            "places-are-named",
            "the places where answers may be received are always named",
            "name the countries in the request",
        );
        withheld.insert(Part::Places, denied.into_iter().next().unwrap_or(everywhere));
        Places::only(allowed).map_err(invalid)
    }

    fn limits(&self, tier: Tier, withheld: &mut BTreeMap<Part, RuleReason>) -> Limits {
        let settings = self.policy.limits(&self.facts.release, tier);
        let text = format!(
            "the holder releases no cell of fewer than {} subjects and limits the rows of each answer and the queries per day",
            settings.min_cell
        );
        withheld.insert(
            Part::Limits,
            RuleReason::new(
                "limits",
                text,
                "the holder's data steward can change them with `concordat dataset limits`",
            ),
        );
        let of_figures = |limit: u32| Some(limit).filter(|_| tier < Tier::Records);
        Limits {
            max_rows: Some(settings.max_rows),
            max_queries_per_day: Some(settings.max_queries_per_day),
            max_cells: of_figures(settings.max_cells),
            distinctions: of_figures(settings.distinctions),
            min_cell: settings.min_cell,
            ..Limits::WIDEST
        }
    }

    /// From the requested beginning, as long as a grant may last.
    fn window(&self, tier: Tier, withheld: &mut BTreeMap<Part, RuleReason>) -> Result<Window, Reasons> {
        let days = self.policy.limits(&self.facts.release, tier).max_days;
        let text = format!("a grant lasts {days} days at most");
        withheld.insert(
            Part::Window,
            RuleReason::new("longest-grant", text, "request a new grant when it ends"),
        );
        let begins = self.input.request.window.not_before();
        Window::new(begins, begins.plus_millis(i64::from(days).saturating_mul(DAY_MS))).map_err(invalid)
    }

    /// One authorization request about the collection.
    pub(super) fn dataset(
        &mut self,
        action: &'static str,
        context: Vec<entities::Pair>,
        about: &impl ToString,
    ) -> Result<(), Reasons> {
        let request = AuthorizationRequest::for_dataset(self.parties(), action, self.facts, context, about.to_string());
        self.authorize(&request)
    }

    fn parties(&self) -> Parties<'a> {
        Parties {
            consumer: self.input.consumer,
            holder: self.input.provider,
        }
    }

    fn authorize(&mut self, request: &AuthorizationRequest) -> Result<(), Reasons> {
        if !self.is_explained {
            return self.policy.check(request);
        }
        let Verdict {
            allowed,
            overruled: _,
            reasons,
            step,
        } = self.policy.authorize(request);
        self.explanation.steps.push(step);
        if allowed { Ok(()) } else { Err(reasons) }
    }
}

/// Why figures are protected in another way than requested, if no rule is the reason.
fn protected_by_setting(set: ProtectionName) -> RuleReason {
    RuleReason::new(
        "protection",
        format!("the holder protects figures below `records` as `{set}`, or in a way that reveals less"),
        "the holder's data steward can change it: the setting `protection` of the policy set",
    )
}

fn not_applied(unapplied: &NotApplied) -> RuleReason {
    RuleReason::new(
        SCOPE_APPLIED,
        format!("this version does not apply {}", unapplied.what()),
        unapplied.remedy(),
    )
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes it by value")]
fn invalid(error: InvalidScope) -> Reasons {
    vec![RuleReason::new(
        "invalid-ceiling",
        error.to_string(),
        "the holder's data steward can fix its settings",
    )]
}
