//! The forms, texts and encodings of scopes. The lattice laws are tested in `laws`, what scopes admit in `model`.

mod generators;
mod laws;
mod model;

use super::*;
use crate::grant::testing::heart;
use crate::ids::{ActorId, ColumnName, DatasetName, Jurisdiction};
use crate::time::Timestamp;

#[test]
fn values_of_different_kinds_never_meet() {
    let text = Constraint::new(Values::Set([Value::Text("1".into())].into()), false).unwrap();
    let int = Constraint::new(Values::Set([Value::Int(1)].into()), false).unwrap();
    assert!(text.meet(&int).is_none());
}

#[test]
fn one_meaning_has_one_form() {
    let open = Constraint::new(range(Some((Value::Int(39), false)), None), false).unwrap();
    let closed = Constraint::new(range(Some((Value::Int(40), true)), None), false).unwrap();
    assert_eq!(open, closed);
    let single = Constraint::new(range(Some((Value::Int(4), true)), Some((Value::Int(4), true))), false).unwrap();
    assert_eq!(single.values(), &Values::Set([Value::Int(4)].into()));
    assert!(Constraint::new(range(Some((Value::Int(5), true)), Some((Value::Int(4), true))), false).is_err());
}

#[test]
fn unknown_terms_make_a_scope_invalid() {
    assert!("records-and-more".parse::<Tier>().is_err());
    assert!("DUO:9999999".parse::<Purpose>().is_err());
    let mut json = serde_json::to_value(base()).unwrap();
    json["surprise"] = serde_json::json!(true);
    assert!(serde_json::from_value::<Scope>(json).is_err());
    let mut json = serde_json::to_value(base()).unwrap();
    json["datasets"]["heart"]["columns"]["__concordat_subject"] = serde_json::json!("clear");
    assert!(serde_json::from_value::<Scope>(json).is_err());
}

#[test]
fn datasets_are_bounded() {
    let scope = |columns: usize| DatasetScope {
        columns: Columns::new((0..columns).map(|n| (name(&format!("c{n}")), Transform::Clear))).unwrap(),
        rows: Rows::all(),
    };
    let many = |datasets: usize, columns| {
        Datasets::new((0..datasets).map(|n| (format!("d{n}").parse().unwrap(), scope(columns))))
    };
    assert!(many(0, 1).is_err() && many(MAX_DATASETS + 1, 0).is_err());
    assert!(many(MAX_DATASETS, 16).is_ok() && many(1, MAX_COLUMNS).is_ok());
    assert_eq!(many(MAX_DATASETS, 17).unwrap_err().part, Part::Columns);
    let mut json = serde_json::to_value(base()).unwrap();
    json["datasets"] = serde_json::json!({});
    assert!(serde_json::from_value::<Scope>(json).is_err());
}

#[test]
fn scope_of_a_collection_of_one_has_its_only_dataset() {
    let (dataset, shown) = base().only().map(|(dataset, shown)| (dataset, shown.clone())).unwrap();
    assert_eq!(dataset.to_string(), "budapest.heart");
    assert_eq!(shown.columns.len(), 2);
    assert!(omop().only().is_none(), "several");
    let other = Scope {
        collection: "budapest/omop".parse().unwrap(),
        ..base()
    };
    assert!(other.only().is_none(), "of another name");
}

/// The variance follows from the number of answers, and less of it is not noise for them.
#[test]
fn noise_for_answers_is_not_less_than_they_need() {
    for answers in [0, 65, u8::MAX] {
        assert!(Noise::for_answers(answers).is_err(), "{answers}");
    }
    for answers in 1..=64_u8 {
        let noise = Noise::for_answers(answers).unwrap();
        assert_eq!(noise.variance(), 17 * u16::from(answers));
        assert_eq!(noise.answers(), Some(answers));
        let protection = Protection::Perturbed(noise);
        let json = serde_json::to_value(protection).unwrap();
        assert_eq!(serde_json::from_value::<Protection>(json.clone()).unwrap(), protection);
        for (part, less) in [
            ("variance", noise.variance() - 1),
            ("max", u16::from(noise.max()) - 1),
            ("max", 166),
        ] {
            let mut json = json.clone();
            json["perturbed"][part] = serde_json::json!(less);
            assert!(serde_json::from_value::<Protection>(json).is_err(), "{answers} {part}");
        }
    }
    let stated = serde_json::to_value(Protection::Perturbed(Noise::new(3, 5, 5).unwrap())).unwrap();
    assert!(stated["perturbed"].get("answers").is_none(), "as before");
    let met = Protection::Perturbed(Noise::for_answers(8).unwrap()).meet(&Protection::Perturbed(Noise::default()));
    let Protection::Perturbed(met) = met else {
        panic!("both have noise")
    };
    assert_eq!((met.variance(), met.answers()), (544, Some(8)));
}

