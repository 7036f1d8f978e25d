//! What the engine answers under: a scope that is not applied whole has no answer.

use concordat_protocol::scope::{DatasetScope, Noise, Subjects};

use super::*;
use crate::one_dataset::OneDataset;

/// Each of the two checks is tried alone: a scope of one dataset with a part that is not applied, and a scope of two datasets.
#[test]
fn scope_that_is_not_applied_whole_is_refused() {
    let known = clear(Tier::Records, &["name", "age"]);
    assert!(OneDataset::of(&known).is_ok());

    let mut perturbed = known.clone();
    perturbed.protection = Protection::Perturbed(Noise::new(2, 4, 1).unwrap());
    let mut levels = known.clone();
    let generalized = (name("age"), Transform::Generalized(Generalization::Levels));
    levels.datasets = Datasets::one(
        "heart".parse().unwrap(),
        Columns::new([generalized]).unwrap(),
        Rows::all(),
    );
    for scope in [perturbed, levels] {
        assert_eq!(scope.subjects, Subjects::Any);
        assert!(
            matches!(OneDataset::of(&scope), Err(QueryError::NotApplied { .. })),
            "{scope:?}"
        );
    }

    for tier in [Tier::Exists, Tier::Count, Tier::Aggregate] {
        let figures = Scope { tier, ..known.clone() };
        assert!(
            matches!(OneDataset::of(&figures), Err(QueryError::NotApplied { .. })),
            "they come from decided cells: {tier}"
        );
    }

    let (heart, only) = known.datasets.single().unwrap();
    for other in ["visits", "zebra"] {
        let mut two = known.clone();
        let both: [(_, DatasetScope); 2] = [(heart.clone(), only.clone()), (other.parse().unwrap(), only.clone())];
        two.datasets = Datasets::new(both).unwrap();
        assert!(
            matches!(OneDataset::of(&two), Err(QueryError::NotApplied { .. })),
            "{other}"
        );
    }
    let mut renamed = known.clone();
    renamed.datasets = Datasets::new([("visits".parse().unwrap(), only.clone())]).unwrap();
    assert!(matches!(OneDataset::of(&renamed), Err(QueryError::NotApplied { .. })));
}
