//! The input of the decision point: facts about members, datasets and columns.

use concordat_protocol::{
    ids::{ColumnName, DatasetRef, InstitutionId, Jurisdiction, SegmentName},
    membership::MemberStatus,
    policy_set::Reveal,
    release::ReleaseRules,
    schema::{ColumnClass, ColumnKind, is_age, is_birth},
    scope::{BandWidth, Generalization, Kind, Transform},
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
            (Transform::Generalized(Generalization::Year | Generalization::AgeBand(_)), _) => false,
            (Transform::Pseudonym, _) => self.kind != ColumnKind::Boolean,
        }
    }
}

/// A dataset as the decision point sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionFacts {
    /// The dataset and its institution.
    pub reference: DatasetRef,
    /// The segment it is stored in.
    pub segment: SegmentName,
    /// Whether the steward has published it.
    pub published: bool,
    /// Its columns.
    pub columns: Vec<ColumnFacts>,
    /// The release rules that its steward has set.
    pub release: ReleaseRules,
}

impl CollectionFacts {
    /// Whether the column is a date of birth, by its name or as declared by the steward.
    pub(crate) fn is_birth(&self, column: &ColumnFacts) -> bool {
        column.generalization == Some(Generalization::Year)
            && (is_birth(column.name.as_str()) || self.release.births.contains(&column.name))
    }

    /// Whether the dataset has the column and its values can be transformed in this way.
    pub fn can_show(&self, name: &ColumnName, transform: Transform) -> bool {
        self.column(name).is_some_and(|column| column.can_be(transform))
    }

    pub(crate) fn column(&self, name: &ColumnName) -> Option<&ColumnFacts> {
        self.columns.iter().find(|column| column.name == *name)
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

/// The action in policies that releases a column in this form.
pub(crate) const fn reveal_action(reveal: Reveal) -> &'static str {
    match reveal {
        Reveal::Clear => "reveal-clear",
        Reveal::Generalized => "reveal-generalized",
        Reveal::Pseudonym => "reveal-pseudonym",
    }
}
