//! What a policy set permits, request by request, over a sample of the possible requests: member, class, kind, tier, purpose, place.
//!
//! [`permitted`] assigns each decision a line of text, so that two sets can be compared ([`mod@crate::diff`]).

use std::collections::BTreeMap;

use concordat_protocol::ids::{ActorId, Jurisdiction};
use concordat_protocol::membership::MemberStatus;
use concordat_protocol::policy_set::Reveal;
use concordat_protocol::query::Role;
use concordat_protocol::schema::ColumnClass;
use concordat_protocol::scope::{ProtectionName, Purpose, Tier, column_label};
use concordat_protocol::text::Course;

use crate::entities::{self, Expr, Pair, pair, text};
use crate::facts::{self, CollectionFacts, Parties, Party};
use crate::load::Policy;
use crate::request::{AuthorizationRequest, RequestedColumn, Requester};
use crate::sample::{RequestSpace, Sample};

/// Most requests that are evaluated under one set.
const MAX_REQUESTS: usize = 30_000;
const TIERS: [(Tier, &str); 4] = [
    (Tier::Exists, "answer-exists"),
    (Tier::Count, "answer-count"),
    (Tier::Aggregate, "answer-aggregate"),
    (Tier::Records, "answer-records"),
];

/// A request of the sample.
struct SampledRequest {
    /// What it is about, for people.
    line: String,
    request: AuthorizationRequest,
    /// The line of the request to use the collection for the same purpose, if it is for one: what is permitted for a purpose is of no use
    /// where the purpose is not.
    within: Option<String>,
}

/// Every request of the sample with its decision, and whether there were too many to evaluate them all. A request for a purpose is
/// permitted only if the collection may be used for it. What no set may allow is left out: it is denied under each.
pub(crate) fn permitted(policy: &Policy, sample: &Sample) -> (BTreeMap<String, bool>, bool) {
    let mut answers = BTreeMap::new();
    let complete = each(sample, &mut |sampled| {
        if sampled.request.is_prohibited() {
            return true;
        }
        if answers.len() >= MAX_REQUESTS {
            return false;
        }
        // The use for a purpose comes before everything else for it.
        let is_usable = sampled
            .within
            .is_none_or(|purpose| answers.get(&purpose).copied().unwrap_or(false));
        let allowed = policy.authorize(&sampled.request).allowed && is_usable;
        answers.insert(sampled.line, allowed);
        true
    });
    (answers, !complete)
}

/// What the rules of the set permit although no set may: direct identifiers in clear, unclassified columns, and anything to
/// institutions that are not active members. It would be denied all the same ([`crate::prohibited`]); a set that permits it is refused,
/// because its author expects otherwise.
pub fn never_allowed(policy: &Policy, space: &RequestSpace) -> Vec<String> {
    overruled(policy, &Sample::new(space, &[policy]))
}

/// As [`never_allowed`], in a sample.
pub(crate) fn overruled(policy: &Policy, sample: &Sample) -> Vec<String> {
    let mut lines = Vec::new();
    let mut evaluated = 0_usize;
    each(sample, &mut |sampled| {
        if !sampled.request.is_prohibited() {
            return true;
        }
        evaluated = evaluated.saturating_add(1);
        if policy.authorize(&sampled.request).overruled {
            lines.push(sampled.line);
        }
        evaluated < MAX_REQUESTS
    });
    // What is released is more important than who may query.
    lines.sort_by_key(|line| line.starts_with("query"));
    lines.truncate(concordat_protocol::audit::MAX_LIST);
    lines
}

/// Passes each request to `visit` until it returns false or the evaluation is canceled; true if neither happened.
fn each(sample: &Sample, visit: &mut impl FnMut(SampledRequest) -> bool) -> bool {
    let mut visit = |sampled| !sample.is_canceled() && visit(sampled);
    for consumer in &sample.consumers {
        let parties = Parties {
            consumer,
            holder: &sample.holder,
        };
        for collection in &sample.collections {
            let mut requests = of_collection(sample, parties, collection);
            requests.extend(of_people(sample, parties, collection));
            if !requests.into_iter().all(&mut visit) {
                return false;
            }
            for (dataset, column) in collection.columns() {
                let requested = RequestedColumn {
                    column,
                    dataset,
                    collection,
                };
                let mut requests = of_column(sample, parties, requested);
                if !requests.all(&mut visit) {
                    return false;
                }
            }
        }
    }
    true
}

