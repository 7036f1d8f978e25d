//! Names of declared values and codes: they are those of the rows of the reference dataset that there are.

use concordat_protocol::{
    collection::{
        CollectionRules, ColumnRole, ColumnRules, DatasetKind, KnownColumns, LISTED_LEVEL, Levels, Listed,
        ListedValues, NAMED_LEVEL, RawLevels, ValueLabel, ValueNames,
    },
    ids::LevelName,
    scope::Value,
};

use super::{
    code_names::{coded, with_listed},
    declared::{clinic, dataset},
    *,
};

/// Imports with these rules, and returns those of the new version.
fn imported(
    node: &TestNode,
    mode: ImportMode,
    files: Vec<DatasetImport>,
    rules: &dyn Fn(&KnownColumns) -> CollectionRules,
) -> CollectionRules {
    let request = CollectionImport {
        mode,
        ..CollectionImport::new(clinic(), files)
    };
    let declare = |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(rules(known), OpenColumns::new()));
    let _within = node.runtime.enter();
    let catalog = node.catalog();
    catalog
        .import_collection(&request, &declare, (&key(1), NOW), &mut |_| {})
        .unwrap();
    node.clinic_record().rules().unwrap().clone()
}

fn concepts(node: &TestNode, rows: &str) -> DatasetImport {
    node.declared_import("concept", &format!("concept_id,concept_name\n{rows}"))
}

fn persons(node: &TestNode) -> DatasetImport {
    let rows: String = (0..40).map(|id| format!("{id},{},5\n", 1 + id % 3)).collect();
    node.declared_import("person", &format!("person_id,sex,diagnosis\n{rows}"))
}

fn person_column<'r>(rules: &'r CollectionRules, name: &str) -> &'r ColumnRules {
    rules
        .dataset(&dataset("person"))
        .unwrap()
        .column(&column(name))
        .unwrap()
}

fn labels(listed: &ListedValues) -> Vec<String> {
    let listed = listed.iter();
    listed
        .map(|listed| format!("{} {}", listed.value, listed.label))
        .collect()
}

fn level(name: &str) -> LevelName {
    LevelName::new(name).unwrap()
}

fn names_of_sex(rules: &CollectionRules) -> Option<Vec<String>> {
    person_column(rules, "sex").names().map(|names| labels(&names.values))
}

/// The rules of [`with_listed`] without a column of codes that states where names are.
fn without_codes(known: &KnownColumns, before: &CollectionRules) -> CollectionRules {
    let mut raw = with_listed(known, Some(before)).raw();
    let person = raw.datasets.get_mut(&dataset("person")).unwrap();
    person.columns.get_mut(&column("diagnosis")).unwrap().levels = RawLevels::None;
    CollectionRules::check(raw, known).unwrap()
}

/// Which of two names a value has does not depend on how often rows were added.
#[test]
fn values_with_another_name_in_added_rows_have_none() {
    let node = TestNode::new();
    let first = vec![persons(&node), concepts(&node, "1,FEMALE\n2,MALE\n5,gout\n")];
    let mut rules = imported(&node, ImportMode::Create, first, &|known| with_listed(known, None));
    assert_eq!(names_of_sex(&rules).unwrap(), ["1 FEMALE", "2 MALE"]);
    for again in ["2,other\n", "2,MALE\n", "7,asthma\n"] {
        let before = rules.clone();
        let files = vec![concepts(&node, again)];
        rules = imported(&node, ImportMode::Append, files, &|known| {
            with_listed(known, Some(&before))
        });
        assert_eq!(names_of_sex(&rules).unwrap(), ["1 FEMALE"], "{again}");
    }
    // The same if it is not declared any more where names are: they are in the column where they were.
    let before = rules.clone();
    let files = vec![concepts(&node, "1,other\n3,UNKNOWN\n")];
    rules = imported(&node, ImportMode::Append, files, &|known| without_codes(known, &before));
    assert_eq!(names_of_sex(&rules).unwrap(), ["3 UNKNOWN"]);
}

#[test]
fn names_of_replaced_rows_are_left_out() {
    let node = TestNode::new();
    let first = vec![persons(&node), concepts(&node, "1,FEMALE\n2,MALE\n5,gout\n")];
    let before = imported(&node, ImportMode::Create, first, &|known| with_listed(known, None));
    assert!(names_of_sex(&before).is_some());
    // Nothing states where the new rows have names.
    let others = vec![persons(&node), concepts(&node, "1,male\n2,female\n")];
    let rules = imported(&node, ImportMode::Replace, others, &|known| {
        without_codes(known, &before)
    });
    assert_eq!(names_of_sex(&rules), None);
}

