//! Tests of the decision point against tables, and against policy sets with one rule removed.

mod ages;
mod collections;
mod column_names;
mod diff;
mod held;
mod known;
mod limits;
mod mutation;
mod offer;
mod permitted;
mod prohibited;
mod protection;
mod query;
mod sample;

use concordat_protocol::{
    decision::RuleReason,
    ids::{CollectionRef, ColumnName, InstitutionId, Jurisdiction, QueryId, SegmentName},
    membership::MemberStatus,
    policy_set::{PolicyFile, PolicySources, Reveal, Settings},
    query::{ActorAssertion, Factor, Role},
    release::{QueriesBelowRecords, ReleaseChange, ReleaseRules, TierLimits},
    schema::{ColumnClass, ColumnKind},
    scope::{
        Columns, Datasets, Limits, People, Places, Protection, Purpose, Purposes, Rows, Scope, Subjects, Tier,
        Transform, Window,
    },
    time::Timestamp,
};

use super::*;

const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HOUR_S: i64 = 3600;

/// The shipped set, compiled once for each test: every test has a thread of its own, and so its own verdicts.
fn shipped() -> Policy {
    thread_local! {
        static SHIPPED: Policy = Policy::shipped(Settings::default()).unwrap();
    }
    SHIPPED.with(Policy::clone)
}

fn with_rule(rule: &str) -> Policy {
    let sources = [("default.cedar", load::DEFAULT), ("more.cedar", rule)];
    Policy::from_sources(
        &sources.map(|(file, text)| (file.to_owned(), text.to_owned())),
        Settings::default(),
    )
    .unwrap()
}

