//! Codes above those that are proposed as a list, which are proposed as groups.

use std::collections::BTreeMap;

use concordat_protocol::{
    collection::{
        ANCESTORS_LEVEL, AncestorGroups, CodeNames, CollectionRules, ColumnRole, DatasetKind, Hierarchy, KnownColumns,
        LISTED_LEVEL, Levels, Listed, ListedValues, RawCollectionRules, RawColumnRules, RawDatasetRules, RawLevels,
        ValueLabel,
    },
    ids::LevelName,
    scope::Value,
};

use super::{
    declared::{clinic, dataset},
    *,
};

/// Persons with a drug each, the names and classes of codes, and the codes above others.
fn coded(known: &KnownColumns, groups: Option<&str>) -> CollectionRules {
    let mut raw = RawCollectionRules::default();
    let drugs = RawLevels::Codes {
        hierarchy: Some(Hierarchy {
            dataset: dataset("concept_ancestor"),
            ancestor: column("above"),
            descendant: column("below"),
            groups: groups.map(|class| AncestorGroups {
                column: column("concept_class_id"),
                class: ValueLabel::new(class).unwrap(),
            }),
        }),
        names: Some(CodeNames {
            dataset: dataset("concept"),
            code: column("concept_id"),
            name: column("concept_name"),
        }),
        levels: BTreeMap::new(),
    };
    for (name, columns) in known.iter() {
        let columns = columns.keys().map(|own| {
            let mut rules = RawColumnRules::default();
            match own.as_str() {
                "person_id" => rules.role = ColumnRole::Subject,
                "drug" => rules.levels = drugs.clone(),
                _ => {}
            }
            (own.clone(), rules)
        });
        let kind = if name.as_str() == "person" {
            DatasetKind::Keyed {
                subject: column("person_id"),
                unique: true,
            }
        } else {
            DatasetKind::Reference
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

/// The codes that are proposed as groups for drugs, with their names.
fn proposed(groups: Option<&str>) -> Vec<String> {
    let node = TestNode::new();
    // Each code of ten persons, and as many codes of one person.
    let persons: String = (0..40)
        .map(|id| format!("{id},{}\n", [5, 7, 9, 100 + id][id % 4]))
        .collect();
    let concepts = "concept_id,concept_name,concept_class_id\n\
                    5,tablet,Drug\n50,aspirin,Ingredient\n51,ibuprofen,Ingredient\n52,rare,Ingredient\n53,pain,Class\n\
                    54,same,Ingredient\n55,same,Ingredient\n";
    // 52 is above a code that is not listed, and 54 and 55 have one name.
    let pairs = "above,below\n50,5\n50,5\n50,7\n51,7\n51,9\n52,103\n53,5\n54,5\n55,9\n5,5\n";
    let datasets = vec![
        node.declared_import("person", &format!("person_id,drug\n{persons}")),
        node.declared_import("concept", concepts),
        node.declared_import("concept_ancestor", pairs),
    ];
    let open = OpenColumns::from([(dataset("person"), column("drug"))]);
    let request = CollectionImport {
        least_subjects: 10,
        ..CollectionImport::new(clinic(), datasets)
    };
    let declare = |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(coded(known, groups), open.clone()));
    let _within = node.runtime.enter();
    let catalog = node.catalog();
    catalog
        .import_collection(&request, &declare, (&key(1), NOW), &mut |_| {})
        .unwrap();
    let proposed = catalog.datasets().proposals(&clinic()).unwrap();
    let Levels::Codes(codes) = &proposed[&dataset("person")][&column("drug")].levels else {
        panic!("{proposed:?}")
    };
    assert_eq!(codes.listed().unwrap().iter().count(), 3);
    let groups = codes.ancestors().into_iter().flat_map(ListedValues::iter);
    groups.map(|code| format!("{} {}", code.value, code.label)).collect()
}

#[test]
fn ancestors_of_listed_codes_are_proposed_as_groups() {
    assert_eq!(proposed(Some("Ingredient")), ["50 aspirin", "51 ibuprofen"]);
    assert_eq!(proposed(Some("Class")), ["53 pain"]);
    assert!(proposed(Some("Vaccine")).is_empty());
    assert!(proposed(None).is_empty());
}

fn labels(codes: Option<&ListedValues>) -> Vec<String> {
    let codes = codes.into_iter().flat_map(ListedValues::iter);
    codes.map(|code| format!("{} {}", code.value, code.label)).collect()
}

/// Groups by names are those that are declared, so a name of an earlier version would be one that the rows do not have.
#[test]
fn declared_ancestors_have_the_names_of_the_rows_that_there_are() {
    let node = TestNode::new();
    let listed = |values: &[(i64, &str)]| -> Vec<Listed> {
        let listed = values.iter().map(|(value, label)| Listed {
            value: Value::Int(*value),
            label: ValueLabel::new(label).unwrap(),
        });
        listed.collect()
    };
    let declared = |known: &KnownColumns, before: Option<&CollectionRules>| {
        let mut raw = coded(known, Some("Ingredient")).raw();
        let person = raw.datasets.get_mut(&dataset("person")).unwrap();
        let drug = person.columns.get_mut(&column("drug")).unwrap();
        let of = before.and_then(|rules| rules.dataset(&dataset("person"))?.column(&column("drug")));
        match (of, &mut drug.levels) {
            (Some(of), levels) => *levels = of.levels().raw(),
            (None, RawLevels::Codes { levels, .. }) => {
                let ancestors = [(50, "aspirin"), (51, "earlier"), (52, "unknown"), (53, "a"), (54, "b")];
                levels.insert(LevelName::new(LISTED_LEVEL).unwrap(), listed(&[(5, "5")]));
                levels.insert(LevelName::new(ANCESTORS_LEVEL).unwrap(), listed(&ancestors));
            }
            (None, _) => panic!("drugs have codes"),
        }
        CollectionRules::check(raw, known).unwrap()
    };
    let persons: String = (0..40).map(|id| format!("{id},5\n")).collect();
    let pairs = || node.declared_import("concept_ancestor", "above,below\n50,5\n51,5\n");
    let concepts = |rows: &str| {
        let rows = format!("concept_id,concept_name,concept_class_id\n{rows}");
        node.declared_import("concept", &rows)
    };
    let person = || node.declared_import("person", &format!("person_id,drug\n{persons}"));
    let imported = |mode: ImportMode, files: Vec<DatasetImport>, before: Option<CollectionRules>| {
        let request = CollectionImport {
            mode,
            again: true,
            ..CollectionImport::new(clinic(), files)
        };
        let declare = |known: &KnownColumns| {
            Ok::<_, Vec<String>>(Declared::Rules(declared(known, before.as_ref()), OpenColumns::new()))
        };
        let _within = node.runtime.enter();
        let catalog = node.catalog();
        catalog
            .import_collection(&request, &declare, (&key(1), NOW), &mut |_| {})
            .unwrap();
        node.clinic_record().rules().unwrap().clone()
    };
    let ancestors = |rules: &CollectionRules| {
        let person = rules.dataset(&dataset("person")).unwrap();
        let Levels::Codes(codes) = person.column(&column("drug")).unwrap().levels() else {
            panic!("{rules:?}")
        };
        assert_eq!(labels(codes.listed()), ["5 5"]);
        labels(codes.ancestors())
    };
    let first = concepts(
        "5,tablet,Drug\n50,aspirin,Ingredient\n51,ibuprofen,Ingredient\n53,same,Ingredient\n54,same,Ingredient\n",
    );
    let rules = imported(ImportMode::Create, vec![person(), first, pairs()], None);
    assert_eq!(ancestors(&rules), ["50 aspirin", "51 ibuprofen"]);
    // A second name for one of them.
    let more = vec![concepts("51,other,Ingredient\n")];
    let rules = imported(ImportMode::Append, more, Some(rules));
    assert_eq!(ancestors(&rules), ["50 aspirin"]);
    let others = vec![person(), concepts("50,acetylsalicylic acid,Ingredient\n"), pairs()];
    let rules = imported(ImportMode::Replace, others, Some(rules));
    assert_eq!(ancestors(&rules), ["50 acetylsalicylic acid"]);
}
