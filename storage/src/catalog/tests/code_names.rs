//! Names of codes that are proposed as a list, and of listed values.

use std::collections::BTreeMap;

use concordat_protocol::{
    collection::{
        CodeNames, CollectionRules, ColumnRole, DatasetKind, KnownColumns, Levels, Listed, RawCollectionRules,
        RawColumnRules, RawDatasetRules, RawLevels, ValueLabel,
    },
    scope::Value,
};

use super::{
    declared::{clinic, dataset},
    *,
};

/// Persons with a code each, and concepts with the names of the codes.
pub(super) fn coded(known: &KnownColumns) -> CollectionRules {
    let mut raw = RawCollectionRules::default();
    for (name, columns) in known.iter() {
        let columns = columns.keys().map(|own| {
            let mut rules = RawColumnRules::default();
            match own.as_str() {
                "person_id" => rules.role = ColumnRole::Subject,
                "diagnosis" => {
                    rules.levels = RawLevels::Codes {
                        hierarchy: None,
                        names: Some(CodeNames {
                            dataset: dataset("concept"),
                            code: column("concept_id"),
                            name: column("concept_name"),
                        }),
                        levels: BTreeMap::new(),
                    }
                }
                _ => {}
            }
            (own.clone(), rules)
        });
        let kind = if ["concept", "place"].contains(&name.as_str()) {
            DatasetKind::Reference
        } else {
            DatasetKind::Keyed {
                subject: column("person_id"),
                unique: true,
            }
        };
        let dataset = RawDatasetRules {
            kind,
            columns: columns.collect(),
            ..RawDatasetRules::default()
        };
        raw.datasets.insert(name.clone(), dataset);
    }
    CollectionRules::check(raw, known).unwrap()
}

#[test]
fn lists_of_declared_codes_are_proposed_with_their_names() {
    let node = TestNode::new();
    // Each code of ten persons, and as many codes of one person.
    let persons: String = (0..40)
        .map(|id| format!("{id},{}\n", [5, 7, 9, 100 + id][id % 4]))
        .collect();
    let concepts = "concept_id,concept_name\n5,gout\n7,asthma\n9,gout\n103,rare\n";
    let datasets = vec![
        node.declared_import("person", &format!("person_id,diagnosis\n{persons}")),
        node.declared_import("concept", concepts),
    ];
    let open = OpenColumns::from([(dataset("person"), column("diagnosis"))]);
    let request = CollectionImport {
        least_subjects: 10,
        ..CollectionImport::new(clinic(), datasets)
    };
    let declare = |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(coded(known), open.clone()));
    let _within = node.runtime.enter();
    let catalog = node.catalog();
    catalog
        .import_collection(&request, &declare, (&key(1), NOW), &mut |_| {})
        .unwrap();
    let proposed = catalog.datasets().proposals(&clinic()).unwrap();
    let Levels::Codes(codes) = &proposed[&dataset("person")][&column("diagnosis")].levels else {
        panic!("{proposed:?}")
    };
    let labels = |listed: &concordat_protocol::collection::ListedValues| {
        let listed = listed.iter();
        listed
            .map(|code| format!("{} {}", code.value, code.label))
            .collect::<Vec<_>>()
    };
    assert_eq!(labels(codes.listed().unwrap()), ["5 5", "7 7", "9 9"]);
    assert_eq!(labels(codes.named().unwrap()), ["5 gout", "7 asthma", "9 gout"]);
    // Rows that are added can have another name for a code in a list that is proposed already.
    let more = CollectionImport {
        mode: ImportMode::Append,
        ..CollectionImport::new(
            clinic(),
            vec![node.declared_import("concept", "concept_id,concept_name\n7,other\n")],
        )
    };
    catalog
        .import_collection(&more, &declare, (&key(1), NOW), &mut |_| {})
        .unwrap();
    let proposed = catalog.datasets().proposals(&clinic()).unwrap();
    let Levels::Codes(codes) = &proposed[&dataset("person")][&column("diagnosis")].levels else {
        panic!("{proposed:?}")
    };
    assert_eq!(labels(codes.listed().unwrap()), ["5 5", "7 7", "9 9"]);
    assert_eq!(labels(codes.named().unwrap()), ["5 gout", "9 gout"]);
}

/// The same with persons whose sex is a listed value, which leads to a concept.
pub(super) fn with_listed(known: &KnownColumns, before: Option<&CollectionRules>) -> CollectionRules {
    let mut raw = coded(known).raw();
    let names = before.and_then(|rules| rules.dataset(&dataset("person"))?.column(&column("sex"))?.names());
    let declared = |raw: &mut RawCollectionRules, name: &str, of: &str, change: &dyn Fn(&mut RawColumnRules)| {
        let rules = raw.datasets.get_mut(&dataset(name)).unwrap();
        change(rules.columns.get_mut(&column(of)).unwrap());
    };
    declared(&mut raw, "concept", "concept_id", &|rules| rules.role = ColumnRole::Key);
    declared(&mut raw, "person", "sex", &|rules| {
        rules.role = ColumnRole::Link {
            to: dataset("concept"),
            key: column("concept_id"),
        };
        rules.levels = RawLevels::Values(
            [1, 2, 3]
                .map(|value| Listed {
                    value: Value::Int(value),
                    label: ValueLabel::new(&format!("label {value}")).unwrap(),
                })
                .to_vec(),
        );
        rules.names = names.cloned();
    });
    CollectionRules::check(raw, known).unwrap()
}

