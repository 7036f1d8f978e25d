//! The record of a collection, as its institution stores it.
//!
//! A collection of one is stored as the record of its dataset always was, so what the ledger states about such a record stays true.

use std::{collections::BTreeMap, num::NonZeroU32};

use concordat_protocol::{
    collection::{CollectionRules, DatasetKind, MAX_DATASETS},
    ids::{CollectionName, ColumnName, CreationId, DatasetName, Digest32, SegmentName},
    labels,
    release::ReleaseRules,
    schema::VersionNumber,
};
use serde::{Deserialize, Serialize};

use super::{DatasetKeys, DatasetRecord};
use crate::catalog::{
    Classification,
    version::collection::{kind_of_subject, subject_column},
};

/// What is stored about a collection apart from its data.
///
/// INVARIANT (decoding checks it, and [`CollectionRecord::with_datasets`] and [`CollectionRecord::with_rules`]): there are between one and
/// [`MAX_DATASETS`] datasets. If there are rules, kinds and classes are those of the rules; a collection of one as its dataset has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RecordForm", into = "RecordForm")]
pub struct CollectionRecord {
    /// Its name.
    pub name: CollectionName,
    /// Its segment.
    pub segment: SegmentName,
    datasets: BTreeMap<DatasetName, DatasetDeclarations>,
    rules: Option<CollectionRules>,
    /// Whether it is shown to other institutions.
    pub published: bool,
    /// The version that a new query reads, of all datasets.
    pub current: VersionNumber,
    /// The oldest version that is kept.
    pub oldest: VersionNumber,
    /// How many versions are kept; all of them if `None`.
    pub keep: Option<NonZeroU32>,
    /// The steward's decisions about its answers.
    pub release: ReleaseRules,
    /// Distinguishes it from other collections that had or will have its name; `None` if it was imported by a version that did not record it.
    pub created: Option<CreationId>,
    pub(in crate::catalog) keys: DatasetKeys,
}

/// What is declared about a dataset of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetDeclarations {
    /// How its rows lead to subjects.
    pub kind: DatasetKind,
    /// What its columns reveal.
    pub classification: Classification,
}

/// The stored form: with `subject` and `classification` of the only dataset, with `datasets`, or with `rules`, which contain kinds and
/// classes.
#[derive(Clone, Serialize, Deserialize)]
struct RecordForm {
    name: CollectionName,
    segment: SegmentName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<ColumnName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classification: Option<Classification>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datasets: Option<BTreeMap<DatasetName, DatasetDeclarations>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<CollectionRules>,
    published: bool,
    current: VersionNumber,
    oldest: VersionNumber,
    keep: Option<NonZeroU32>,
    #[serde(default)]
    release: ReleaseRules,
    #[serde(default)]
    created: Option<CreationId>,
    keys: DatasetKeys,
}

/// A record with other keys or other retained versions, and the declarations that it had.
#[derive(Debug)]
pub(in crate::catalog) struct MaintainedRecord {
    old: CollectionRecord,
    new: CollectionRecord,
}

impl MaintainedRecord {
    pub(in crate::catalog) const fn before(&self) -> &CollectionRecord {
        &self.old
    }

    pub(in crate::catalog) const fn after(&self) -> &CollectionRecord {
        &self.new
    }
}

/// Why a stored value is not the record of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the record of a collection")]
struct InvalidRecord;

impl CollectionRecord {
    /// The same record with these datasets and no rules; `None` for none or more than [`MAX_DATASETS`].
    #[must_use]
    pub fn with_datasets(self, datasets: BTreeMap<DatasetName, DatasetDeclarations>) -> Option<Self> {
        let record = Self {
            datasets,
            rules: None,
            ..self
        };
        (1..=MAX_DATASETS).contains(&record.datasets.len()).then_some(record)
    }

    /// The same record with the datasets of these rules; `None` as for [`CollectionRecord::with_datasets`], and for what is a collection of
    /// one as its dataset.
    #[must_use]
    pub fn with_rules(self, rules: CollectionRules) -> Option<Self> {
        let mut record = self.with_datasets(declared_by(&rules))?;
        if record.only().is_some() {
            return None;
        }
        record.rules = Some(rules);
        Some(record)
    }

    /// The record of a new collection, with its first version; `None` as for [`CollectionRecord::with_datasets`].
    pub(in crate::catalog) fn first(
        (name, segment): (CollectionName, SegmentName),
        datasets: BTreeMap<DatasetName, DatasetDeclarations>,
        keys: DatasetKeys,
        created: CreationId,
    ) -> Option<Self> {
        let record = Self {
            name,
            segment,
            datasets: BTreeMap::new(),
            rules: None,
            published: false,
            current: VersionNumber::FIRST,
            oldest: VersionNumber::FIRST,
            keep: None,
            release: ReleaseRules::default(),
            created: Some(created),
            keys,
        };
        record.with_datasets(datasets)
    }

    /// The record with other keys.
    pub(in crate::catalog) fn with_keys(&self, keys: DatasetKeys) -> MaintainedRecord {
        self.maintained(|new| new.keys = keys)
    }

    /// The record with this as its oldest version.
    pub(in crate::catalog) fn with_oldest(&self, oldest: VersionNumber) -> MaintainedRecord {
        self.maintained(|new| new.oldest = oldest)
    }

    /// The record with another retention rule.
    pub(in crate::catalog) fn with_retention(&self, keep: Option<NonZeroU32>) -> MaintainedRecord {
        self.maintained(|new| new.keep = keep)
    }

    fn maintained(&self, change: impl FnOnce(&mut Self)) -> MaintainedRecord {
        let mut new = self.clone();
        change(&mut new);
        MaintainedRecord { old: self.clone(), new }
    }

