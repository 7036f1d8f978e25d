//! Codes above those that are proposed as a list, which are proposed as groups.

use std::collections::BTreeMap;

use concordat_protocol::collection::{
    AncestorGroups, CodeNames, CollectionRules, ColumnRole, DatasetKind, Hierarchy, KnownColumns, Levels, ListedValues,
    RawCollectionRules, RawColumnRules, RawDatasetRules, RawLevels, ValueLabel,
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
