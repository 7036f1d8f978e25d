//! What the decision point is told about members, datasets and columns.

use concordat_protocol::{
    ids::{ColumnName, DatasetRef, InstitutionId, Jurisdiction, SegmentName},
    membership::MemberStatus,
    schema::{ColumnClass, ColumnKind},
    scope::{BandWidth, Generalisation, Kind, Transform},
};
use concordat_storage::{
    catalog::{DatasetRecord, Manifest, ReleaseRules},
    ingest::{is_age, is_birth},
};

/// The word policies have for a kind of column.
pub(super) const fn word(kind: ColumnKind) -> &'static str {
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

/// The kinds of values a row condition may compare a column with.
pub(super) const fn comparable(kind: ColumnKind) -> &'static [Kind] {
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
    /// Its class; nothing while the steward has not said.
    pub class: Option<ColumnClass>,
    /// What it holds.
    pub kind: ColumnKind,
    /// How its values can be made coarser, if they can.
    pub generalisation: Option<Generalisation>,
}

impl ColumnFacts {
    /// A column with the coarsening its type has: the year of a date, a band of ten years of an age. An age is a whole
    /// number with the word `age` in its name (`age`, `age_at_visit`).
    pub fn new(name: ColumnName, class: Option<ColumnClass>, kind: ColumnKind) -> Self {
        let is_age = is_age(name.as_str());
        let generalisation = match kind {
            ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampUtc => Some(Generalisation::Year),
            ColumnKind::Int if is_age => Some(Generalisation::AgeBand(BandWidth::Ten)),
            ColumnKind::Boolean | ColumnKind::Int | ColumnKind::Float | ColumnKind::Text => None,
        };
        Self {
            name,
            class,
            kind,
            generalisation,
        }
    }

    /// What it holds, in the words of catalogues and conditions.
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

    /// Whether its values can be changed so.
    fn can_be(&self, transform: Transform) -> bool {
        match (transform, self.generalisation) {
            (Transform::Clear | Transform::Removed, _) => true,
            (Transform::Generalised(Generalisation::Year), Some(Generalisation::Year)) => true,
            (Transform::Generalised(Generalisation::AgeBand(_)), Some(Generalisation::AgeBand(_))) => true,
            (Transform::Generalised(Generalisation::Year | Generalisation::AgeBand(_)), _) => false,
            (Transform::Pseudonym, _) => self.kind != ColumnKind::Boolean,
        }
    }
}

/// A dataset as the decision point sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetFacts {
    /// Which one.
    pub reference: DatasetRef,
    /// The segment it is kept in.
    pub segment: SegmentName,
    /// Whether the steward has published it.
    pub published: bool,
    /// Its columns.
    pub columns: Vec<ColumnFacts>,
    /// What its steward has decided about its answers.
    pub release: ReleaseRules,
}

impl DatasetFacts {
    /// What `holder`'s catalogue says of a dataset; columns that belong to the system are left out.
    pub fn new(holder: &InstitutionId, record: &DatasetRecord, manifest: &Manifest) -> Self {
        let columns = manifest.own_columns().map(|column| {
            ColumnFacts::new(
                column.name.clone(),
                record.classification.class(&column.name),
                column.kind,
            )
        });
        Self {
            reference: DatasetRef {
                institution: holder.clone(),
                dataset: record.name.clone(),
            },
            segment: record.segment.clone(),
            published: record.published,
            columns: columns.collect(),
            release: record.release.clone(),
        }
    }

    /// Whether the column tells when a person was born, by its name or by the steward's word.
    pub(super) fn is_birth(&self, column: &ColumnFacts) -> bool {
        column.generalisation == Some(Generalisation::Year)
            && (is_birth(column.name.as_str()) || self.release.births.contains(&column.name))
    }

    /// Whether the dataset has the column and its values can be changed so.
    pub fn can_show(&self, name: &ColumnName, transform: Transform) -> bool {
        self.column(name).is_some_and(|column| column.can_be(transform))
    }

    pub(super) fn column(&self, name: &ColumnName) -> Option<&ColumnFacts> {
        self.columns.iter().find(|column| column.name == *name)
    }
}

/// An institution as the roster in force has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its id.
    pub institution: InstitutionId,
    /// The country whose law binds it.
    pub jurisdiction: Jurisdiction,
    /// Its status; nothing when it is not on the roster, or when there is no valid roster.
    pub status: Option<MemberStatus>,
}
