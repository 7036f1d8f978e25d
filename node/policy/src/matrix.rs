//! What a policy set permits, request by request, over the space of possible requests: member, class, kind, tier, purpose, place.
//!
//! The requests are built from representative members and columns of every kind, and from the real members of the roster and columns
//! of the catalog, because a rule may name them. [`permitted`] assigns each decision a line of text, so that two sets can be compared
//! ([`mod@crate::diff`]).

use std::collections::BTreeMap;

use concordat_protocol::membership::MemberStatus;
use concordat_protocol::query::Role;
use concordat_protocol::release::ReleaseRules;
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::{
    ids::{ColumnName, DatasetRef, InstitutionId, Jurisdiction, SegmentName},
    schema::{ColumnClass, ColumnKind},
};

use crate::authorize::{self, AuthorizationRequest, EntityValue, Expr, Pair, pair, text};
use crate::facts::{self, ColumnFacts, DatasetFacts, Party};
use crate::load::Policy;

/// Most requests that are evaluated under one set.
const MAX_REQUESTS: usize = 30_000;
/// The purposes that are tried; one disease represents all others.
const PURPOSES: [&str; 6] = [
    "general-research",
    "health-research",
    "disease:MONDO:0005267",
    "methods-development",
    "ancestry",
    "clinical-care",
];
const TIERS: [(Tier, &str); 4] = [
    (Tier::Exists, "answer-exists"),
    (Tier::Count, "answer-count"),
    (Tier::Aggregate, "answer-aggregate"),
    (Tier::Records, "answer-records"),
];
/// How a column is released, from the full value down.
const REVEALS: [&str; 3] = ["reveal-clear", "reveal-generalized", "reveal-pseudonym"];
const KINDS: [ColumnKind; 3] = [ColumnKind::Text, ColumnKind::Int, ColumnKind::Date];

/// The members and datasets from which the authorization requests are built.
#[derive(Clone, Debug)]
pub struct RequestSpace {
    /// The holder.
    pub holder: Party,
    /// The requesting members.
    pub members: Vec<Party>,
    /// Datasets.
    pub datasets: Vec<DatasetFacts>,
}

impl RequestSpace {
    /// Creates the space with members of each status and a dataset with a column of each class and kind.
    pub fn new(holder: Party) -> Self {
        let member = |id: &str, place: Option<&str>, status| {
            let jurisdiction = place.and_then(|place| Jurisdiction::new(place).ok());
            let institution = InstitutionId::new(id).ok()?;
            Some(Party {
                institution,
                jurisdiction: jurisdiction.unwrap_or_else(|| holder.jurisdiction.clone()),
                status,
            })
        };
        let members = [
            member("any-member", None, Some(MemberStatus::Active)),
            member("any-member-abroad", Some("AQ"), Some(MemberStatus::Active)),
            member("any-suspended", None, Some(MemberStatus::Suspended)),
            member("any-removed", None, Some(MemberStatus::Removed)),
            member("any-unknown", None, None),
        ];
        let members: Vec<Party> = members.into_iter().flatten().collect();
        let datasets = every_class(&holder).into_iter().collect();
        Self {
            holder,
            members,
            datasets,
        }
    }

    /// Adds the real members and datasets.
    #[must_use]
    pub fn with(mut self, members: Vec<Party>, datasets: Vec<DatasetFacts>) -> Self {
        let others = members
            .into_iter()
            .filter(|member| member.institution != self.holder.institution);
        self.members.extend(others);
        self.datasets.extend(datasets);
        self
    }
}

fn classes() -> impl Iterator<Item = Option<ColumnClass>> {
    ColumnClass::ALL.into_iter().map(Some).chain([None])
}

