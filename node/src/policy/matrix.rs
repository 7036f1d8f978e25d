//! What a policy set permits, question by question, over all that it can be asked: who, class, kind, tier, purpose, place.
//!
//! The questions are made of two grounds: members and columns that stand for every kind there is, and the real members of the
//! roster and columns of the catalog, because a rule may name them. [`permitted`] gives each answer a line of text, so that two
//! sets can be compared ([`mod@super::diff`]).

use std::collections::BTreeMap;

use concordat_protocol::membership::MemberStatus;
use concordat_protocol::query::Role;
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::{
    ids::{ColumnName, DatasetRef, InstitutionId, Jurisdiction, SegmentName},
    schema::{ColumnClass, ColumnKind},
};
use concordat_storage::catalog::ReleaseRules;

use super::ask::{self, Expr, Pair, Question, Thing, pair, text};
use super::{ColumnFacts, DatasetFacts, Party, Policy};

/// Most questions that are put to one set.
const MAX_QUESTIONS: usize = 30_000;
/// The purposes that are tried; every disease stands for the others.
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
/// How a column leaves, from the whole value down.
const REVEALS: [&str; 3] = ["reveal-clear", "reveal-generalised", "reveal-pseudonym"];
const KINDS: [ColumnKind; 3] = [ColumnKind::Text, ColumnKind::Int, ColumnKind::Date];

/// Who may ask and what for.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The holder.
    pub holder: Party,
    /// Members that ask.
    pub members: Vec<Party>,
    /// Datasets.
    pub datasets: Vec<DatasetFacts>,
}

impl Ground {
    /// Members of each status and a dataset with a column of each class and kind.
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

    /// With the real members and datasets.
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
            let name = format!("{}_{}", class_name.replace('-', "_"), super::facts::word(kind));
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
        // As open as a steward can set it: what is asked is what the rules allow.
        release: ReleaseRules {
            sensitive: Some(Tier::Records),
            ..ReleaseRules::default()
        },
    })
}

fn purposes() -> impl Iterator<Item = Purpose> {
    PURPOSES.iter().filter_map(|purpose| purpose.parse().ok())
}

/// Every question with its answer, and whether there were too many to put them all.
pub(super) fn permitted(policy: &Policy, ground: &Ground) -> (BTreeMap<String, bool>, bool) {
    let mut answers = BTreeMap::new();
    let complete = each(ground, &mut |line, question| {
        if answers.len() >= MAX_QUESTIONS {
            return false;
        }
        answers.insert(line, policy.ask(question).allowed);
        true
    });
    (answers, !complete)
}

/// What the set allows although no set may: direct identifiers in clear or unclassified columns to others, and anything to
/// those who are not active members.
pub fn never_allowed(policy: &Policy, ground: &Ground) -> Vec<String> {
    let mut allowed = Vec::new();
    for (member, dataset) in pairs(ground) {
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
                        let (line, question) = reveal(ground, member, dataset, column, action, tier, &purpose);
                        if policy.ask(&question).allowed {
                            allowed.push(line);
                        }
                    }
                }
            }
        }
        if !is_member {
            for (line, question) in of_dataset(ground, member, dataset) {
                if policy.ask(&question).allowed {
                    allowed.push(line);
                }
            }
        }
    }
    allowed.truncate(concordat_protocol::audit::MAX_LIST);
    allowed
}

fn pairs(ground: &Ground) -> impl Iterator<Item = (&Party, &DatasetFacts)> {
    let datasets = &ground.datasets;
    ground
        .members
        .iter()
        .flat_map(move |member| datasets.iter().map(move |dataset| (member, dataset)))
}

