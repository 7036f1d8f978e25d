//! Whether a new version of a published collection is declared to reveal more than the version that its steward published.

use std::collections::BTreeSet;

use concordat_protocol::{
    collection::{ANCESTORS_LEVEL, CollectionRules, ColumnRules, Levels, ListedValues, NAMED_LEVEL, RawLevels},
    ids::DatasetName,
    schema::ColumnClass,
    scope::Value,
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
        columns.any(|(column, now)| is_finer(name, column_before(column), now))
    })
}

/// Which of two divisions is the finer one is not decided: any other one is taken to be finer, and none at all is not.
fn is_finer(dataset: &DatasetName, before: Option<&ColumnRules>, now: &ColumnRules) -> bool {
    let is_other = |before: &ColumnRules| {
        before.levels() != now.levels() && !differ_in_names(dataset, before.levels(), now.levels())
    };
    let has_other = before.is_none_or(is_other);
    let has_other_range = before.is_none_or(|before| before.measure() != now.measure());
    let becomes_complete = now.is_complete() && before.is_none_or(|before| !before.is_complete());
    becomes_complete || (has_other && *now.levels() != Levels::None) || (has_other_range && now.measure().is_some())
}

/// Whether levels of codes differ in nothing but which names listed codes have in a reference dataset: these are found whenever it is imported,
/// and a group by names has the codes of several groups by codes.
fn differ_in_names(dataset: &DatasetName, before: &Levels, now: &Levels) -> bool {
    let (Levels::Codes(_), Levels::Codes(codes)) = (before, now) else {
        return false;
    };
    let listed = || codes.listed().into_iter().flat_map(ListedValues::iter);
    let mut named = codes.named().into_iter().flat_map(ListedValues::iter);
    let are_listed = named.all(|named| listed().any(|listed| listed.value == named.value));
    let is_elsewhere = codes.names().is_some_and(|names| names.dataset != *dataset);
    // Codes above listed ones have the names of the same dataset.
    let has_no_other_group = above(now).is_subset(&above(before));
    are_listed && is_elsewhere && has_no_other_group && without_names(before) == without_names(now)
}

/// The codes above listed ones that are groups.
fn above(levels: &Levels) -> BTreeSet<&Value> {
    let codes = match levels {
        Levels::Codes(codes) => codes.ancestors(),
        Levels::None | Levels::Truth | Levels::Edges(_) | Levels::Values(_) => None,
    };
    let listed = codes.into_iter().flat_map(ListedValues::iter);
    listed.map(|code| &code.value).collect()
}

fn without_names(levels: &Levels) -> RawLevels {
    let mut raw = levels.raw();
    if let RawLevels::Codes { levels, .. } = &mut raw {
        levels.retain(|level, _| ![NAMED_LEVEL, ANCESTORS_LEVEL].contains(&level.as_str()));
    }
    raw
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use concordat_protocol::{
        collection::{CodeNames, Contents, LISTED_LEVEL, Listed, ValueLabel},
        ids::{ColumnName, LevelName},
        schema::ColumnKind,
    };

    use super::*;

    /// Codes with these in the list, and with this name of each of these.
    fn codes(of: &str, list: &[i64], named: &[(i64, &str)]) -> Levels {
        let listed = |(value, label): (i64, &str)| Listed {
            value: Value::Int(value),
            label: ValueLabel::new(label).unwrap(),
        };
        let level = |name: &str| LevelName::new(name).unwrap();
        let all: Vec<Listed> = list.iter().map(|code| listed((*code, &code.to_string()))).collect();
        let mut levels = BTreeMap::from([(level(LISTED_LEVEL), all)]);
        if !named.is_empty() {
            levels.insert(level(NAMED_LEVEL), named.iter().copied().map(listed).collect());
        }
        let raw = RawLevels::Codes {
            hierarchy: None,
            names: Some(CodeNames {
                dataset: DatasetName::new(of).unwrap(),
                code: ColumnName::new("code").unwrap(),
                name: ColumnName::new("name").unwrap(),
            }),
            levels,
        };
        Levels::check(raw, Contents::Of(ColumnKind::Int)).unwrap()
    }

    #[test]
    fn other_names_of_listed_codes_reveal_no_more() {
        let before = codes("concept", &[5, 7], &[(5, "gout")]);
        let event = DatasetName::new("event").unwrap();
        let differ = |now: &Levels| differ_in_names(&event, &before, now);
        for named in [&[][..], &[(5, "podagra")], &[(5, "gout"), (7, "asthma")]] {
            assert!(differ(&codes("concept", &[5, 7], named)), "{named:?}");
        }
        assert!(!differ(&codes("concept", &[5, 7], &[(5, "gout"), (9, "rare")])));
        assert!(!differ(&codes("concept", &[5, 7, 9], &[(5, "gout")])));
        assert!(!differ(&codes("other", &[5, 7], &[(5, "gout")])));
        // Texts of the rows with the codes are data.
        let texts = |name: &str| codes("event", &[5, 7], &[(5, name)]);
        assert!(!differ_in_names(&event, &texts("gout"), &texts("podagra")));
    }

    #[test]
    fn other_names_of_ancestors_reveal_no_more() {
        let event = DatasetName::new("event").unwrap();
        let with = |above: &[(i64, &str)]| {
            let mut raw = codes("concept", &[5, 7], &[(5, "gout")]).raw();
            if let RawLevels::Codes { levels, .. } = &mut raw {
                let listed = above.iter().map(|(code, name)| Listed {
                    value: Value::Int(*code),
                    label: ValueLabel::new(name).unwrap(),
                });
                levels.insert(LevelName::new(ANCESTORS_LEVEL).unwrap(), listed.collect());
            }
            Levels::check(raw, Contents::Of(ColumnKind::Int)).unwrap()
        };
        let before = with(&[(50, "aspirin"), (51, "ibuprofen")]);
        let none = codes("concept", &[5, 7], &[(5, "gout")]);
        for now in [
            &with(&[(50, "ASA"), (51, "ibuprofen")]),
            &with(&[(51, "ibuprofen")]),
            &none,
        ] {
            assert!(differ_in_names(&event, &before, now), "{now:?}");
        }
        assert!(!differ_in_names(
            &event,
            &before,
            &with(&[(50, "aspirin"), (52, "rare")])
        ));
        assert!(!differ_in_names(&event, &none, &before));
    }

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