fn every_class(holder: &Party) -> Option<DatasetFacts> {
    let mut columns = Vec::new();
    for class in classes() {
        for kind in KINDS {
            let class_name = class.map_or("unclassified", ColumnClass::as_str);
            let name = format!("{}_{}", class_name.replace('-', "_"), facts::kind_name(kind));
            columns.push(ColumnFacts::new(ColumnName::new(&name).ok()?, class, kind));
        }
    }
    Some(DatasetFacts {
        reference: DatasetRef {
            institution: holder.institution.clone(),
            dataset: "any_dataset".parse().ok()?,
        },
        segment: SegmentName::new("main").ok()?,
        published: true,
        columns,
        // As open as a steward can set it, because the matrix shows what the rules allow.
        release: ReleaseRules {
            sensitive: Some(Tier::Records),
            ..ReleaseRules::default()
        },
    })
}

fn purposes() -> impl Iterator<Item = Purpose> {
    PURPOSES.iter().filter_map(|purpose| purpose.parse().ok())
}

/// Every request with its decision, and whether there were too many to evaluate them all.
pub(crate) fn permitted(policy: &Policy, space: &RequestSpace) -> (BTreeMap<String, bool>, bool) {
    let mut answers = BTreeMap::new();
    let complete = each(space, &mut |line, request| {
        if answers.len() >= MAX_REQUESTS {
            return false;
        }
        answers.insert(line, policy.authorize(request).allowed);
        true
    });
    (answers, !complete)
}

/// What the set allows although no set may: direct identifiers in clear or unclassified columns to others, and anything to
/// institutions that are not active members.
pub fn never_allowed(policy: &Policy, space: &RequestSpace) -> Vec<String> {
    let mut allowed = Vec::new();
    for (member, dataset) in pairs(space) {
        let is_member = member.status == Some(MemberStatus::Active);
        for column in &dataset.columns {
            let forbidden: &[&str] = match (is_member, column.class) {
                (false, _) | (true, None) => &REVEALS,
                (true, Some(ColumnClass::DirectIdentifier)) => &["reveal-clear"],
                (true, Some(_)) => continue,
            };
            for action in forbidden {
                for (tier, _) in TIERS {
                    for purpose in purposes() {
                        let (line, request) = reveal(space, member, dataset, column, action, tier, &purpose);
                        if policy.authorize(&request).allowed {
                            allowed.push(line);
                        }
                    }
                }
            }
        }
        if !is_member {
            for (line, request) in of_dataset(space, member, dataset) {
                if policy.authorize(&request).allowed {
                    allowed.push(line);
                }
            }
        }
    }
    allowed.truncate(concordat_protocol::audit::MAX_LIST);
    allowed
}

fn pairs(space: &RequestSpace) -> impl Iterator<Item = (&Party, &DatasetFacts)> {
    let datasets = &space.datasets;
    space
        .members
        .iter()
        .flat_map(move |member| datasets.iter().map(move |dataset| (member, dataset)))
}

/// Passes each request to `visit` until it returns false; true if it never did.
fn each(space: &RequestSpace, visit: &mut impl FnMut(String, &AuthorizationRequest) -> bool) -> bool {
    for (line, request) in of_people(space) {
        if !visit(line, &request) {
            return false;
        }
    }
    for (member, dataset) in pairs(space) {
        for (line, request) in of_dataset(space, member, dataset) {
            if !visit(line, &request) {
                return false;
            }
        }
        for column in &dataset.columns {
            for action in REVEALS {
                for (tier, _) in TIERS {
                    for purpose in purposes() {
                        let (line, request) = reveal(space, member, dataset, column, action, tier, &purpose);
                        if !visit(line, &request) {
                            return false;
                        }
                    }
                }
            }
        }
    }
    true
}

fn shown(member: &Party) -> String {
    let status = member.status.map_or("unknown", MemberStatus::as_str);
    format!("{} ({}, {status})", member.institution, member.jurisdiction)
}

/// One request about a column.
pub(crate) fn reveal(
    space: &RequestSpace,
    member: &Party,
    dataset: &DatasetFacts,
    column: &ColumnFacts,
    action: &'static str,
    tier: Tier,
    purpose: &Purpose,
) -> (String, AuthorizationRequest) {
    let mut context = authorize::purpose(purpose);
    context.push(pair("tier", Expr::Entity("Tier", tier.to_string())));
    let class = column.class.map_or("unclassified", ColumnClass::as_str);
    let line = format!(
        "{action} of {}.{} ({class}) at {tier} for {purpose} to {}",
        dataset.reference.dataset,
        column.name,
        shown(member)
    );
    let request = AuthorizationRequest {
        principal: authorize::institution(member, &space.holder),
        action,
        resource: authorize::column(column, dataset),
        others: vec![authorize::dataset(dataset, &space.holder)],
        context,
        about: column.name.to_string(),
    };
    (line, request)
}

