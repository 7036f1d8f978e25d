//! The rules of a collection: each mistake is found, all of them at once, and every collection that has none is accepted.

use std::collections::BTreeMap;

use super::clinical::{clinical, code_levels, columns, keyed, known, link, of, range, raw_edges, rules_of, with_kind};
use super::*;
use crate::schema::ColumnClass;

#[test]
fn rules_of_a_clinical_collection_are_valid() {
    let rules = CollectionRules::check(clinical(), &known()).unwrap();
    let domain = |at: &str, of: &str| rules.domain(&dataset(at), &column(of)).unwrap().to_string();
    assert_eq!(domain("person", "person_id"), "(subject)");
    assert_eq!(domain("condition", "person_id"), "(subject)");
    assert_eq!(domain("condition", "visit_id"), "visit.visit_id");
    assert_eq!(domain("visit", "visit_id"), "visit.visit_id");
    assert_eq!(domain("note", "person_ref"), "(subject)");
    assert_eq!(domain("condition", "code"), "code");
    let named_so = KeyDomain::Column(column("subject"));
    assert_ne!(named_so.to_string(), KeyDomain::Subject.to_string());
    // What leads to the owner is a link, and what is not declared is there without a class.
    let note = rules.dataset(&dataset("note")).unwrap();
    assert!(matches!(
        note.column(&column("visit_id")).unwrap().role(),
        ColumnRole::Link { .. }
    ));
    assert!(
        rules
            .unclassified()
            .any(|(at, of)| (at.as_str(), of.as_str()) == ("visit", "started"))
    );
    assert_eq!(CollectionRules::check(rules.raw(), &known()), Ok(rules));
}

#[test]
fn dataset_of_one_table_needs_no_key() {
    let one = || KnownColumns::new([(dataset("heart"), columns(&[("age", ColumnKind::Int)]))]);
    let of_kind = |kind| RawCollectionRules {
        datasets: BTreeMap::from([(dataset("heart"), with_kind(kind))]),
        ..RawCollectionRules::default()
    };
    assert!(CollectionRules::check(of_kind(DatasetKind::EachRow), &one()).is_ok());
    assert_eq!(
        problems(of_kind(DatasetKind::Reference), &one()),
        [("the collection".to_owned(), RuleProblem::NoSubjects)]
    );
}