/// Lists of codes stay as they are declared, and the names in them are those of the rows that there are.
#[test]
fn declared_codes_have_the_names_of_the_rows_that_there_are() {
    let node = TestNode::new();
    let listed = |values: &[(i64, &str)]| -> Vec<Listed> {
        let values = values.iter();
        let listed = values.map(|(value, label)| Listed {
            value: Value::Int(*value),
            label: ValueLabel::new(label).unwrap(),
        });
        listed.collect()
    };
    let declared = |known: &KnownColumns, before: Option<&CollectionRules>| {
        let mut raw = coded(known).raw();
        let person = raw.datasets.get_mut(&dataset("person")).unwrap();
        let diagnosis = person.columns.get_mut(&column("diagnosis")).unwrap();
        match before {
            Some(before) => diagnosis.levels = person_column(before, "diagnosis").levels().raw(),
            None => {
                if let RawLevels::Codes { levels, .. } = &mut diagnosis.levels {
                    levels.insert(level(LISTED_LEVEL), listed(&[(5, "5"), (7, "7")]));
                    levels.insert(level(NAMED_LEVEL), listed(&[(5, "podagra"), (9, "nine")]));
                }
            }
        }
        CollectionRules::check(raw, known).unwrap()
    };
    let named = |rules: &CollectionRules| {
        let Levels::Codes(codes) = person_column(rules, "diagnosis").levels() else {
            panic!("{rules:?}")
        };
        assert_eq!(labels(codes.listed().unwrap()), ["5 5", "7 7"]);
        codes.named().map(labels)
    };
    let first = vec![persons(&node), concepts(&node, "5,gout\n7,asthma\n")];
    let rules = imported(&node, ImportMode::Create, first, &|known| declared(known, None));
    assert_eq!(named(&rules).unwrap(), ["5 gout", "7 asthma"]);
    let more = vec![concepts(&node, "7,other asthma\n")];
    let rules = imported(&node, ImportMode::Append, more, &|known| declared(known, Some(&rules)));
    assert_eq!(named(&rules).unwrap(), ["5 gout"]);
    let replaced = vec![persons(&node), concepts(&node, "1,A\n")];
    let rules = imported(&node, ImportMode::Replace, replaced, &|known| {
        declared(known, Some(&rules))
    });
    assert_eq!(named(&rules), None);
}

/// Names of as many bytes as there may be are those that are kept, of all columns together.
#[test]
fn names_that_are_not_kept_take_no_bytes() {
    let node = TestNode::new();
    let numbered = |first: i64, values: i64, label: &str| -> Vec<Listed> {
        let values = first..first + values;
        let listed = values.map(|value| Listed {
            value: Value::Int(value),
            label: ValueLabel::new(&format!("{label} {value}")).unwrap(),
        });
        listed.collect()
    };
    let long = "n".repeat(96);
    // `area` leads to places, and `big` and `sex` to concepts.
    let declared = |known: &KnownColumns, big: i64, area: Option<ValueNames>| {
        let mut raw = with_listed(known, None).raw();
        let place = raw.datasets.get_mut(&dataset("place")).unwrap();
        place.kind = DatasetKind::Reference;
        place.columns.get_mut(&column("place_id")).unwrap().role = ColumnRole::Key;
        let person = raw.datasets.get_mut(&dataset("person")).unwrap();
        for (name, to, key, values) in [
            ("area", "place", "place_id", numbered(1, 400, "area")),
            ("big", "concept", "concept_id", numbered(1_000, big, "big")),
        ] {
            let rules = person.columns.get_mut(&column(name)).unwrap();
            rules.role = ColumnRole::Link {
                to: dataset(to),
                key: column(key),
            };
            rules.levels = RawLevels::Values(values);
        }
        person.columns.get_mut(&column("area")).unwrap().names = area;
        CollectionRules::check(raw, known).unwrap()
    };
    let named =
        |rules: &CollectionRules| ["area", "big", "sex"].map(|name| person_column(rules, name).names().is_some());
    let rows: String = (0..40).map(|id| format!("{id},{},5,1,1000\n", 1 + id % 3)).collect();
    let rows_of_names: String = (1_000..1_900).map(|id| format!("{id},{long}{id}\n")).collect();
    let files = || {
        vec![
            node.declared_import("person", &format!("person_id,sex,diagnosis,area,big\n{rows}")),
            concepts(&node, &format!("1,FEMALE\n2,MALE\n5,gout\n{rows_of_names}")),
            node.declared_import("place", "place_id,place_name\n1,north\n"),
        ]
    };
    // The names of `big` are 90 kB, and leave those of `sex` their bytes.
    let rules = imported(&node, ImportMode::Create, files(), &|known| declared(known, 900, None));
    assert_eq!(named(&rules), [false, false, true]);
    let rules = imported(&node, ImportMode::Replace, files(), &|known| declared(known, 300, None));
    assert_eq!(named(&rules), [false, true, true]);
    // Those of `area`, which are known from before, are 40 kB of them.
    let area = ValueNames {
        column: column("place_name"),
        values: ListedValues::check(numbered(1, 400, &long)).unwrap(),
    };
    let more = vec![concepts(&node, "7,asthma\n")];
    let rules = imported(&node, ImportMode::Append, more, &|known| {
        declared(known, 300, Some(area.clone()))
    });
    assert_eq!(named(&rules), [true, false, true]);
}