fn of_dataset(space: &RequestSpace, member: &Party, dataset: &DatasetFacts) -> Vec<(String, AuthorizationRequest)> {
    let about = |dataset: &DatasetFacts, action: &'static str, context: Vec<Pair>, detail: &str| {
        let line = format!("{action} of {}{detail} by {}", dataset.reference.dataset, shown(member));
        let request = AuthorizationRequest {
            principal: authorize::institution(member, &space.holder),
            action,
            resource: authorize::dataset(dataset, &space.holder),
            others: Vec::new(),
            context,
            about: dataset.reference.to_string(),
        };
        (line, request)
    };
    let mut requests = Vec::new();
    for published in [true, false] {
        let facts = DatasetFacts {
            published,
            ..dataset.clone()
        };
        let detail = if published { "" } else { " (not published)" };
        requests.push(about(&facts, "see-dataset", Vec::new(), detail));
    }
    for purpose in purposes() {
        let detail = format!(" for {purpose}");
        requests.push(about(dataset, "use-for-purpose", authorize::purpose(&purpose), &detail));
        for (_, action) in TIERS {
            requests.push(about(dataset, action, authorize::purpose(&purpose), &detail));
        }
    }
    for place in [&space.holder.jurisdiction, &member.jurisdiction] {
        let detail = format!(" in {place}");
        requests.push(about(dataset, "receive-in", vec![pair("place", text(place))], &detail));
    }
    requests
}

/// Requests of persons: each role, with everything that a query needs and without one part of it.
fn of_people(space: &RequestSpace) -> Vec<(String, AuthorizationRequest)> {
    const FRESH: i64 = 60;
    const OLD: i64 = 9 * 3600;
    let good = ("everything valid", true, FRESH, Some(FRESH), false);
    let variants = [
        good,
        (
            "a login without an authentication factor",
            false,
            FRESH,
            Some(FRESH),
            false,
        ),
        ("a login of nine hours ago", true, OLD, Some(FRESH), false),
        ("without training", true, FRESH, None, false),
        ("an older version", true, FRESH, Some(FRESH), true),
    ];
    let mut requests = Vec::new();
    for member in space.members.iter().chain([&space.holder]) {
        for dataset in &space.datasets {
            for role in Role::ALL {
                for (detail, authenticated, age, training, as_of) in variants {
                    let line = format!(
                        "query of {} by a {role} of {}: {detail}",
                        dataset.reference.dataset,
                        shown(member)
                    );
                    let factors = if authenticated {
                        vec!["password".to_owned()]
                    } else {
                        Vec::new()
                    };
                    let mut context = authorize::purpose(&Purpose::HealthResearch);
                    context.push(pair("tier", Expr::Entity("Tier", Tier::Records.to_string())));
                    context.push(pair("factors", Expr::Entities("Factor", factors)));
                    context.push(pair("login_age_s", Expr::Long(age)));
                    context.push(pair("as_of", Expr::Bool(as_of)));
                    context.extend(training.map(|left| pair("training_left_s", Expr::Long(left))));
                    let of = Expr::Entity("Institution", member.institution.to_string());
                    let attributes = vec![
                        pair("name", text("any-person")),
                        pair("institution", of),
                        pair("roles", Expr::Entities("Role", vec![role.as_str().to_owned()])),
                    ];
                    let request = AuthorizationRequest {
                        principal: EntityValue::new(
                            "Person",
                            &format!("any-person@{}", member.institution),
                            attributes,
                        ),
                        action: "query",
                        resource: authorize::dataset(dataset, &space.holder),
                        others: vec![authorize::institution(member, &space.holder)],
                        context,
                        about: String::new(),
                    };
                    requests.push((line, request));
                }
            }
        }
    }
    requests
}