/// Each entry changes the valid rules; all that is found is in the golden file, where the sentences are reviewed.
#[test]
fn each_mistake_in_rules_is_found() {
    type Change = fn(&mut RawCollectionRules);
    let cases: &[(&str, Change)] = &[
        ("an unknown dataset", |raw| {
            raw.datasets.insert(dataset("drug"), RawDatasetRules::default());
        }),
        ("an unknown column", |raw| {
            rules_of(raw, "person", "height").class = Some(ColumnClass::Ordinary)
        }),
        ("a link to an unknown dataset", |raw| {
            rules_of(raw, "condition", "visit_id").role = link("drug", "visit_id")
        }),
        ("a link to an unknown column", |raw| {
            rules_of(raw, "condition", "visit_id").role = link("visit", "id")
        }),
        ("a link to a column that is not a key", |raw| {
            rules_of(raw, "condition", "visit_id").role = link("visit", "person_id")
        }),
        ("a link to subjects with several rows", |raw| {
            of(raw, "person").kind = keyed("person_id", false)
        }),
        ("a link between kinds", |raw| {
            rules_of(raw, "condition", "visit_id").role = link("concept", "code")
        }),
        ("a link to itself", |raw| {
            rules_of(raw, "visit", "previous").role = link("visit", "visit_id")
        }),
        ("a cycle of two", |raw| {
            rules_of(raw, "condition", "condition_id").role = ColumnRole::Key;
            rules_of(raw, "visit", "previous").role = link("condition", "condition_id");
        }),
        ("a second subject column", |raw| {
            rules_of(raw, "visit", "previous").role = ColumnRole::Subject
        }),
        ("a subject column of a dataset without subjects", |raw| {
            rules_of(raw, "concept", "code").role = ColumnRole::Subject
        }),
        ("a subject column that does not exist", |raw| {
            of(raw, "condition").kind = keyed("patient", false)
        }),
        ("a subject column with another role", |raw| {
            rules_of(raw, "condition", "person_id").role = ColumnRole::Key
        }),
        ("no subjects", |raw| {
            raw.datasets
                .values_mut()
                .for_each(|dataset| dataset.kind = DatasetKind::Unowned)
        }),
        ("two kinds of subjects", |raw| {
            of(raw, "concept").kind = DatasetKind::EachRow
        }),
        ("an owner without subjects", |raw| {
            of(raw, "visit").kind = DatasetKind::Unowned
        }),
        ("a hierarchy with a column of another kind", |raw| {
            rules_of(raw, "condition", "code").levels = code_levels("level")
        }),
        ("edges that are not sorted", |raw| {
            rules_of(raw, "person", "born").levels = raw_edges(ints([1960, 1950, 1950]))
        }),
        ("edges of two kinds", |raw| {
            rules_of(raw, "person", "born").levels = raw_edges(vec![Value::Int(1), float(2.0)])
        }),
        ("edges of another kind", |raw| {
            rules_of(raw, "person", "born").levels = raw_edges(vec![float(2.0)])
        }),
        ("no edges", |raw| {
            rules_of(raw, "person", "born").levels = raw_edges(Vec::new())
        }),
        ("too many edges", |raw| {
            rules_of(raw, "person", "born").levels = raw_edges(ints(0..201))
        }),
        ("a far date", |raw| {
            rules_of(raw, "condition", "begun").levels = raw_edges(vec![Value::Date(i32::MAX)])
        }),
        ("a level that is not coarser", |raw| {
            rules_of(raw, "person", "born").levels = RawLevels::Edges {
                edges: ints([10, 20]),
                levels: BTreeMap::from([(level("five"), ints([10, 15])), (level("back"), ints([20, 10]))]),
            }
        }),
        ("values twice", |raw| {
            let values = listed(&[(Value::Int(1), "one"), (Value::Int(2), "two"), (Value::Int(1), "three")]);
            rules_of(raw, "person", "sex").levels = RawLevels::Values(values);
        }),
        ("too many values", |raw| {
            let values: Vec<_> = (0..1_001).map(|n| (Value::Int(n), "n")).collect();
            rules_of(raw, "person", "sex").levels = RawLevels::Values(listed(&values));
        }),
        ("truth of numbers", |raw| {
            rules_of(raw, "person", "sex").levels = RawLevels::Truth
        }),
        ("levels of a direct identifier", |raw| {
            rules_of(raw, "person", "sex").class = Some(ColumnClass::DirectIdentifier)
        }),
        ("levels of a key", |raw| {
            rules_of(raw, "visit", "visit_id").levels = raw_edges(ints([5]))
        }),
        ("a key of dates", |raw| {
            rules_of(raw, "visit", "started").role = ColumnRole::Key
        }),
        ("a range that is empty", |raw| {
            rules_of(raw, "person", "born").measure = range(5.0, 5.0)
        }),
        ("a range of texts", |raw| {
            rules_of(raw, "concept", "name").measure = range(0.0, 5.0)
        }),
        ("a complete column without levels", |raw| {
            rules_of(raw, "concept", "name").complete = true
        }),
        ("a complete list of codes that is open", |raw| {
            rules_of(raw, "condition", "code").complete = true
        }),
        ("an event date that is none", |raw| {
            of(raw, "condition").event_date = Some(column("code"))
        }),
    ];
    let mut lines = String::new();
    for (what, change) in cases {
        let mut raw = clinical();
        change(&mut raw);
        for error in CollectionRules::check(raw, &known()).unwrap_err() {
            lines.push_str(&format!("{what}: {error}\n"));
        }
    }
    assert_eq!(
        lines,
        include_str!("../mistakes.golden"),
        "the mistakes are now\n{lines}"
    );
}

