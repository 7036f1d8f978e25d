//! What a permission shows of rules: nothing else is named, and what is shown is valid as a whole.

use super::clinical::{clinical, known, rules_of};
use super::*;
use crate::scope::{BandWidth, Columns, DatasetScope, Datasets, Generalization, Rows, Transform};

fn rules() -> CollectionRules {
    CollectionRules::check(clinical(), &known()).unwrap()
}

/// A permission for these columns.
pub(super) fn shown(datasets: &[(&str, &[(&str, Transform)])]) -> Datasets {
    let datasets = datasets.iter().map(|(name, columns)| {
        let columns = columns.iter().map(|(name, transform)| (column(name), *transform));
        let scope = DatasetScope {
            columns: Columns::new(columns).unwrap(),
            rows: Rows::all(),
        };
        (dataset(name), scope)
    });
    Datasets::new(datasets).unwrap()
}

const CLEAR: Transform = Transform::Clear;

fn text_of(rules: &CollectionRules) -> String {
    format!("{rules:?}")
}

#[test]
fn rules_shown_name_no_other_dataset_or_column() {
    let of = shown(&[
        ("condition", &[("code", CLEAR), ("visit_id", CLEAR)]),
        ("note", &[("visit_id", CLEAR)]),
    ]);
    let shown = rules().shown_by(&of).unwrap();
    let text = text_of(&shown);
    for hidden in ["person", "visit\"", "above", "concept", "begun", "weight", "ancestor"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    let names: Vec<&str> = shown.datasets().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["condition", "note"]);
    let condition = shown.dataset(&dataset("condition")).unwrap();
    assert_eq!(
        condition.column(&column("visit_id")).unwrap().role(),
        &ColumnRole::Value
    );
    assert_eq!(condition.event_date(), None);
    let Levels::Codes(codes) = condition.column(&column("code")).unwrap().levels() else {
        panic!("{condition:?}")
    };
    assert_eq!((codes.hierarchy(), codes.names()), (None, None));
    assert_eq!(codes.level_names().count(), 1);
    // Rows lead to a subject, in a way that is not shown.
    let note = shown.dataset(&dataset("note")).unwrap();
    let DatasetKind::Keyed { subject, unique: false } = note.kind() else {
        panic!("{note:?}")
    };
    assert_eq!(subject.as_str(), "subject");
}

/// Where a transform shows values as missing, or has no levels, a column is not complete.
#[test]
fn complete_column_is_shown_where_no_value_is_hidden() {
    let mut raw = clinical();
    rules_of(&mut raw, "person", "born").complete = true;
    let rules = CollectionRules::check(raw, &known()).unwrap();
    let is_complete = |transform: Transform| {
        let of = shown(&[("person", &[("person_id", Transform::Pseudonym), ("born", transform)])]);
        let shown = rules.shown_by(&of).unwrap();
        let person = shown.dataset(&dataset("person")).unwrap();
        let born = person.column(&column("born")).unwrap();
        let effective = born.under(Transform::Clear, None).unwrap();
        assert_eq!(effective.is_complete, born.is_complete(), "{transform:?}");
        born.is_complete()
    };
    assert!(is_complete(CLEAR));
    assert!(is_complete(Transform::Generalized(Generalization::Levels)));
    let bands = Transform::Generalized(Generalization::AgeBand(BandWidth::Ten));
    for hidden in [
        bands,
        Transform::Generalized(Generalization::Year),
        Transform::Pseudonym,
    ] {
        assert!(!is_complete(hidden), "{hidden:?}");
    }
}

#[test]
fn rules_shown_have_what_is_left_under_each_transform() {
    let bands = Transform::Generalized(Generalization::AgeBand(BandWidth::Ten));
    let of = shown(&[
        (
            "person",
            &[
                ("person_id", Transform::Pseudonym),
                ("born", bands),
                ("sex", CLEAR),
                ("weight", bands),
            ],
        ),
        ("visit", &[("visit_id", CLEAR), ("person_id", Transform::Pseudonym)]),
        ("condition", &[("visit_id", CLEAR), ("person_id", CLEAR)]),
    ]);
    let rules = rules();
    let shown = rules.shown_by(&of).unwrap();
    let person = shown.dataset(&dataset("person")).unwrap();
    assert_eq!(person.kind(), rules.dataset(&dataset("person")).unwrap().kind());
    let born = person.column(&column("born")).unwrap();
    // Neither 1950 nor 1955 is the beginning of a band of ages.
    assert_eq!(born.levels(), &Levels::None);
    let sex = rules
        .dataset(&dataset("person"))
        .unwrap()
        .column(&column("sex"))
        .unwrap();
    assert_eq!(person.column(&column("sex")).unwrap().levels(), sex.levels());
    assert_eq!(person.column(&column("weight")).unwrap().measure(), None);
    assert!(person.columns().all(|(_, column)| column.class().is_none()));
    let condition = shown.dataset(&dataset("condition")).unwrap();
    let link = ColumnRole::Link {
        to: dataset("visit"),
        key: column("visit_id"),
    };
    assert_eq!(condition.column(&column("visit_id")).unwrap().role(), &link);
}

