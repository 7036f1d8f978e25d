//! In which order the datasets of a version are written, and how their subjects are found.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::{
    collection::{DatasetKind, KeyLink, MAX_DATASETS},
    ids::{ColumnName, DatasetName},
};

use super::{
    super::{CollectionManifest, CollectionRecord, version::collection::subject_column},
    ImportError, ImportMode,
    destination::Destination,
    subjects::Numbering,
};

/// A dataset and its kind, as they are declared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared<'a> {
    pub(super) name: &'a DatasetName,
    pub(super) kind: &'a DatasetKind,
}

/// What is imported, and where to.
#[derive(Clone, Copy)]
struct Change<'a> {
    destination: &'a Destination,
    datasets: &'a [Declared<'a>],
}

/// The datasets of an import in an order in which the subjects of each can be found.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) order: Vec<DatasetName>,
    /// The datasets whose subjects are registered.
    pub(super) registering: BTreeSet<DatasetName>,
    /// The keys by which other datasets find their subjects.
    pub(super) linked: BTreeMap<DatasetName, BTreeSet<ColumnName>>,
    pub(super) numbering: Numbering,
    /// Whether the version is that of a dataset alone: each of its rows has a subject, which may be the row itself.
    pub(super) is_alone: bool,
}

impl Plan {
    /// How `datasets` become a version of the destination.
    ///
    /// # Errors
    /// [`ImportError::Kind`] for a dataset whose subjects cannot be found.
    pub(super) fn of(destination: &Destination, datasets: &[Declared<'_>]) -> Result<Self, ImportError> {
        let change = Change { destination, datasets };
        change.check_names()?;
        for dataset in datasets {
            change.check_kind(*dataset)?;
        }
        let mut linked: BTreeMap<DatasetName, BTreeSet<ColumnName>> = BTreeMap::new();
        for link in datasets.iter().flat_map(|dataset| links(dataset.kind)) {
            linked.entry(link.to.clone()).or_default().insert(link.key.clone());
        }
        Ok(Self {
            order: change.order()?,
            registering: change.registering(),
            linked,
            numbering: change.numbering()?,
            is_alone: change.is_alone(),
        })
    }
}

/// The links through which a dataset leads to its subjects.
pub(super) fn links(kind: &DatasetKind) -> Vec<&KeyLink> {
    match kind {
        DatasetKind::Owned { through } => through.iter().collect(),
        DatasetKind::Keyed { .. } | DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => Vec::new(),
    }
}

fn refused(dataset: &DatasetName, problem: &'static str) -> ImportError {
    ImportError::Kind {
        name: dataset.clone(),
        problem,
    }
}

impl<'a> Change<'a> {
    /// The version before, if its rows stay.
    fn stays(&self) -> Option<&'a CollectionManifest> {
        self.destination.stays()
    }

    fn rows_stay(&self) -> bool {
        self.destination.mode == ImportMode::Append
    }

    fn imports(&self, name: &DatasetName) -> bool {
        self.datasets.iter().any(|dataset| dataset.name == name)
    }

    /// Whether the new version has one dataset, as [`CollectionRecord::alone`] shows it.
    fn is_alone(&self) -> bool {
        let [only] = self.datasets else { return false };
        let others_stay = self
            .stays()
            .is_some_and(|stays| stays.datasets().iter().any(|other| other.name != *only.name));
        let can_be = matches!(
            only.kind,
            DatasetKind::Keyed { unique: false, .. } | DatasetKind::EachRow
        );
        can_be && !others_stay && self.destination.name.is_name_of(only.name)
    }

    fn check_names(&self) -> Result<(), ImportError> {
        let mut names = BTreeSet::new();
        for dataset in self.datasets {
            if !names.insert(dataset.name) {
                return Err(refused(dataset.name, "is imported twice"));
            }
        }
        if (1..=MAX_DATASETS).contains(&names.len()) {
            Ok(())
        } else {
            let name = DatasetName::from(&self.destination.name);
            Err(refused(&name, "has no datasets, or too many"))
        }
    }