#[test]
fn all_mistakes_in_rules_are_found_at_once() {
    let mut raw = clinical();
    raw.datasets.insert(dataset("drug"), RawDatasetRules::default());
    let born = rules_of(&mut raw, "person", "born");
    born.levels = raw_edges(ints([2, 1]));
    born.measure = range(2.0, 1.0);
    rules_of(&mut raw, "condition", "visit_id").role = link("drug", "visit_id");
    rules_of(&mut raw, "visit", "height").class = Some(ColumnClass::Ordinary);
    let errors = CollectionRules::check(raw, &known()).unwrap_err();
    let at: Vec<_> = errors
        .iter()
        .map(|error| error.to_string().split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        at,
        [
            "`condition.visit_id`",
            "`drug`",
            "`person.born`",
            "`person.born`",
            "`visit.height`"
        ]
    );
}

#[test]
fn columns_that_differ_only_in_case_are_refused() {
    let raw = RawCollectionRules {
        datasets: BTreeMap::from([(dataset("heart"), with_kind(DatasetKind::EachRow))]),
        ..RawCollectionRules::default()
    };
    let kind = ColumnKind::Int;
    let known = KnownColumns::new([(
        dataset("heart"),
        columns(&[
            ("Größe", kind),
            ("grösse", kind),
            ("GRÖSSE", kind),
            ("__concordat_x", kind),
        ]),
    )]);
    assert_eq!(
        problems(raw, &known),
        [
            ("`heart.__concordat_x`".to_owned(), RuleProblem::Reserved),
            (
                "`heart.grösse`".to_owned(),
                RuleProblem::CaseOnly {
                    other: column("GRÖSSE")
                }
            ),
        ]
    );
}

#[test]
fn collection_with_too_much_is_refused() {
    let of_size = |datasets: usize, of_each: usize| {
        let columns: BTreeMap<_, _> = (0..of_each)
            .map(|n| (column(&format!("c{n}")), Contents::Empty))
            .collect();
        let known = KnownColumns::new((0..datasets).map(|n| (dataset(&format!("d{n}")), columns.clone())));
        let raw = RawCollectionRules {
            datasets: BTreeMap::from([(dataset("d0"), with_kind(DatasetKind::EachRow))]),
            ..RawCollectionRules::default()
        };
        CollectionRules::check(raw, &known).map_err(|errors| errors[0].problem.clone())
    };
    assert!(of_size(MAX_DATASETS, 16).is_ok());
    assert_eq!(of_size(MAX_DATASETS + 1, 1), Err(RuleProblem::TooManyDatasets));
    assert_eq!(of_size(1, MAX_COLUMNS + 1), Err(RuleProblem::TooManyColumns));
    assert_eq!(of_size(2, MAX_COLUMNS / 2 + 1), Err(RuleProblem::TooManyColumns));
}

/// A column without values has no kind yet: an empty table of a data model must not stop the others.
#[test]
fn column_without_values_fits_every_declaration() {
    let mut raw = clinical();
    rules_of(&mut raw, "visit", "empty").levels = raw_edges(ints([5]));
    assert!(CollectionRules::check(raw.clone(), &known()).is_ok());
    rules_of(&mut raw, "visit", "empty").levels = raw_edges(vec![Value::Date(5)]);
    assert!(CollectionRules::check(raw.clone(), &known()).is_ok());
    rules_of(&mut raw, "visit", "empty").levels = RawLevels::None;
    rules_of(&mut raw, "visit", "empty").role = link("concept", "code");
    assert!(CollectionRules::check(raw, &known()).is_ok());
}

/// A column of text has the edges and the range of the numbers in it, and no other ones.
#[test]
fn edges_of_texts_divide_the_numbers_in_them() {
    let mut raw = clinical();
    rules_of(&mut raw, "concept", "name").levels = raw_edges(ints([100, 140]));
    rules_of(&mut raw, "concept", "name").measure = range(0.0, 500.0);
    let rules = CollectionRules::check(raw, &known()).unwrap();
    let name = rules.dataset(&dataset("concept")).unwrap().column(&column("name"));
    let name = name.unwrap();
    assert!(name.has_numbers_in_text());
    assert_eq!(
        *name.levels(),
        edges(vec![float(100.0), float(140.0)], ColumnKind::Float)
    );
    assert_eq!(CollectionRules::check(rules.raw(), &known()), Ok(rules.clone()));
    for others in [vec![Value::Date(1)], vec![text("a")]] {
        let mut raw = clinical();
        rules_of(&mut raw, "concept", "name").levels = raw_edges(others);
        assert!(CollectionRules::check(raw, &known()).is_err());
    }
    for (text, number) in [
        ("140", Datum::Float(140.0)),
        ("-1.5e2", Datum::Float(-150.0)),
        ("140 mmHg", Datum::Null),
        ("", Datum::Null),
        ("NaN", Datum::Null),
        ("inf", Datum::Null),
    ] {
        assert_eq!(Datum::Text(text).number_in_text(), number, "{text}");
    }
    assert_eq!(Datum::Int(1).number_in_text(), Datum::Null);
}