/// What is left under a transform is the same for what is declared and for what is shown of it.
#[test]
fn rules_shown_have_the_same_levels_under_the_transform() {
    let mut raw = clinical();
    clinical::rules_of(&mut raw, "person", "born").levels = RawLevels::Edges {
        edges: ints([10, 15, 20, 33, 40, 90, 95]),
        levels: BTreeMap::from([(level("ten"), ints([10, 20, 40]))]),
    };
    let rules = CollectionRules::check(raw, &known()).unwrap();
    let person = dataset("person");
    let declared = rules.dataset(&person).unwrap().column(&column("born")).unwrap();
    for width in [BandWidth::Five, BandWidth::Ten] {
        let bands = Transform::Generalized(Generalization::AgeBand(width));
        let shown = rules.shown_by(&shown(&[("person", &[("born", bands)])])).unwrap();
        let born = shown.dataset(&person).unwrap().column(&column("born")).unwrap();
        assert_eq!(born.under(bands, None), declared.under(bands, None), "{width:?}");
        let Levels::Edges(edges) = born.levels() else {
            panic!("{born:?}")
        };
        // Edges that are not distinguished do not leave the holder.
        assert!(!format!("{edges:?}").contains("33"), "{edges:?}");
    }
}

#[test]
fn rules_shown_without_subjects_are_none() {
    let reference = shown(&[("concept", &[("code", CLEAR), ("name", CLEAR)])]);
    assert_eq!(rules().shown_by(&reference), None);
    let unknown = shown(&[("other", &[("a", CLEAR)])]);
    assert_eq!(rules().shown_by(&unknown), None);
}

#[test]
fn rules_digest_changes_with_each_declaration() {
    let of = shown(&[("person", &[("born", CLEAR), ("sex", CLEAR), ("weight", CLEAR)])]);
    let digest = |change: &dyn Fn(&mut RawCollectionRules)| {
        let mut raw = clinical();
        change(&mut raw);
        let rules = CollectionRules::check(raw, &known()).unwrap();
        rules.shown_by(&of).unwrap().digest()
    };
    let as_declared = digest(&|_| ());
    assert_eq!(as_declared, digest(&|_| ()));
    let changes: [&dyn Fn(&mut RawCollectionRules); 4] = [
        &|raw| {
            clinical::rules_of(raw, "person", "born").levels = clinical::raw_edges(ints([1950, 1955]));
        },
        &|raw| clinical::rules_of(raw, "person", "weight").measure = clinical::range(20.0, 201.0),
        &|raw| raw.days = DayLevels::new(vec![0, 30]).unwrap(),
        &|raw| clinical::of(raw, "person").counts = CountLevels::new(vec![1]).unwrap(),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_ne!(digest(change), as_declared, "{at}");
    }
    // What is not shown does not matter, and is not revealed by a digest either.
    let hidden = digest(&|raw| {
        clinical::of(raw, "condition").event_date = None;
    });
    assert_eq!(hidden, as_declared);
}

/// A column that is shown keeps its name, whatever stands in place of the subject.
#[test]
fn rules_shown_replace_the_subject_by_a_free_name() {
    let mut raw = RawCollectionRules::default();
    let mut visit = clinical::with_kind(clinical::keyed("patient", false));
    visit.columns.insert(column("Subject"), RawColumnRules::default());
    raw.datasets.insert(dataset("visit"), visit);
    let columns = clinical::columns(&[("patient", ColumnKind::Int), ("Subject", ColumnKind::Int)]);
    let known = KnownColumns::new([(dataset("visit"), columns)]);
    let rules = CollectionRules::check(raw, &known).unwrap();
    let shown = rules.shown_by(&shown(&[("visit", &[("Subject", CLEAR)])])).unwrap();
    let DatasetKind::Keyed { subject, .. } = shown.dataset(&dataset("visit")).unwrap().kind() else {
        panic!("{shown:?}")
    };
    assert_eq!(subject.as_str(), "subject_2");
}
