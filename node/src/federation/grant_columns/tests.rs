//! What was listed of a grant is used for another dataset only if it is the same for it.

use concordat_protocol::collection::{
    CollectionRules, ColumnRole, Contents, DatasetKind, KnownColumns, RawCollectionRules, RawDatasetRules,
};
use concordat_protocol::schema::{ColumnKind, VersionNumber};
use concordat_protocol::scope::{Columns, Limits, People, Places, Protection, Purpose, Purposes, Rows, Subjects, Tier};
use concordat_protocol::time::Timestamp;

use super::*;

fn granted(name: &str, empty: bool) -> GrantedDataset {
    let column = |name: &str, empty| GrantedColumn {
        name: name.parse().unwrap(),
        kind: ColumnKind::Int,
        empty,
        role: ColumnRole::Value,
    };
    GrantedDataset {
        name: name.parse().unwrap(),
        columns: vec![column("x", false), column("y", empty)],
    }
}

fn target(dataset: &str) -> Target {
    Target {
        dataset: format!("aachen.clinic.{dataset}").parse().unwrap(),
        version: None,
        access: Access::Grant(GrantId::from_bytes([1; 16])),
        tier: Tier::Aggregate,
        purpose: Purpose::HealthResearch,
        columns: columns(),
        rules: None,
    }
}

fn columns() -> Columns {
    Columns::new(["x", "y"].map(|name| (name.parse().unwrap(), Transform::Clear))).unwrap()
}

#[test]
fn listed_columns_are_used_unless_one_of_them_has_no_type() {
    let listed = [granted("visit", false), granted("note", true)];
    assert!(is_usable(&target("visit"), &listed));
    assert!(!is_usable(&target("note"), &listed), "a column of it has no values");
    assert!(!is_usable(&target("drug"), &listed), "it is not listed");
}

#[test]
fn declarations_are_those_of_the_same_permission_and_listing() {
    let listed = |datasets: &[GrantedDataset]| {
        Arc::new(GrantedDatasets {
            datasets: datasets.to_vec(),
            rules: None,
        })
    };
    let both = [granted("visit", false), granted("note", true)];
    let shared = shared(target("visit"), listed(&both));
    assert!(shared.is_of(&target("note"), &shared.listed));
    assert!(shared.is_of(&target("note"), &listed(&both)), "it lists the same");
    let newer = [granted("visit", false), granted("note", false)];
    assert!(!shared.is_of(&target("note"), &listed(&newer)));
    let note = target("note");
    let others = [
        Target {
            dataset: "aachen.other.note".parse().unwrap(),
            ..note.clone()
        },
        Target {
            version: Some(VersionNumber::new(1)),
            ..note.clone()
        },
        Target {
            access: Access::Own,
            ..note.clone()
        },
        Target {
            tier: Tier::Records,
            ..note.clone()
        },
        Target {
            purpose: Purpose::GeneralResearch,
            ..note
        },
    ];
    for other in others {
        assert!(!shared.is_of(&other, &shared.listed), "{other:?}");
    }
}

fn rules() -> CollectionRules {
    let columns = [("x".parse().unwrap(), Contents::Of(ColumnKind::Int))];
    let visit = RawDatasetRules {
        kind: DatasetKind::Keyed {
            subject: "x".parse().unwrap(),
            unique: false,
        },
        ..RawDatasetRules::default()
    };
    let raw = RawCollectionRules {
        datasets: [("visit".parse().unwrap(), visit)].into(),
        ..RawCollectionRules::default()
    };
    let known = KnownColumns::new([("visit".parse().unwrap(), columns.into())]);
    CollectionRules::check(raw, &known).unwrap()
}

fn shared(target: Target, listed: Arc<GrantedDatasets>) -> SharedDeclared {
    let day = Timestamp::from_millis(1_800_000_000_000);
    let covered = DatasetScope {
        columns: columns(),
        rows: Rows::all(),
    };
    let scope = Scope {
        collection: target.dataset.collection(),
        tier: target.tier,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: Datasets::new([("visit".parse().unwrap(), covered)]).unwrap(),
        purposes: Purposes::new([target.purpose.clone()]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::WIDEST,
        window: Window::new(day, day.plus_seconds(1)).unwrap(),
    };
    let rules = rules();
    SharedDeclared {
        target,
        listed,
        rules: rules.digest(),
        declared: Arc::new(Declared {
            statistics: ShownStatistics {
                scope,
                rules,
                columns: BTreeMap::new(),
            },
            shown: BTreeMap::new(),
        }),
    }
}
