//! Whether a new version of a published collection is declared to reveal more than the version that its steward published.

use concordat_protocol::{
    collection::{CollectionRules, ColumnRules, Levels},
    schema::ColumnClass,
};

use super::{Classification, CollectionRecord, DatasetDeclarations};

/// Whether `new` declares that anything reveals less than `old` did, so that more of it is shown: another class than before unless it is
/// that of a direct identifier, another kind or subject, other levels or ranges, and whatever is new and not a direct identifier. A column that was
/// left out of a version is new when it is there again.
pub(super) fn is_weakened(old: &CollectionRecord, new: &CollectionRecord) -> bool {
    let mut datasets = new.datasets().iter();
    datasets.any(|(name, now)| is_dataset_weakened(old.datasets().get(name), now)) || has_other_levels(old, new)
}

fn is_dataset_weakened(before: Option<&DatasetDeclarations>, now: &DatasetDeclarations) -> bool {
    let Some(before) = before else {
        return has_weaker_class(&Classification::default(), &now.classification);
    };
    before.kind != now.kind || has_weaker_class(&before.classification, &now.classification)
}

fn has_weaker_class(before: &Classification, now: &Classification) -> bool {
    now.iter().any(|(column, class)| is_weaker(before.class(column), class))
}

/// Of a quasi-identifier and a sensitive column, neither reveals less.
fn is_weaker(before: Option<ColumnClass>, now: ColumnClass) -> bool {
    match (before, now) {
        (_, ColumnClass::DirectIdentifier) => false,
        (Some(ColumnClass::Ordinary), _) => false,
        (before, now) => before != Some(now),
    }
}

fn has_other_levels(old: &CollectionRecord, new: &CollectionRecord) -> bool {
    let old = old.rules();
    let mut datasets = new.rules().into_iter().flat_map(CollectionRules::datasets);
    datasets.any(|(name, now)| {
        let before = old.and_then(|old| old.dataset(name));
        let column_before = |column| before.and_then(|before| before.column(column));
        let mut columns = now.columns();
        columns.any(|(column, now)| is_finer(column_before(column), now))
    })
}

/// Which of two divisions is the finer one is not decided: any other one is taken to be finer, and none at all is not.
fn is_finer(before: Option<&ColumnRules>, now: &ColumnRules) -> bool {
    let has_other = before.is_none_or(|before| before.levels() != now.levels());
    let has_other_range = before.is_none_or(|before| before.measure() != now.measure());
    let becomes_complete = now.is_complete() && before.is_none_or(|before| !before.is_complete());
    becomes_complete || (has_other && *now.levels() != Levels::None) || (has_other_range && now.measure().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_is_weaker_unless_it_reveals_less() {
        use ColumnClass::{DirectIdentifier, Ordinary, QuasiIdentifier, Sensitive};
        let weaker = [
            (None, Ordinary),
            (None, Sensitive),
            (None, QuasiIdentifier),
            (Some(DirectIdentifier), Ordinary),
            (Some(DirectIdentifier), Sensitive),
            (Some(DirectIdentifier), QuasiIdentifier),
            (Some(Sensitive), Ordinary),
            (Some(Sensitive), QuasiIdentifier),
            (Some(QuasiIdentifier), Ordinary),
            (Some(QuasiIdentifier), Sensitive),
        ];
        let all = [None].into_iter().chain(ColumnClass::ALL.map(Some));
        for before in all {
            for now in ColumnClass::ALL {
                assert_eq!(
                    is_weaker(before, now),
                    weaker.contains(&(before, now)),
                    "{before:?} {now:?}"
                );
            }
        }
    }
}