/// A set that releases direct identifiers in clear, for research on one disease only.
fn names_for_one_disease() -> PolicySources {
    let known = "when { resource.class == Class::\"direct-identifier\" };";
    let other = "when { resource.class == Class::\"direct-identifier\" && !(context has disease && context.disease == \"MONDO:0000408\") };";
    assert_eq!(load::DEFAULT.matches(known).count(), 1);
    let mut text = load::DEFAULT.replace(known, other);
    text.push_str(
        "@id(\"one-disease\") @reason(\"r\") @remedy(\"m\")
         permit(principal is Institution, action == Action::\"reveal-clear\", resource is Column)
         when { resource.class == Class::\"direct-identifier\" && context has disease && context.disease == \"MONDO:0000408\" };",
    );
    let name = "default.cedar".to_owned();
    PolicySources {
        files: vec![PolicyFile { name, text }],
        settings: Settings::default(),
    }
}

fn party(institution: &str, jurisdiction: &str, status: Option<MemberStatus>) -> Party {
    Party {
        institution: InstitutionId::new(institution).unwrap(),
        jurisdiction: Jurisdiction::new(jurisdiction).unwrap(),
        status,
    }
}

fn zurich() -> Party {
    party("zurich", "CH", Some(MemberStatus::Active))
}

fn budapest() -> Party {
    party("budapest", "HU", Some(MemberStatus::Active))
}

fn name(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn heart() -> CollectionFacts {
    use ColumnClass::{DirectIdentifier, Ordinary, QuasiIdentifier, Sensitive};
    let columns = [
        ("mrn", DirectIdentifier, ColumnKind::Text),
        ("age", QuasiIdentifier, ColumnKind::Int),
        ("born", QuasiIdentifier, ColumnKind::Date),
        ("postcode", QuasiIdentifier, ColumnKind::Text),
        ("chol", Sensitive, ColumnKind::Float),
        ("sex", Ordinary, ColumnKind::Int),
    ];
    CollectionFacts {
        reference: "budapest.heart".parse().unwrap(),
        segment: SegmentName::new("main").unwrap(),
        published: true,
        datasets: vec![DatasetFacts {
            name: "heart".parse().unwrap(),
            columns: columns
                .map(|(column, class, kind)| ColumnFacts::new(name(column), Some(class), kind))
                .to_vec(),
        }],
        release: ReleaseRules {
            sensitive: Some(Tier::Records),
            ..ReleaseRules::default()
        },
    }
}

/// The limits that apply if a steward has set none.
fn limits() -> Limits {
    let settings = Settings::default();
    Limits {
        max_rows: Some(settings.max_rows),
        max_queries_per_day: Some(settings.max_queries_per_day),
        min_cell: settings.min_cell,
        ..Limits::WIDEST
    }
}

/// The same at tiers below `records`.
fn limits_of_figures() -> Limits {
    let settings = Settings::default();
    Limits {
        max_cells: Some(settings.max_cells),
        distinctions: Some(settings.distinctions),
        ..limits()
    }
}

fn days(from: i64, to: i64) -> Window {
    Window::new(
        NOON.plus_seconds(from * 24 * HOUR_S),
        NOON.plus_seconds(to * 24 * HOUR_S),
    )
    .unwrap()
}

/// Everything in clear, for health research, for a month.
fn wide() -> Scope {
    let columns = ["mrn", "age", "born", "postcode", "chol", "sex"].map(|column| (name(column), Transform::Clear));
    Scope {
        collection: "budapest.heart".parse::<CollectionRef>().unwrap(),
        tier: Tier::Records,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: only(Columns::new(columns).unwrap(), Rows::all()),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::only([Jurisdiction::new("CH").unwrap()]).unwrap(),
        limits: limits(),
        window: days(0, 30),
    }
}

/// The dataset of the collection `heart`.
fn only(columns: Columns, rows: Rows) -> Datasets {
    Datasets::one("heart".parse().unwrap(), columns, rows)
}

fn columns_of(scope: &Scope) -> &Columns {
    &scope.only().unwrap().1.columns
}

fn rows_of(scope: &Scope) -> &Rows {
    &scope.only().unwrap().1.rows
}

/// The wide scope with other columns.
fn with_columns(columns: Columns) -> Scope {
    Scope {
        datasets: only(columns, Rows::all()),
        ..wide()
    }
}

/// The wide scope with other rows.
fn with_rows(rows: Rows) -> Scope {
    Scope {
        datasets: only(columns_of(&wide()).clone(), rows),
        ..wide()
    }
}

/// The columns of the one dataset.
fn columns_in(facts: &mut CollectionFacts) -> &mut Vec<ColumnFacts> {
    &mut facts.datasets[0].columns
}

fn eva() -> ActorAssertion {
    ActorAssertion {
        actor: "eva@zurich".parse().unwrap(),
        roles: [Role::Researcher].into(),
        factors: [Factor::Password].into(),
        authenticated_at: NOON.plus_seconds(-HOUR_S),
        password_reset_at: None,
        training_until: Some(NOON.plus_seconds(HOUR_S)),
        training_course: Some("human-subjects-protection".parse().unwrap()),
        audience: InstitutionId::new("budapest").unwrap(),
        query: QueryId::from_bytes([1; 16]),
        expires: NOON.plus_seconds(60),
    }
}

fn rules(reasons: &[RuleReason]) -> Vec<&str> {
    reasons.iter().map(|reason| reason.rule.as_str()).collect()
}

#[test]
fn policy_set_invalid_is_refused_with_all_its_errors() {
    let bad = [
        ("a.cedar", "permit(principal, action, resource);"),
        (
            "b.cedar",
            "@id(\"b\") @reason(\"r\") @remedy(\"m\") permit(principal, action == Action::\"reveal-claer\", resource);",
        ),
        (
            "c.cedar",
            "@id(\"c\") @reason(\"r\") @remedy(\"m\") forbid(principal is Institution, action == Action::\"reveal-clear\", \
             resource is Column) when { resource.class == Class::\"direct\" };",
        ),
        ("d.cedar", "permit(principal, action, resource"),
        (
            "e.cedar",
            "@id(\"b\") @reason(\"r\") @remedy(\"m\") permit(principal, action, resource == ?resource);",
        ),
        (
            "f.cedar",
            "@id(\"b\") @reason(\"r\") @remedy(\"m\") permit(principal, action, resource);",
        ),
    ];
    let sources = bad.map(|(file, text)| (file.to_owned(), text.to_owned()));
    let errors = Policy::from_sources(&sources, Settings::default()).unwrap_err();
    let text = errors.to_string();
    for expected in [
        "a.cedar: `policy0` has no `@id",
        "reveal-claer",
        "Class::\"direct\"",
        "d.cedar: ",
        "e.cedar: ",
        "f.cedar: the id `b`",
    ] {
        assert!(
            text.contains(expected),
            "{expected} is not in\n{}",
            errors.iter().collect::<Vec<_>>().join("\n")
        );
    }
}

#[test]
fn policy_digest_depends_on_rules_and_settings() {
    let stricter = Settings {
        min_cell: 11,
        ..Settings::default()
    };
    assert_ne!(Policy::shipped(stricter).unwrap().digest(), shipped().digest());
    let again = Policy::shipped(Settings::default()).unwrap();
    assert_eq!(again.digest(), shipped().digest());
}

#[test]
fn column_age_is_known_by_name_and_date_by_type() {
    let generalization = |column: &str, kind| ColumnFacts::new(name(column), None, kind).generalization;
    assert!(
        generalization("age", ColumnKind::Int).is_some() && generalization("Age_at_visit", ColumnKind::Int).is_some()
    );
    assert!(generalization("dosage", ColumnKind::Int).is_none() && generalization("age", ColumnKind::Text).is_none());
    assert!(generalization("anything", ColumnKind::TimestampUtc).is_some());
}