/// The line of the request to use a collection for a purpose.
fn use_for(purpose: &Purpose, collection: &CollectionFacts, consumer: &Party) -> String {
    format!(
        "use-for-purpose of {} for {purpose} by {}",
        collection.reference.collection,
        shown(consumer)
    )
}

fn shown(member: &Party) -> String {
    let status = member.status.map_or("unknown", MemberStatus::as_str);
    format!("{} ({}, {status})", member.institution, member.jurisdiction)
}

/// Every request about a column.
fn of_column<'a>(
    sample: &'a Sample,
    parties: Parties<'a>,
    requested: RequestedColumn<'a>,
) -> impl Iterator<Item = SampledRequest> + 'a {
    let forms = Reveal::ALL
        .into_iter()
        .flat_map(|form| TIERS.into_iter().map(move |(tier, _)| (form, tier)));
    forms.flat_map(move |(form, tier)| {
        let purposes = sample.purposes.iter();
        purposes.map(move |purpose| {
            let (line, request) = reveal(parties, requested, form, tier, purpose);
            let within = Some(use_for(purpose, requested.collection, parties.consumer));
            SampledRequest { line, request, within }
        })
    })
}

/// One request about a column.
pub(crate) fn reveal(
    parties: Parties<'_>,
    requested: RequestedColumn<'_>,
    form: Reveal,
    tier: Tier,
    purpose: &Purpose,
) -> (String, AuthorizationRequest) {
    let RequestedColumn {
        column,
        dataset,
        collection,
    } = requested;
    let line = format!(
        "{} of {}.{} ({}, {}) at {tier} for {purpose} to {}",
        facts::reveal_action(form),
        collection.reference.collection,
        column_label(&collection.reference, &dataset.name, &column.name),
        column.class.map_or("unclassified", ColumnClass::as_str),
        facts::kind_name(column.kind),
        shown(parties.consumer)
    );
    let request = AuthorizationRequest::for_column(parties, form, requested, tier, purpose);
    (line, request)
}

fn of_collection(sample: &Sample, parties: Parties<'_>, collection: &CollectionFacts) -> Vec<SampledRequest> {
    let member = parties.consumer;
    let about = |collection: &CollectionFacts, action: &'static str, context: Vec<Pair>, detail: &str| {
        let line = format!(
            "{action} of {}{detail} by {}",
            collection.reference.collection,
            shown(member)
        );
        let about = collection.reference.to_string();
        let request = AuthorizationRequest::for_dataset(parties, action, collection, context, about);
        SampledRequest {
            line,
            request,
            within: None,
        }
    };
    let mut requests = Vec::new();
    for published in [true, false] {
        let facts = CollectionFacts {
            published,
            ..collection.clone()
        };
        let detail = if published { "" } else { " (not published)" };
        requests.push(about(&facts, "see-dataset", Vec::new(), detail));
    }
    for purpose in &sample.purposes {
        let detail = format!(" for {purpose}");
        requests.push(SampledRequest {
            line: use_for(purpose, collection, member),
            ..about(collection, "use-for-purpose", entities::purpose(purpose), &detail)
        });
        let protections = ProtectionName::ALL.map(facts::protect_action);
        for action in TIERS.map(|(_, action)| action).into_iter().chain(protections) {
            requests.push(SampledRequest {
                within: Some(use_for(purpose, collection, member)),
                ..about(collection, action, entities::purpose(purpose), &detail)
            });
        }
    }
    let of_the_parties: [&Jurisdiction; 2] = [&parties.holder.jurisdiction, &member.jurisdiction];
    for place in of_the_parties.into_iter().chain(&sample.places) {
        let detail = format!(" in {place}");
        requests.push(about(
            collection,
            "receive-in",
            vec![pair("place", text(place))],
            &detail,
        ));
    }
    requests
}

const FRESH: i64 = 60;
const OLD: i64 = 9 * 3600;

/// How a person has logged in, and what the person's institution asserts.
#[derive(Clone, Copy)]
struct Login {
    detail: &'static str,
    has_factor: bool,
    age_s: i64,
    /// Since another person has set the password.
    reset_age_s: Option<i64>,
    training: Option<Training>,
    as_of: bool,
}