/// Puts each question to `put` until it says stop; true if it never did.
fn each(ground: &Ground, put: &mut impl FnMut(String, &Question) -> bool) -> bool {
    for (line, question) in of_people(ground) {
        if !put(line, &question) {
            return false;
        }
    }
    for (member, dataset) in pairs(ground) {
        for (line, question) in of_dataset(ground, member, dataset) {
            if !put(line, &question) {
                return false;
            }
        }
        for column in &dataset.columns {
            for action in REVEALS {
                for (tier, _) in TIERS {
                    for purpose in purposes() {
                        let (line, question) = reveal(ground, member, dataset, column, action, tier, &purpose);
                        if !put(line, &question) {
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

/// One question about a column.
pub(super) fn reveal(
    ground: &Ground,
    member: &Party,
    dataset: &DatasetFacts,
    column: &ColumnFacts,
    action: &'static str,
    tier: Tier,
    purpose: &Purpose,
) -> (String, Question) {
    let mut context = ask::purpose(purpose);
    context.push(pair("tier", Expr::Word("Tier", tier.to_string())));
    let class = column.class.map_or("unclassified", ColumnClass::as_str);
    let line = format!(
        "{action} of {}.{} ({class}) at {tier} for {purpose} to {}",
        dataset.reference.dataset,
        column.name,
        shown(member)
    );
    let question = Question {
        principal: ask::institution(member, &ground.holder),
        action,
        resource: ask::column(column, dataset),
        others: vec![ask::dataset(dataset, &ground.holder)],
        context,
        about: column.name.to_string(),
    };
    (line, question)
}

fn of_dataset(ground: &Ground, member: &Party, dataset: &DatasetFacts) -> Vec<(String, Question)> {
    let about = |dataset: &DatasetFacts, action: &'static str, context: Vec<Pair>, detail: &str| {
        let line = format!("{action} of {}{detail} by {}", dataset.reference.dataset, shown(member));
        let question = Question {
            principal: ask::institution(member, &ground.holder),
            action,
            resource: ask::dataset(dataset, &ground.holder),
            others: Vec::new(),
            context,
            about: dataset.reference.to_string(),
        };
        (line, question)
    };
    let mut questions = Vec::new();
    for published in [true, false] {
        let facts = DatasetFacts {
            published,
            ..dataset.clone()
        };
        let detail = if published { "" } else { " (not published)" };
        questions.push(about(&facts, "see-dataset", Vec::new(), detail));
    }
    for purpose in purposes() {
        let detail = format!(" for {purpose}");
        questions.push(about(dataset, "use-for-purpose", ask::purpose(&purpose), &detail));
        for (_, action) in TIERS {
            questions.push(about(dataset, action, ask::purpose(&purpose), &detail));
        }
    }
    for place in [&ground.holder.jurisdiction, &member.jurisdiction] {
        let detail = format!(" in {place}");
        questions.push(about(dataset, "receive-in", vec![pair("place", text(place))], &detail));
    }
    questions
}

/// Questions about persons: each role, with what is needed for a question and without one part of it.
fn of_people(ground: &Ground) -> Vec<(String, Question)> {
    const FRESH: i64 = 60;
    const OLD: i64 = 9 * 3600;
    let good = ("in order", true, FRESH, Some(FRESH), false);
    let ways = [
        good,
        ("nothing proved at the login", false, FRESH, Some(FRESH), false),
        ("a login of nine hours ago", true, OLD, Some(FRESH), false),
        ("without training", true, FRESH, None, false),
        ("an older version", true, FRESH, Some(FRESH), true),
    ];
    let mut questions = Vec::new();
    for member in ground.members.iter().chain([&ground.holder]) {
        for dataset in &ground.datasets {
            for role in Role::ALL {
                for (detail, proved, age, training, as_of) in ways {
                    let line = format!(
                        "query of {} by a {role} of {}: {detail}",
                        dataset.reference.dataset,
                        shown(member)
                    );
                    let factors = if proved {
                        vec!["password".to_owned()]
                    } else {
                        Vec::new()
                    };
                    let mut context = ask::purpose(&Purpose::HealthResearch);
                    context.push(pair("tier", Expr::Word("Tier", Tier::Records.to_string())));
                    context.push(pair("factors", Expr::Words("Factor", factors)));
                    context.push(pair("login_age_s", Expr::Long(age)));
                    context.push(pair("as_of", Expr::Bool(as_of)));
                    context.extend(training.map(|left| pair("training_left_s", Expr::Long(left))));
                    let of = Expr::Word("Institution", member.institution.to_string());
                    let attributes = vec![
                        pair("name", text("somebody")),
                        pair("institution", of),
                        pair("roles", Expr::Words("Role", vec![role.as_str().to_owned()])),
                    ];
                    let question = Question {
                        principal: Thing::new("Person", &format!("somebody@{}", member.institution), attributes),
                        action: "query",
                        resource: ask::dataset(dataset, &ground.holder),
                        others: vec![ask::institution(member, &ground.holder)],
                        context,
                        about: String::new(),
                    };
                    questions.push((line, question));
                }
            }
        }
    }
    questions
}