/// A number that is not stated is not the default: the other side's number stays as it is.
#[test]
fn protection_that_states_no_number_meets_to_the_other() {
    let numbers = (1..=64_u8).map(|answers| Noise::for_answers(answers).unwrap());
    let noises = numbers.chain([Noise::new(3, 5, 5).unwrap(), Noise::LEAST]);
    let others = noises.map(Protection::Perturbed).chain([private(), Protection::Exact]);
    for other in others {
        let widest = other.name().widest();
        assert_eq!((widest.meet(&other), other.meet(&widest)), (other, other));
        assert!(widest.covers(&other));
        let json = serde_json::to_value(widest).unwrap();
        assert_eq!(serde_json::from_value::<Protection>(json).unwrap(), widest);
    }
}

#[test]
fn figures_with_noise_are_one_to_64() {
    for figures in [0, 65, u8::MAX] {
        assert!(FiguresWithNoise::new(figures).is_err());
        assert!(serde_json::from_value::<FiguresWithNoise>(figures.into()).is_err());
    }
    for figures in [1, 64] {
        let read: FiguresWithNoise = serde_json::from_value(figures.into()).unwrap();
        assert_eq!(Noise::of(read), Noise::for_answers(figures).unwrap());
    }
    assert_eq!(Noise::of(FiguresWithNoise::DEFAULT), Noise::default());
}

#[test]
fn protection_out_of_bounds_is_refused() {
    for (variance, max, round) in [
        (0, 5, 5),
        (17, 20, 5),
        (3, 1, 5),
        (3, 21, 5),
        (3, 5, 0),
        (3, 5, 11),
        (4, 2, 1),
        (16, 4, 1),
    ] {
        assert!(Noise::new(variance, max, round).is_err(), "{variance} {max} {round}");
        let json = serde_json::json!({ "perturbed": { "variance": variance, "max": max, "round": round } });
        assert!(serde_json::from_value::<Protection>(json).is_err());
    }
    assert!(Noise::new(3, 2, 1).is_ok() && Noise::new(16, 5, 10).is_ok());
    for (query, total, delta) in [
        (0, 1, 6),
        (1, 0, 6),
        (2, 1, 6),
        (1, MicroRho::MAX + 1, 6),
        (1, 1, 5),
        (1, 1, 13),
    ] {
        let json = serde_json::json!({ "private": { "query": query, "total": total, "delta": delta } });
        assert!(
            serde_json::from_value::<Protection>(json).is_err(),
            "{query} {total} {delta}"
        );
    }
    let json = serde_json::json!({ "private": { "query": 1, "total": MicroRho::MAX, "delta": 12 } });
    assert!(serde_json::from_value::<Protection>(json).is_ok());
}

#[test]
fn subject_filter_without_condition_is_refused() {
    assert!(SubjectFilter::new("person".parse().unwrap(), Rows::all()).is_err());
    let json = serde_json::json!({ "only": { "dataset": "person", "rows": {} } });
    assert!(serde_json::from_value::<Subjects>(json).is_err());
}

/// Without the part `subjects`, a scope that leaves out the dataset of subjects would cover more than one that has it.
#[test]
fn subject_filter_stays_without_its_dataset() {
    let women = Scope {
        subjects: born_after_1950(),
        ..omop()
    };
    let conditions = Scope {
        datasets: Datasets::new(
            omop()
                .datasets
                .iter()
                .filter(|(name, _)| name.as_str() == "condition")
                .map(cloned),
        )
        .unwrap(),
        ..omop()
    };
    let met = women.meet(&conditions).unwrap();
    assert_eq!(met.subjects, born_after_1950());
    assert!(!met.covers(&conditions) && conditions.covers(&met) && women.covers(&met));
    assert_eq!(women.wider_parts(&conditions), [Part::Subjects]);
}

