//! Infers the type of a column, field by field.

use concordat_protocol::schema::ColumnKind;

use super::{
    missing::MissingRule,
    notation::Notation,
    proposal::{Alternatives, Proposal},
    values::{Kinds, Reading, trim},
};

/// The statistics of one column so far.
#[derive(Clone, Debug)]
pub(super) struct ColumnStats {
    kinds: Kinds,
    stated: Option<ColumnKind>,
    existing: Option<ColumnKind>,
    values: u64,
    missing: u64,
    markers: u64,
    decimals: Decimals,
    like_code: bool,
    alternatives: Alternatives,
    became_text: Option<(ColumnKind, u64)>,
    unfit: Unfit,
}

/// The decimals of the numbers of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimals {
    /// The number that all have; `None` before the first.
    each: Option<usize>,
    /// Whether some have another number.
    differ: bool,
    /// Whether some end with a zero that a number does not keep.
    padded: bool,
}

/// Fields that are not of the kind that was stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) count: u64,
    pub(super) lines: Vec<u64>,
}

/// Maximum number of lines that are listed for fields which are not of the kind that was stated.
const SHOWN_LINES: usize = 10;

impl ColumnStats {
    /// No fields yet. `stated` is the kind that the steward states; `existing` is that of the column to which the values are added, and
    /// one of text takes them as they are written.
    pub(super) fn new(stated: Option<ColumnKind>, existing: Option<ColumnKind>) -> Self {
        Self {
            kinds: Kinds::ALL,
            stated: stated.or(existing.filter(|kind| *kind == ColumnKind::Text)),
            existing,
            values: 0,
            missing: 0,
            markers: 0,
            decimals: Decimals {
                each: None,
                differ: false,
                padded: false,
            },
            like_code: false,
            alternatives: Alternatives::new(),
            became_text: None,
            unfit: Unfit::default(),
        }
    }

    /// Adds the field of the row that starts on `line`.
    pub(super) fn observe(&mut self, field: &str, line: u64, missing: &MissingRule, notation: &Notation) {
        let value = trim(field);
        if value.is_empty() || missing.is_stated(value) {
            self.missing += 1;
        } else if missing.is_marker(value) {
            self.markers += 1;
        } else {
            self.value(value, line, notation);
        }
    }

    fn value(&mut self, value: &str, line: u64, notation: &Notation) {
        self.values += 1;
        if self.stated == Some(ColumnKind::Text) {
            return;
        }
        let reading = notation.classify(value);
        if let Some(stated) = self.stated {
            if reading.kinds.and(Kinds::only(stated)).is_none() && !is_large_number(stated, reading) {
                self.unfit.count += 1;
                if self.unfit.lines.len() < SHOWN_LINES {
                    self.unfit.lines.push(line);
                }
            }
            return;
        }
        self.alternatives.observe(value, reading);
        self.decimals.observe(reading);
        self.like_code |= reading.like_code;
        if !self.kinds.is_none() {
            let narrowed = self.kinds.and(reading.kinds);
            if narrowed.is_none() && self.values > 1 {
                self.became_text = Some((self.kinds.best(), line));
            }
            self.kinds = narrowed;
        }
    }

    /// Every field was added; `is_typed` if the file states that its values are numbers.
    pub(super) fn finish(&mut self, is_typed: bool) {
        if is_typed {
            self.decimals.padded = false;
            self.like_code = false;
        }
    }

    /// The narrowest kind that can represent every value as it was written; a column without values is text.
    pub(super) fn kind(&self) -> ColumnKind {
        if let Some(stated) = self.stated {
            return stated;
        }
        if let Some(existing) = self.fitting() {
            return existing;
        }
        if self.values == 0 || self.keeps_digits() {
            ColumnKind::Text
        } else {
            self.kinds.best()
        }
    }

    /// The kind of the column to which the values are added, if all of them have it.
    fn fitting(&self) -> Option<ColumnKind> {
        self.existing
            .filter(|existing| self.values > 0 && !self.kinds.and(Kinds::only(*existing)).is_none())
    }

    /// Whether the column is text because its numbers are written as codes are: with zeros at their ends that differ (`250.0` and
    /// `250.00`), or as whole numbers with an exponent (`12E4`).
    pub(super) fn keeps_digits(&self) -> bool {
        let differs = self.decimals.padded && self.decimals.differ;
        self.stated.is_none() && self.fitting().is_none() && self.is_fractions() && (differs || self.like_code)
    }

    /// The number of decimals, if all numbers are filled up with zeros to it. The numbers are read without these zeros.
    pub(super) fn fixed_decimals(&self) -> Option<usize> {
        let is_free = self.stated.is_none() && self.fitting().is_none();
        let fixed = is_free && self.is_fractions() && self.decimals.padded && !self.decimals.differ;
        self.decimals.each.filter(|_| fixed)
    }

    fn is_fractions(&self) -> bool {
        self.values > 0 && !self.kinds.is_none() && self.kinds.best() == ColumnKind::Float
    }

    /// Whether there is any value.
    pub(super) fn has_values(&self) -> bool {
        self.values > 0
    }

    /// Whether markers count as missing in this column.
    pub(super) fn markers_are_missing(&self, rule: &MissingRule) -> bool {
        rule.markers_are_missing(self.values == 0 || self.kind() != ColumnKind::Text)
    }

    /// Fields that count as missing.
    pub(super) fn missing(&self, rule: &MissingRule) -> u64 {
        self.missing
            + if self.markers_are_missing(rule) {
                self.markers
            } else {
                0
            }
    }

    /// Markers that stay in the column as text.
    pub(super) fn markers_as_text(&self, rule: &MissingRule) -> u64 {
        if self.markers_are_missing(rule) {
            0
        } else {
            self.markers
        }
    }

    /// The kind of the column before the line that made it text, and this line.
    pub(super) fn became_text(&self) -> Option<(ColumnKind, u64)> {
        self.became_text
    }

    /// What the steward can state so that the column is typed, if it is text without having been stated so.
    pub(super) fn proposal(&self) -> Option<Proposal> {
        let is_text = self.stated.is_none() && self.kind() == ColumnKind::Text && !self.keeps_digits();
        is_text.then(|| self.alternatives.proposal()).flatten()
    }

    /// The fields that are not of the kind that was stated.
    pub(super) fn unfit(&self) -> &Unfit {
        &self.unfit
    }
}

/// A steward who states floating point accepts that large whole numbers are rounded.
fn is_large_number(stated: ColumnKind, reading: Reading) -> bool {
    stated == ColumnKind::Float && !reading.kinds.and(Kinds::INT).is_none()
}

impl Decimals {
    fn observe(&mut self, reading: Reading) {
        let Some(decimals) = reading.decimals else { return };
        self.padded |= reading.padded;
        match self.each {
            None => self.each = Some(decimals),
            Some(each) => self.differ |= each != decimals,
        }
    }
}