#[test]
fn listed_values_have_the_names_of_a_reference_dataset() {
    let node = TestNode::new();
    let persons: String = (0..40).map(|id| format!("{id},{},5\n", 1 + id % 3)).collect();
    let imported = |mode: ImportMode, files: Vec<DatasetImport>, before: Option<CollectionRules>| {
        let request = CollectionImport {
            mode,
            again: true,
            ..CollectionImport::new(clinic(), files)
        };
        let declare = |known: &KnownColumns| {
            Ok::<_, Vec<String>>(Declared::Rules(with_listed(known, before.as_ref()), OpenColumns::new()))
        };
        let _within = node.runtime.enter();
        let catalog = node.catalog();
        catalog
            .import_collection(&request, &declare, (&key(1), NOW), &mut |_| {})
            .unwrap();
        node.clinic_record().rules().unwrap().clone()
    };
    let named = |rules: &CollectionRules| {
        let sex = rules
            .dataset(&dataset("person"))
            .unwrap()
            .column(&column("sex"))
            .unwrap();
        let names = sex.names().unwrap();
        assert_eq!(names.column, column("concept_name"));
        let values = names.values.iter();
        values
            .map(|listed| format!("{} {}", listed.value, listed.label))
            .collect::<Vec<_>>()
    };
    let first = vec![
        node.declared_import("person", &format!("person_id,sex,diagnosis\n{persons}")),
        node.declared_import("concept", "concept_id,concept_name\n1,FEMALE\n2,MALE\n5,gout\n"),
    ];
    let rules = imported(ImportMode::Create, first, None);
    assert_eq!(named(&rules), ["1 FEMALE", "2 MALE"], "3 has no name");
    // Rows that are added add names.
    let more = vec![node.declared_import("concept", "concept_id,concept_name\n3,UNKNOWN\n")];
    let rules = imported(ImportMode::Append, more, Some(rules));
    assert_eq!(named(&rules), ["1 FEMALE", "2 MALE", "3 UNKNOWN"]);
    // With other rows there are other names, whatever was known.
    let others = vec![
        node.declared_import("person", &format!("person_id,sex,diagnosis\n{persons}")),
        node.declared_import("concept", "concept_id,concept_name\n2,male\n5,gout\n"),
    ];
    let rules = imported(ImportMode::Replace, others, Some(rules));
    assert_eq!(named(&rules), ["2 male"]);
}

/// Persons with a code and a text that describes it.
fn with_texts(known: &KnownColumns) -> CollectionRules {
    let mut raw = coded(known).raw();
    let person = raw.datasets.get_mut(&dataset("person")).unwrap();
    for (name, names) in [
        (
            "code",
            Some(CodeNames {
                dataset: dataset("person"),
                code: column("code"),
                name: column("text"),
            }),
        ),
        ("text", None),
    ] {
        person.columns.get_mut(&column(name)).unwrap().levels = RawLevels::Codes {
            hierarchy: None,
            names,
            levels: BTreeMap::new(),
        };
    }
    CollectionRules::check(raw, known).unwrap()
}

#[test]
fn texts_of_enough_subjects_describe_codes() {
    let node = TestNode::new();
    // One of the codes has one text but for a few persons, one has two, and the text of one is that of a few persons.
    let row = |id: usize| match id {
        0..20 => "A,alpha",
        20..23 => "A,beta",
        23..40 => "B,beta",
        40..52 => "B,gamma",
        52..60 => "C,gamma",
        60..70 => "C,",
        _ => "D,delta",
    };
    let persons: String = (0..75).map(|id| format!("{id},5,{}\n", row(id))).collect();
    let files = vec![
        node.declared_import("person", &format!("person_id,diagnosis,code,text\n{persons}")),
        node.declared_import("concept", "concept_id,concept_name\n5,gout\n"),
    ];
    let open = OpenColumns::from(["code", "text"].map(|name| (dataset("person"), column(name))));
    let request = CollectionImport {
        least_subjects: 10,
        ..CollectionImport::new(clinic(), files)
    };
    let declare = |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(with_texts(known), open.clone()));
    let _within = node.runtime.enter();
    let catalog = node.catalog();
    catalog
        .import_collection(&request, &declare, (&key(1), NOW), &mut |_| {})
        .unwrap();
    let proposed = catalog.datasets().proposals(&clinic()).unwrap();
    let Levels::Codes(codes) = &proposed[&dataset("person")][&column("code")].levels else {
        panic!("{proposed:?}")
    };
    let named = codes.named().unwrap().iter();
    let named: Vec<_> = named.map(|code| format!("{} {}", code.value, code.label)).collect();
    assert_eq!(codes.listed().unwrap().iter().count(), 3, "D is of five persons");
    assert_eq!(named, ["'A' alpha"]);
}