fn cloned((name, scope): (&DatasetName, &DatasetScope)) -> (DatasetName, DatasetScope) {
    (name.clone(), scope.clone())
}

/// Of two equal keys one implementation would take the first and another the last: both sides would have signed different scopes.
#[test]
fn scope_with_a_key_or_element_twice_is_refused() {
    let rows = Constraint::new(Values::Set([Value::Int(1), Value::Int(2)].into()), false).unwrap();
    let scope = Scope {
        datasets: heart(
            [(name("age"), Transform::Clear)],
            Rows::new([(name("age"), rows)].into()).unwrap(),
        ),
        places: Places::only([country("CH"), country("HU")]).unwrap(),
        ..base()
    };
    let scope_of_heart = scope.datasets.single().unwrap().1.clone();
    let bytes = crate::signed::encode(&scope).unwrap();
    assert_eq!(crate::signed::decode::<Scope>(&bytes), Ok(scope));
    let set: &[u8] = b"\x82\xa1\x63int\x01\xa1\x63int\x02";
    let constraint = [b"\x63age\xa2\x66values\xa1\x63set", set, b"\x64null\xf4"].concat();
    let dataset = crate::signed::encode(&scope_of_heart).unwrap();
    let dataset = [b"\x65heart", dataset.as_slice()].concat();
    for (what, found, forged) in [
        (
            "a dataset",
            [b"\x68datasets\xa1", dataset.as_slice()].concat(),
            [b"\x68datasets\xa2", dataset.as_slice(), &dataset].concat(),
        ),
        (
            "a column",
            b"\xa1\x63age\x65clear".to_vec(),
            b"\xa2\x63age\x65clear\x63age\x67removed".to_vec(),
        ),
        (
            "a constrained column",
            [b"\x64rows\xa1", constraint.as_slice()].concat(),
            [b"\x64rows\xa2", constraint.as_slice(), &constraint].concat(),
        ),
        ("a value", set.to_vec(), b"\x82\xa1\x63int\x01\xa1\x63int\x01".to_vec()),
        ("a place", b"\x82\x62CH\x62HU".to_vec(), b"\x82\x62CH\x62CH".to_vec()),
        (
            "a place in another order",
            b"\x82\x62CH\x62HU".to_vec(),
            b"\x82\x62HU\x62CH".to_vec(),
        ),
        (
            "a part",
            b"\x64tier\x67records".to_vec(),
            b"\x64tier\x67records\x64tier\x67records".to_vec(),
        ),
    ] {
        let at = bytes.windows(found.len()).position(|window| window == found);
        let at = at.unwrap_or_else(|| panic!("the scope has no {what}"));
        let changed = [&bytes[..at], &forged, &bytes[at + found.len()..]].concat();
        assert!(crate::signed::decode::<Scope>(&changed).is_err(), "{what} twice");
    }
}

/// These texts are compared between institutions when an offer is received ([`Scope::differences`]). A text that changes is another
/// protocol, so a change has to be a change of the golden file.
#[test]
fn scope_texts_are_the_reviewed_ones() {
    let lines: String = scope_texts().iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(lines, include_str!("texts.golden"), "the texts are now\n{lines}");
}