/// As many links as a collection can have, each dataset linking to all others of higher numbers, are checked at once.
#[test]
fn dense_links_without_a_cycle_are_valid() {
    let name = |n: usize| dataset(&format!("d{n}"));
    let count = 64;
    let datasets = (0..count).map(|n| {
        let mut rules = with_kind(if n == 0 {
            DatasetKind::EachRow
        } else {
            DatasetKind::Reference
        });
        rules.columns.entry(column("id")).or_default().role = ColumnRole::Key;
        for to in n + 1..count {
            rules.columns.entry(column(&format!("to{to}"))).or_default().role = link(&format!("d{to}"), "id");
        }
        (name(n), rules)
    });
    let raw = RawCollectionRules {
        datasets: datasets.collect(),
        ..RawCollectionRules::default()
    };
    let known = raw.datasets.iter().map(|(name, rules)| {
        let columns = rules
            .columns
            .keys()
            .map(|column| (column.clone(), Contents::Of(ColumnKind::Int)));
        (name.clone(), columns.collect())
    });
    let known = KnownColumns::new(known);
    let mut closed = raw.clone();
    assert!(CollectionRules::check(raw, &known).is_ok());
    closed
        .datasets
        .get_mut(&name(1))
        .unwrap()
        .columns
        .get_mut(&column("to2"))
        .unwrap()
        .role = link("d0", "id");
    let errors = CollectionRules::check(closed, &known).unwrap_err();
    let in_cycle = errors
        .iter()
        .map(|error| error.to_string().split(": ").next().unwrap().to_owned());
    assert_eq!(in_cycle.collect::<Vec<_>>(), ["`d0.to1`", "`d1.to2`"]);
}

/// A list that was declared for an empty column fits when the first values arrive.
#[test]
fn declared_values_become_those_of_the_column() {
    let values = || RawLevels::Values(listed(&[(text("8507"), "male"), (text("8532"), "female")]));
    let days = || raw_edges(vec![text("2019-01-01"), text("2020-01-01")]);
    let empty = Levels::check(values(), Contents::Empty).unwrap();
    assert_eq!(empty.atom_of(Datum::Text("8532")), AtomId::Listed(1));
    let whole = Levels::check(empty.raw(), Contents::Of(ColumnKind::Int)).unwrap();
    assert_eq!(whole.atom_of(Datum::Int(8532)), AtomId::Listed(1));
    let dates = Levels::check(days(), Contents::Of(ColumnKind::Date)).unwrap();
    assert_eq!(dates.label(&AtomId::Listed(1)).as_deref(), Some("2019"));
    let numbers = Levels::check(raw_edges(ints([1, 2])), Contents::Of(ColumnKind::Float)).unwrap();
    assert_eq!(numbers.label(&AtomId::Listed(1)).as_deref(), Some("[1.0,2.0)"));
    let lossy = raw_edges(ints([(1 << 53) + 1]));
    assert!(Levels::check(lossy, Contents::Of(ColumnKind::Float)).is_err());
    assert!(Levels::check(values(), Contents::Of(ColumnKind::Boolean)).is_err());
    let twice = RawLevels::Values(listed(&[(text("7"), "a"), (text("07"), "b")]));
    assert_eq!(
        Levels::check(twice, Contents::Of(ColumnKind::Int)),
        Err(vec![LevelsError::DoubledValue { position: 2 }])
    );
}

