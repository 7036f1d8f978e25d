//! The input of the decision point: facts about members, collections, datasets and columns.

use concordat_protocol::{
    ids::{CollectionRef, ColumnName, DatasetName, InstitutionId, Jurisdiction, SegmentName},
    membership::MemberStatus,
    policy_set::Reveal,
    release::ReleaseRules,
    schema::{ColumnClass, ColumnKind, is_age, is_birth},
    scope::{BandWidth, Generalization, Kind, ProtectionName, Transform, column_label},
};

/// The name of a kind of column in policies.
pub(crate) const fn kind_name(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Boolean => "boolean",
        ColumnKind::Int => "integer",
        ColumnKind::Float => "float",
        ColumnKind::Date => "date",
        ColumnKind::Timestamp => "timestamp",
        ColumnKind::TimestampUtc => "timestamp",
        ColumnKind::Text => "text",
    }
}

/// The kinds of values that a row condition may compare a column with.
pub(crate) const fn comparable(kind: ColumnKind) -> &'static [Kind] {
    match kind {
        ColumnKind::Boolean => &[Kind::Bool],
        ColumnKind::Int => &[Kind::Int],
        ColumnKind::Float => &[Kind::Float, Kind::Int],
        ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampUtc => &[Kind::Date],
        ColumnKind::Text => &[Kind::Text],
    }
}

/// A column as the decision point sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Its name.
    pub name: ColumnName,
    /// Its class; `None` until the steward has classified it.
    pub class: Option<ColumnClass>,
    /// What it holds.
    pub kind: ColumnKind,
    /// How its values can be generalized, if they can.
    pub generalization: Option<Generalization>,
}

impl ColumnFacts {
    /// A column with the generalization for its type: the year of a date, or a ten-year band of an age. An age is an integer with the
    /// word `age` in its name (`age`, `age_at_visit`).
    pub fn new(name: ColumnName, class: Option<ColumnClass>, kind: ColumnKind) -> Self {
        let is_age = is_age(name.as_str());
        let generalization = match kind {
            ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampUtc => Some(Generalization::Year),
            ColumnKind::Int if is_age => Some(Generalization::AgeBand(BandWidth::Ten)),
            ColumnKind::Boolean | ColumnKind::Int | ColumnKind::Float | ColumnKind::Text => None,
        };
        Self {
            name,
            class,
            kind,
            generalization,
        }
    }

    /// What it holds, in the terms of catalogs and conditions.
    pub const fn kind_label(&self) -> &'static str {
        match self.kind {
            ColumnKind::Boolean => "boolean",
            ColumnKind::Int => "integer",
            ColumnKind::Float => "number",
            ColumnKind::Date => "date",
            ColumnKind::Timestamp => "time",
            ColumnKind::TimestampUtc => "time",
            ColumnKind::Text => "text",
        }
    }

    /// Whether its values can be transformed in this way.
    fn can_be(&self, transform: Transform) -> bool {
        match (transform, self.generalization) {
            (Transform::Clear | Transform::Removed, _) => true,
            (Transform::Generalized(Generalization::Year), Some(Generalization::Year)) => true,
            (Transform::Generalized(Generalization::AgeBand(_)), Some(Generalization::AgeBand(_))) => true,
            (Transform::Generalized(Generalization::Levels), Some(Generalization::Levels)) => true,
            (Transform::Generalized(Generalization::Year | Generalization::AgeBand(_) | Generalization::Levels), _) => {
                false
            }
            (Transform::Pseudonym, _) => self.kind != ColumnKind::Boolean,
        }
    }
}

/// A dataset of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetFacts {
    /// Its name.
    pub name: DatasetName,
    /// Its columns.
    pub columns: Vec<ColumnFacts>,
}

impl DatasetFacts {
    pub(crate) fn column(&self, name: &ColumnName) -> Option<&ColumnFacts> {
        self.columns.iter().find(|column| column.name == *name)
    }
}

/// A collection as the decision point sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionFacts {
    /// The collection and its institution.
    pub reference: CollectionRef,
    /// The segment it is stored in.
    pub segment: SegmentName,
    /// Whether the steward has published it.
    pub published: bool,
    /// Its datasets, none of a name twice.
    pub datasets: Vec<DatasetFacts>,
    /// The release rules that its steward has set.
    pub release: ReleaseRules,
}

/// A column of a dataset of a collection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ColumnPath {
    pub(crate) dataset: DatasetName,
    pub(crate) column: ColumnName,
}

impl ColumnPath {
    pub(crate) fn new(dataset: &DatasetName, column: &ColumnName) -> Self {
        Self {
            dataset: dataset.clone(),
            column: column.clone(),
        }
    }

    /// The column as texts name it.
    pub(crate) fn label(&self, collection: &CollectionRef) -> String {
        column_label(collection, &self.dataset, &self.column)
    }
}

impl CollectionFacts {
    /// Whether the column is a date of birth, by its name or as declared by the steward.
    pub(crate) fn is_birth(&self, column: &ColumnFacts) -> bool {
        matches!(
            column.generalization,
            Some(Generalization::Year | Generalization::Levels)
        ) && (is_birth(column.name.as_str()) || self.release.births.contains(&column.name))
    }

    /// Whether the dataset has the column and its values can be transformed in this way.
    pub fn can_show(&self, dataset: &DatasetName, column: &ColumnName, transform: Transform) -> bool {
        self.column(dataset, column)
            .is_some_and(|column| column.can_be(transform))
    }

    /// The dataset of this name; `None` if the collection has none.
    pub fn dataset(&self, name: &DatasetName) -> Option<&DatasetFacts> {
        self.datasets.iter().find(|dataset| dataset.name == *name)
    }

    pub(crate) fn column(&self, dataset: &DatasetName, column: &ColumnName) -> Option<&ColumnFacts> {
        self.dataset(dataset)?.column(column)
    }

    /// The columns of all datasets.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&DatasetFacts, &ColumnFacts)> {
        self.datasets
            .iter()
            .flat_map(|dataset| dataset.columns.iter().map(move |column| (dataset, column)))
    }
}

/// An institution as listed in the current roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its id.
    pub institution: InstitutionId,
    /// The country whose law binds it.
    pub jurisdiction: Jurisdiction,
    /// Its status; `None` if it is not on the roster, or if there is no valid roster.
    pub status: Option<MemberStatus>,
}

/// Who requests, and who holds the data.
#[derive(Clone, Copy)]
pub(crate) struct Parties<'a> {
    pub(crate) consumer: &'a Party,
    pub(crate) holder: &'a Party,
}

/// The action in policies that releases answers under a protection.
pub(crate) const fn protect_action(protection: ProtectionName) -> &'static str {
    match protection {
        ProtectionName::Exact => "protect-exact",
        ProtectionName::Perturbed => "protect-perturbed",
        ProtectionName::Private => "protect-private",
    }
}

/// The action in policies that releases a column in this form.
pub(crate) const fn reveal_action(reveal: Reveal) -> &'static str {
    match reveal {
        Reveal::Clear => "reveal-clear",
        Reveal::Generalized => "reveal-generalized",
        Reveal::Pseudonym => "reveal-pseudonym",
    }
}