fn scope_texts() -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |what: &str, text: String| lines.push(format!("{what}: {text}"));
    add("collection", base().collection.to_string());
    for tier in [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records] {
        add("tier", tier.to_string());
    }
    let widest = [ProtectionName::Perturbed, ProtectionName::Private].map(ProtectionName::widest);
    for protection in [Protection::Exact, perturbed(), private()].into_iter().chain(widest) {
        add("protection", protection.to_string());
    }
    for subjects in [Subjects::Any, born_after_1950()] {
        add("subjects", subjects.to_string());
    }
    for difference in omop().differences(&less_of_omop()) {
        let Difference {
            part,
            requested,
            offered,
        } = difference;
        add(&part.to_string(), format!("{requested} -> {offered}"));
    }
    let band = |width| Transform::Generalized(Generalization::AgeBand(width));
    for transform in [
        Transform::Clear,
        Transform::Generalized(Generalization::Year),
        band(BandWidth::Five),
        band(BandWidth::Ten),
        Transform::Generalized(Generalization::Levels),
        Transform::Pseudonym,
        Transform::Removed,
    ] {
        let scope = |transform| Scope {
            datasets: heart([(name("age"), transform)], Rows::all()),
            ..base()
        };
        let difference = scope(Transform::Clear).differences(&scope(transform));
        let offered = difference.first().map_or("age clear", |difference| &difference.offered);
        add("columns", offered.to_owned());
    }
    add("rows", Rows::all().to_string());
    for (values, null) in row_values() {
        let constraint = Constraint::new(values, null).unwrap();
        add(
            "rows",
            Rows::new([(name("age"), constraint)].into()).unwrap().to_string(),
        );
    }
    let two = ["age", "sex"].map(|column| (name(column), Constraint::new(Values::Any, false).unwrap()));
    add("rows", Rows::new(two.into()).unwrap().to_string());
    for purpose in [
        Purpose::GeneralResearch,
        Purpose::HealthResearch,
        "disease:MONDO:0005267".parse().unwrap(),
        Purpose::MethodsDevelopment,
        Purpose::Ancestry,
        Purpose::ClinicalCare,
    ] {
        add("purposes", Purposes::new([purpose]).unwrap().to_string());
    }
    let several = [Purpose::ClinicalCare, Purpose::Ancestry];
    add("purposes", Purposes::new(several).unwrap().to_string());
    add("people", People::Any.to_string());
    add(
        "people",
        People::only([actor("ann"), actor("bob")]).unwrap().to_string(),
    );
    add("places", Places::Any.to_string());
    add(
        "places",
        Places::only([country("HU"), country("CH")]).unwrap().to_string(),
    );
    for (max_rows, max_queries_per_day) in [(None, None), (Some(1), None), (None, Some(2)), (Some(1), Some(2))] {
        let limits = Limits {
            max_rows,
            max_queries_per_day,
            ..Limits::default()
        };
        add("limits", limits.to_string());
    }
    let below_records = Limits {
        per_person_per_day: Some(3),
        max_cells: Some(500),
        distinctions: Some(512),
        ..Limits::default()
    };
    add("limits", below_records.to_string());
    add("window", base().window.to_string());
    let begin = Timestamp::from_millis(1_800_000_000_001);
    let end = Timestamp::from_millis(1_800_000_000_500);
    add("window", Window::new(begin, end).unwrap().to_string());
    lines
}

/// A constraint of each form, with a value of each kind.
fn row_values() -> Vec<(Values, bool)> {
    let set = |values: &[Value]| Values::Set(values.iter().cloned().collect());
    let float = |number| Value::Float(Finite::new(number).unwrap());
    vec![
        (Values::Any, false),
        (set(&[]), true),
        (set(&[Value::Bool(true)]), false),
        (set(&[Value::Int(1), Value::Int(2)]), true),
        (set(&[Value::Date(20_000)]), false),
        (set(&[Value::Date(i32::MAX)]), false),
        (set(&[Value::Text("O'Neill".into())]), false),
        (set(&[float(0.5), float(2.0), float(1e300)]), false),
        (range(Some((Value::Int(40), true)), None), false),
        (range(None, Some((Value::Int(40), true))), false),
        (range(Some((float(0.5), false)), Some((float(1.5), false))), false),
        (range(Some((float(0.5), true)), Some((float(1.5), true))), true),
    ]
}

#[test]
fn scope_differences_list_each_column() {
    let requested = base();
    let mut offered = base();
    offered.tier = Tier::Aggregate;
    let banded = Transform::Generalized(Generalization::AgeBand(BandWidth::Ten));
    offered.datasets = heart([(name("age"), banded)], Rows::all());
    let differences: Vec<String> = requested
        .differences(&offered)
        .iter()
        .map(|d| format!("{}: {} -> {}", d.part, d.requested, d.offered))
        .collect();
    assert_eq!(
        differences,
        [
            "tier: records -> aggregate",
            "columns: age clear -> age generalized to bands of 10 years",
            "columns: name clear -> name removed",
        ]
    );
}

#[test]
fn scope_window_shorter_by_a_millisecond_is_a_difference() {
    let requested = base();
    let begins = requested.window.not_before();
    let ends = requested.window.not_after();
    for window in [
        Window::new(begins.plus_millis(1), ends),
        Window::new(begins, ends.plus_millis(-1)),
    ] {
        let offered = Scope {
            window: window.unwrap(),
            ..base()
        };
        let parts: Vec<Part> = requested.differences(&offered).iter().map(|d| d.part).collect();
        assert_eq!(parts, [Part::Window]);
    }
}

