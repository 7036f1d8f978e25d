//! What a reader has to know to interpret an answer.

mod beyond;
mod columns;
mod combined;
mod limited;
mod members;
mod noise;
mod ordered;

use std::collections::BTreeMap;

use concordat_documents::query::{AnswerRemark, RemarkKind};
use concordat_protocol::ids::{DatasetName, DatasetRef};
use serde::{Deserialize, Serialize};

/// Most texts of a list that a sentence has: the document of the remark has more.
const MAX_IN_TEXT: usize = 5;

/// A cell of an answer: the names of its groups and their values.
pub(super) type CellName = BTreeMap<String, String>;

/// What the reader of an answer has to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remark(AnswerRemark);

impl Remark {
    /// Whether a member's whole part is missing.
    pub(super) fn is_incomplete(&self) -> bool {
        match self.0.kind {
            RemarkKind::MissingMember | RemarkKind::MissingColumn => true,
            RemarkKind::FormerMember
            | RemarkKind::MissingCells
            | RemarkKind::WithheldCells
            | RemarkKind::MissingFigures
            | RemarkKind::RenamedColumn
            | RemarkKind::ContinuedAnswer
            | RemarkKind::CombinedParts
            | RemarkKind::LimitedValues
            | RemarkKind::QuantilesInBands
            | RemarkKind::Noise
            | RemarkKind::OrderOfFigures
            | RemarkKind::ValuesBeyond
            | RemarkKind::InventedRows => false,
        }
    }

    /// Whether the part of a member that shares `dataset`, or did, is missing.
    pub(super) fn is_of_missing(&self, dataset: &DatasetName) -> bool {
        let is_missing = self.is_incomplete() || self.0.kind == RemarkKind::FormerMember;
        is_missing && self.0.dataset.as_ref() == Some(dataset)
    }

    /// Whether the answer has figures of a holder that withholds some of them, or adds noise.
    pub(super) fn is_of_figures(&self) -> bool {
        self.0.kind == RemarkKind::WithheldCells || self.0.kind == RemarkKind::Noise
    }

    /// Its sentence.
    pub(super) fn text(&self) -> &str {
        &self.0.text
    }

    /// The remark as it is sent to the requester.
    pub(super) fn document(&self) -> AnswerRemark {
        self.0.clone()
    }

    /// About the answer as a whole.
    fn new(kind: RemarkKind, text: String) -> Self {
        Self(AnswerRemark {
            kind,
            institution: None,
            dataset: None,
            column: None,
            cells: Vec::new(),
            text,
        })
    }

    /// About the part of a member.
    fn about(kind: RemarkKind, dataset: &DatasetRef, text: String) -> Self {
        let mut remark = Self::new(kind, text);
        remark.0.institution = Some(dataset.institution.clone());
        remark.0.dataset = Some(dataset.dataset.clone());
        remark
    }

    /// The same remark, about a column.
    fn on_column(mut self, column: &str) -> Self {
        self.0.column = Some(column.to_owned());
        self
    }

    /// The same remark, about cells, of which at most `most` are listed.
    fn on_cells(mut self, mut cells: Vec<CellName>, most: usize) -> Self {
        cells.truncate(most);
        self.0.cells = cells;
        self
    }
}

/// The first of these texts, and how many more there are.
fn listed(texts: impl ExactSizeIterator<Item = String>, separator: &str) -> String {
    let all = texts.len();
    let first: Vec<String> = texts.take(MAX_IN_TEXT).collect();
    let more = match all.saturating_sub(first.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", first.join(separator))
}