/// The training that is recorded: of a course that rules name, or of another.
#[derive(Clone, Copy)]
enum Training {
    Named,
    Other,
}

/// A course that no rule names.
const OTHER_COURSE: &str = "any-other-course";

/// Everything that a query needs.
const VALID: Login = Login {
    detail: "everything valid",
    has_factor: true,
    age_s: FRESH,
    reset_age_s: None,
    training: Some(Training::Named),
    as_of: false,
};

/// Everything that a query needs, and without one part of it.
const LOGINS: [Login; 8] = [
    VALID,
    Login {
        detail: "a login without an authentication factor",
        has_factor: false,
        ..VALID
    },
    Login {
        detail: "a login of nine hours ago",
        age_s: OLD,
        ..VALID
    },
    Login {
        detail: "a password that another person set a minute ago",
        reset_age_s: Some(FRESH),
        ..VALID
    },
    Login {
        detail: "a password that another person set nine hours ago",
        reset_age_s: Some(OLD),
        ..VALID
    },
    Login {
        detail: "without training",
        training: None,
        ..VALID
    },
    Login {
        detail: "a training that no rule names",
        training: Some(Training::Other),
        ..VALID
    },
    Login {
        detail: "an older version",
        as_of: true,
        ..VALID
    },
];

impl Login {
    /// The context of a query; `named` is the course of a training that rules name.
    fn context(&self, purpose: &Purpose, named: &str) -> Vec<Pair> {
        let factors: &[&str] = if self.has_factor { &["password"] } else { &[] };
        let factors = factors.iter().map(ToString::to_string).collect();
        let mut context = entities::purpose(purpose);
        context.push(pair("tier", Expr::Entity("Tier", Tier::Records.to_string())));
        context.push(pair("factors", Expr::Entities("Factor", factors)));
        context.push(pair("login_age_s", Expr::Long(self.age_s)));
        context.push(pair("as_of", Expr::Bool(self.as_of)));
        let reset = self.reset_age_s;
        context.extend(reset.map(|age| pair("password_reset_age_s", Expr::Long(age))));
        if let Some(training) = self.training {
            let course = match training {
                Training::Named => named,
                Training::Other => OTHER_COURSE,
            };
            context.push(pair("training", text(course)));
            context.push(pair("training_left_s", Expr::Long(FRESH)));
        }
        context
    }
}

/// Each login with the first course that rules name, and a valid one with each other. `None` if no rule names a course.
fn logins(sample: &Sample) -> Vec<(Login, Option<Course>)> {
    let (first, others) = match sample.trainings.split_first() {
        Some((first, others)) => (Some(first.clone()), others),
        None => (None, &[][..]),
    };
    let each = LOGINS.into_iter().map(|login| (login, first.clone()));
    let valid = others.iter().map(|course| (VALID, Some(course.clone())));
    each.chain(valid).collect()
}

/// Requests of persons: each role, with each login.
fn of_people(sample: &Sample, parties: Parties<'_>, collection: &CollectionFacts) -> Vec<SampledRequest> {
    let member = parties.consumer;
    let named = sample
        .people
        .iter()
        .filter(|person| person.belongs_to(&member.institution));
    let people: Vec<Option<&ActorId>> = named.map(Some).chain([None]).collect();
    let mut requests = Vec::new();
    for person in people {
        for role in Role::ALL {
            for purpose in &sample.query_purposes {
                for (login, course) in logins(sample) {
                    let line = format!(
                        "query of {} for {purpose} by {} with the role {role} of {}: {}{}",
                        collection.reference.collection,
                        person.map_or("a person", ActorId::as_str),
                        shown(member),
                        login.detail,
                        course.as_ref().map_or_else(String::new, |course| format!(", {course}"))
                    );
                    let requester = Requester {
                        id: person.map_or_else(|| format!("any-person@{}", member.institution), ToString::to_string),
                        name: person.map_or("any-person", ActorId::as_str).to_owned(),
                        roles: vec![role.as_str().to_owned()],
                    };
                    let course = course.as_ref().map_or(OTHER_COURSE, Course::as_str);
                    let context = login.context(purpose, course);
                    let request = AuthorizationRequest::for_query(parties, requester, collection, context);
                    let within = Some(use_for(purpose, collection, member));
                    requests.push(SampledRequest { line, request, within });
                }
            }
        }
    }
    requests
}