#[test]
fn purposes_contain_each_other_as_in_the_ontology() {
    let heart: Purpose = "disease:MONDO:0005267".parse().unwrap();
    assert!(Purpose::GeneralResearch.covers(&heart) && Purpose::HealthResearch.covers(&heart));
    assert!(!heart.covers(&Purpose::HealthResearch));
    assert!(!Purpose::GeneralResearch.covers(&Purpose::ClinicalCare));
}

#[test]
fn scopes_over_datasets_are_applied_at_every_tier() {
    let person: DatasetName = "person".parse().unwrap();
    let born = Columns::new([(name("born"), Transform::Clear)]).unwrap();
    let one = Datasets::one(person, born, Rows::all());
    for tier in [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records] {
        assert_eq!(Scope { tier, ..base() }.check_applied(), Ok(()), "a dataset alone");
        assert_eq!(Scope { tier, ..omop() }.check_applied(), Ok(()), "{tier}");
        let datasets = one.clone();
        let scope = Scope {
            tier,
            datasets,
            ..omop()
        };
        assert_eq!(scope.check_applied(), Ok(()), "{tier} over one of them");
    }
}

fn base() -> Scope {
    Scope {
        collection: "budapest.heart".parse().unwrap(),
        tier: Tier::Records,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: heart(
            ["age", "name"].map(|column| (name(column), Transform::Clear)),
            Rows::all(),
        ),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(Timestamp::from_millis(0), Timestamp::from_millis(1000)).unwrap(),
    }
}

/// Persons and their conditions; the persons were born after 1950.
fn omop() -> Scope {
    let dataset = |columns: &[&str]| DatasetScope {
        columns: Columns::new(columns.iter().map(|column| (name(column), Transform::Clear))).unwrap(),
        rows: Rows::all(),
    };
    let datasets = [
        ("condition", dataset(&["concept", "start"])),
        ("note", dataset(&["text"])),
        ("omop", dataset(&["version"])),
        ("person", dataset(&["born", "sex"])),
    ];
    Scope {
        collection: "budapest/omop".parse().unwrap(),
        datasets: Datasets::new(datasets.map(|(name, scope)| (name.parse().unwrap(), scope))).unwrap(),
        ..base()
    }
}

fn less_of_omop() -> Scope {
    let levels = Transform::Generalized(Generalization::Levels);
    let dataset = |columns: &[(&str, Transform)], rows| DatasetScope {
        columns: Columns::new(columns.iter().map(|(column, transform)| (name(column), *transform))).unwrap(),
        rows,
    };
    let datasets = [
        (
            "condition",
            dataset(&[("concept", Transform::Clear)], after("start", 2020)),
        ),
        ("omop", dataset(&[], after("version", 5))),
        (
            "person",
            dataset(&[("born", levels), ("sex", Transform::Clear)], Rows::all()),
        ),
    ];
    Scope {
        datasets: Datasets::new(datasets.map(|(name, scope)| (name.parse().unwrap(), scope))).unwrap(),
        protection: perturbed(),
        subjects: born_after_1950(),
        ..omop()
    }
}

fn after(column: &str, least: i64) -> Rows {
    let values = range(Some((Value::Int(least), true)), None);
    Rows::new([(name(column), Constraint::new(values, false).unwrap())].into()).unwrap()
}

fn born_after_1950() -> Subjects {
    Subjects::Only(SubjectFilter::new("person".parse().unwrap(), after("born", 1950)).unwrap())
}

fn perturbed() -> Protection {
    Protection::Perturbed(Noise::new(3, 5, 5).unwrap())
}

fn private() -> Protection {
    let rho = |millionths| MicroRho::new(millionths).unwrap();
    Protection::Private(Loss::new(rho(20_000), rho(1_000_000), DeltaExponent::new(9).unwrap()).unwrap())
}

fn name(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn range(low: Option<(Value, bool)>, high: Option<(Value, bool)>) -> Values {
    let bound = |(value, inclusive)| Bound { value, inclusive };
    Values::Range {
        low: low.map(bound),
        high: high.map(bound),
    }
}

fn actor(who: &str) -> ActorId {
    ActorId::new(&format!("{who}@zurich")).unwrap()
}

fn country(code: &str) -> Jurisdiction {
    Jurisdiction::new(code).unwrap()
}