    fn check_kind(&self, dataset: Declared<'_>) -> Result<(), ImportError> {
        match dataset.kind {
            DatasetKind::EachRow if !self.is_alone() => {
                Err(refused(dataset.name, "is of a collection, whose subjects have a key"))
            }
            // The rows that stay are not read again, so their keys are not known.
            DatasetKind::Owned { .. } if self.stays().is_some() => Err(refused(
                dataset.name,
                "finds its subjects through other datasets, so no rows can be added; import all of them with `--replace`",
            )),
            DatasetKind::Owned { through } => {
                if through.iter().all(|link| self.imports(&link.to)) {
                    Ok(())
                } else {
                    Err(refused(dataset.name, "is linked to a dataset that is not imported"))
                }
            }
            DatasetKind::Keyed { .. } | DatasetKind::EachRow | DatasetKind::Reference | DatasetKind::Unowned => Ok(()),
        }
    }

    /// Only those with one row for each subject, if there are any: others are not to add subjects that these lack.
    fn registering(&self) -> BTreeSet<DatasetName> {
        let keyed = |unique_only: bool| {
            self.datasets.iter().filter(move |dataset| match dataset.kind {
                DatasetKind::Keyed { unique, .. } => *unique || !unique_only,
                DatasetKind::Owned { .. } | DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => {
                    false
                }
            })
        };
        let stays = self.destination.old.as_ref().filter(|_| self.stays().is_some());
        let mut others = stays.into_iter().flat_map(CollectionRecord::datasets);
        let is_elsewhere = others
            .any(|(name, other)| !self.imports(name) && matches!(other.kind, DatasetKind::Keyed { unique: true, .. }));
        let unique_only = is_elsewhere || keyed(true).next().is_some();
        keyed(unique_only).map(|dataset| dataset.name.clone()).collect()
    }

    fn numbering(&self) -> Result<Numbering, ImportError> {
        let Some(before) = self.destination.previous() else {
            return Ok(Numbering::First);
        };
        match (self.datasets, before.datasets()) {
            ([only], [known])
                if self.is_alone() && known.name == *only.name && subject_column(&known.kind).is_some() =>
            {
                Ok(Numbering::of(only.kind, known, self.rows_stay()))
            }
            (_, _) => self.numbering_of_several(before),
        }
    }

    fn numbering_of_several(&self, before: &CollectionManifest) -> Result<Numbering, ImportError> {
        let rows_stay = self.rows_stay();
        let mut same = false;
        for dataset in self.datasets {
            let Some(known) = before.dataset(dataset.name) else {
                continue;
            };
            match (&known.kind, dataset.kind) {
                (DatasetKind::Keyed { subject: one, .. }, DatasetKind::Keyed { subject: other, .. })
                    if one == other =>
                {
                    same |= known.ordinals;
                }
                (one, other) if one == other => {}
                // Neither leads to a subject.
                (DatasetKind::Reference | DatasetKind::Unowned, DatasetKind::Reference | DatasetKind::Unowned) => {}
                (_, _) if rows_stay => {
                    return Err(refused(dataset.name, "has rows that lead to subjects in another way"));
                }
                (_, _) => return Ok(Numbering::Restarted),
            }
        }
        if !rows_stay {
            return Ok(if same {
                Numbering::Continued { rows_stay }
            } else {
                Numbering::Restarted
            });
        }
        for known in before.datasets() {
            let is_owned = !matches!(known.kind, DatasetKind::Reference | DatasetKind::Unowned);
            let has_registry = known.ordinals && known.kind != DatasetKind::EachRow;
            if is_owned && !has_registry && !known.objects.is_empty() {
                return Err(refused(
                    &known.name,
                    "has rows without ordinals of subjects; import all datasets with `--replace`",
                ));
            }
        }
        Ok(Numbering::Continued { rows_stay })
    }

    fn order(&self) -> Result<Vec<DatasetName>, ImportError> {
        let rank = |dataset: &Declared<'_>| match dataset.kind {
            DatasetKind::Keyed { unique: true, .. } => 0,
            DatasetKind::Keyed { unique: false, .. } => 1,
            DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => 2,
            DatasetKind::Owned { .. } => 3,
        };
        let mut left: Vec<Declared<'_>> = self.datasets.to_vec();
        left.sort_by_key(rank);
        let mut order: Vec<DatasetName> = Vec::new();
        while !left.is_empty() {
            let is_next = |dataset: &Declared<'_>| links(dataset.kind).iter().all(|link| order.contains(&link.to));
            match left.iter().position(is_next) {
                Some(next) => order.push(left.remove(next).name.clone()),
                None => break,
            }
        }
        match left.first() {
            None => Ok(order),
            Some(dataset) => Err(refused(dataset.name, "is linked to itself")),
        }
    }
}