/// A long chain of links is no cycle, and is checked without recursion.
#[test]
fn chain_of_owners_ends_at_a_keyed_dataset() {
    let name = |n: usize| dataset(&format!("d{n}"));
    let rules = |end: DatasetKind| {
        let owned = |n: usize| {
            let through = OwnerLinks::new(vec![KeyLink {
                column: column("up"),
                to: name(n - 1),
                key: column("id"),
            }]);
            with_kind(DatasetKind::Owned {
                through: through.unwrap(),
            })
        };
        let mut datasets: BTreeMap<_, _> = (1..MAX_DATASETS).map(|n| (name(n), owned(n))).collect();
        datasets.insert(name(0), with_kind(end));
        for rules in datasets.values_mut() {
            rules.columns.entry(column("id")).or_default().role = ColumnRole::Key;
        }
        let raw = RawCollectionRules {
            datasets,
            ..RawCollectionRules::default()
        };
        let kinds = columns(&[("id", ColumnKind::Int), ("up", ColumnKind::Int)]);
        CollectionRules::check(
            raw,
            &KnownColumns::new((0..MAX_DATASETS).map(|n| (name(n), kinds.clone()))),
        )
    };
    assert!(rules(keyed("up", false)).is_ok());
    assert_eq!(rules(DatasetKind::Reference).unwrap_err().len(), 2);
}

#[test]
fn measured_range_is_for_clear_columns_only() {
    use crate::scope::{BandWidth, Generalization, Transform};
    let rules = CollectionRules::check(clinical(), &known()).unwrap();
    let weight = rules
        .dataset(&dataset("person"))
        .unwrap()
        .column(&column("weight"))
        .unwrap();
    let of = |transform| weight.under(transform, None);
    assert!(of(Transform::Clear).is_some_and(|found| found.measure.is_some() && found.is_joinable));
    let banded = of(Transform::Generalized(Generalization::AgeBand(BandWidth::Ten)));
    assert!(banded.is_some_and(|found| found.measure.is_none() && !found.is_joinable));
    assert!(of(Transform::Pseudonym).is_some_and(|found| found.measure.is_none() && found.is_joinable));
    assert_eq!(of(Transform::Removed), None);
}

/// Where something is wrong, and what.
fn problems(raw: RawCollectionRules, known: &KnownColumns) -> Vec<(String, RuleProblem)> {
    let at = |error: &RulesError| error.to_string().split(": ").next().unwrap().to_owned();
    let errors = CollectionRules::check(raw, known).unwrap_err();
    errors.into_iter().map(|error| (at(&error), error.problem)).collect()
}

/// A table of a data model that has no rows in one place: nothing shows what its codes are, but for what they refer to.
#[test]
fn codes_without_values_are_of_the_kind_that_they_refer_to() {
    let mut raw = clinical();
    rules_of(&mut raw, "condition", "code").levels = RawLevels::None;
    let RawLevels::Codes { hierarchy, names, .. } = code_levels("above") else {
        panic!("they are codes");
    };
    rules_of(&mut raw, "visit", "empty").levels = RawLevels::Codes {
        hierarchy,
        names,
        levels: BTreeMap::new(),
    };
    let kind_of = |kind: ColumnKind| {
        let mut datasets: BTreeMap<_, _> = known()
            .iter()
            .map(|(name, found)| (name.clone(), found.clone()))
            .collect();
        datasets.insert(
            dataset("concept"),
            columns(&[("code", kind), ("name", ColumnKind::Text)]),
        );
        datasets.insert(dataset("ancestor"), columns(&[("above", kind), ("below", kind)]));
        let rules = CollectionRules::check(raw.clone(), &KnownColumns::new(datasets)).unwrap();
        let visit = rules.dataset(&dataset("visit")).unwrap();
        let Levels::Codes(codes) = visit.column(&column("empty")).unwrap().levels() else {
            panic!("they are codes");
        };
        codes.kind()
    };
    assert_eq!(kind_of(ColumnKind::Int), CodeKind::Int);
    assert_eq!(kind_of(ColumnKind::Text), CodeKind::Text);
}