    /// What identifies everything that is declared about the collection: another digest for each difference.
    #[must_use]
    pub fn declared_digest(&self) -> Digest32 {
        match &self.rules {
            Some(rules) => digest(labels::DECLARATIONS, rules),
            None => digest(labels::DECLARATIONS, &self.datasets),
        }
    }

    /// The same of the steward's decisions about its answers.
    #[must_use]
    pub fn release_digest(&self) -> Digest32 {
        digest(labels::RELEASE_RULES, &self.release)
    }

    /// The datasets with what is declared about them, in the order of their names.
    #[must_use]
    pub fn datasets(&self) -> &BTreeMap<DatasetName, DatasetDeclarations> {
        &self.datasets
    }

    /// What is declared about the collection as a whole; `None` for a collection of one as its dataset.
    #[must_use]
    pub fn rules(&self) -> Option<&CollectionRules> {
        self.rules.as_ref()
    }

    /// The name, as that of a dataset.
    #[must_use]
    pub fn dataset_name(&self) -> DatasetName {
        DatasetName::from(&self.name)
    }

    /// The only dataset of a collection of one, with its subject; `None` for any other collection.
    fn only(&self) -> Option<(ColumnName, &Classification)> {
        let mut datasets = self.datasets.iter();
        let (name, only) = datasets.next()?;
        if datasets.next().is_some() || !self.name.is_name_of(name) {
            return None;
        }
        // That a subject has one row at most is not declared of a dataset alone.
        let is_alone = matches!(
            only.kind,
            DatasetKind::Keyed { unique: false, .. } | DatasetKind::EachRow
        );
        let subject = subject_column(&only.kind).filter(|_| is_alone)?;
        Some((subject, &only.classification))
    }

    /// A collection of one as its dataset; `None` for any other collection.
    #[must_use]
    pub fn alone(&self) -> Option<DatasetRecord> {
        let (subject, classification) = self.only()?;
        Some(DatasetRecord {
            name: self.dataset_name(),
            segment: self.segment.clone(),
            subject,
            classification: classification.clone(),
            published: self.published,
            current: self.current,
            oldest: self.oldest,
            keep: self.keep,
            release: self.release.clone(),
            created: self.created,
            keys: self.keys.clone(),
        })
    }
}

impl From<DatasetRecord> for CollectionRecord {
    fn from(record: DatasetRecord) -> Self {
        let only = DatasetDeclarations {
            kind: kind_of_subject(&record.subject),
            classification: record.classification,
        };
        Self {
            name: CollectionName::from(&record.name),
            segment: record.segment,
            datasets: BTreeMap::from([(record.name, only)]),
            rules: None,
            published: record.published,
            current: record.current,
            oldest: record.oldest,
            keep: record.keep,
            release: record.release,
            created: record.created,
            keys: record.keys,
        }
    }
}

impl TryFrom<RecordForm> for CollectionRecord {
    type Error = InvalidRecord;

    fn try_from(form: RecordForm) -> Result<Self, InvalidRecord> {
        let is_short = form.datasets.is_none() && form.rules.is_none();
        let datasets = match (form.subject, form.classification, form.datasets, &form.rules) {
            (Some(subject), Some(classification), None, None) => {
                let kind = kind_of_subject(&subject);
                let only = DatasetDeclarations { kind, classification };
                BTreeMap::from([(DatasetName::from(&form.name), only)])
            }
            (None, None, Some(datasets), None) => datasets,
            (None, None, None, Some(rules)) => declared_by(rules),
            (Some(_) | None, Some(_) | None, Some(_) | None, Some(_) | None) => return Err(InvalidRecord),
        };
        if !(1..=MAX_DATASETS).contains(&datasets.len()) {
            return Err(InvalidRecord);
        }
        let record = Self {
            name: form.name,
            segment: form.segment,
            datasets,
            rules: form.rules,
            published: form.published,
            current: form.current,
            oldest: form.oldest,
            keep: form.keep,
            release: form.release,
            created: form.created,
            keys: form.keys,
        };
        // What has the shorter form has no other one.
        if is_short == record.only().is_some() {
            Ok(record)
        } else {
            Err(InvalidRecord)
        }
    }
}

fn digest(label: &str, value: &impl Serialize) -> Digest32 {
    let mut encoded = Vec::new();
    // No part of a record has a type that cannot be encoded.
    ciborium::into_writer(value, &mut encoded).ok();
    Digest32::sha256(label, &encoded)
}

/// Kinds and classes, as rules declare them.
fn declared_by(rules: &CollectionRules) -> BTreeMap<DatasetName, DatasetDeclarations> {
    let datasets = rules.datasets().map(|(name, dataset)| {
        let columns = dataset.columns();
        let classes = columns.filter_map(|(column, rules)| Some((column.clone(), rules.class()?)));
        let declared = DatasetDeclarations {
            kind: dataset.kind().clone(),
            classification: classes.collect(),
        };
        (name.clone(), declared)
    });
    datasets.collect()
}

impl From<CollectionRecord> for RecordForm {
    fn from(record: CollectionRecord) -> Self {
        let only = record.only();
        let only = only.map(|(subject, classification)| (subject, classification.clone()));
        let (subject, classification) = only.unzip();
        let has_kinds = subject.is_none() && record.rules.is_none();
        Self {
            name: record.name,
            segment: record.segment,
            subject,
            classification,
            datasets: has_kinds.then_some(record.datasets),
            rules: record.rules,
            published: record.published,
            current: record.current,
            oldest: record.oldest,
            keep: record.keep,
            release: record.release,
            created: record.created,
            keys: record.keys,
        }
    }
}

#[cfg(test)]
mod tests;
