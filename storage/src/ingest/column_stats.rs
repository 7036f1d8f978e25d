//! Infers the type of a column, field by field.

use concordat_protocol::schema::ColumnKind;

use super::{
    block::Field,
    column_reading::ColumnReading,
    hints::{FormsFound, Hints},
    missing::MissingRule,
    parse_field::{self, Kinds, Reading, trim},
    proposal::{Alternatives, Proposal, TextReason},
    text_values::TextValues,
};

/// The statistics of one column so far.
#[derive(Clone, Debug)]
pub(super) struct ColumnStats {
    reading: ColumnReading,
    kinds: Kinds,
    stated: Option<ColumnKind>,
    existing: Option<ColumnKind>,
    values: u64,
    missing: u64,
    markers: u64,
    decimals: Decimals,
    like_code: bool,
    /// Whether a number is written as a spreadsheet program shortens it.
    shortened: bool,
    /// The line of the first number that floating point does not restore.
    inexact: Option<u64>,
    /// The line of the first number that may have been rounded to the one that is stored, by the program that wrote it or by the import.
    rounded: Option<u64>,
    alternatives: Alternatives,
    hints: Hints,
    texts: TextValues,
    /// How often each word occurs that is stated to mean that a value is missing.
    words: Vec<u64>,
    clock_changes: Option<(u64, u64)>,
    first: Option<FirstField>,
    became_text: Option<(ColumnKind, u64)>,
    unfit: Unfit,
}

/// The beginning of the first field with a value.
#[derive(Clone)]
struct FirstField {
    text: String,
    is_typed: bool,
}

/// A value is not for logs.
impl std::fmt::Debug for FirstField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FirstField")
    }
}

/// Most characters that are shown of a value.
const SHOWN_CHARACTERS: usize = 40;

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
    /// No fields yet. `stated` is the kind that the steward states; `existing` is that of the column to which the values are added, if
    /// any of its rows has a value, and one of text takes them as they are written.
    pub(super) fn new(reading: ColumnReading, stated: Option<ColumnKind>, existing: Option<ColumnKind>) -> Self {
        Self {
            words: vec![0; reading.missing.words().len()],
            reading,
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
            shortened: false,
            inexact: None,
            rounded: None,
            alternatives: Alternatives::new(),
            hints: Hints::default(),
            texts: TextValues::default(),
            clock_changes: None,
            first: None,
            became_text: None,
            unfit: Unfit::default(),
        }
    }

    /// Adds the field of the row that starts on `line`.
    pub(super) fn observe(&mut self, field: Field<'_>, line: u64) {
        let value = trim(field.text);
        if value.is_empty() {
            self.missing += 1;
        } else if let Some(word) = self.reading.missing.stated_word(value) {
            self.missing += 1;
            if let Some(count) = self.words.get_mut(word) {
                *count += 1;
            }
        } else if self.reading.missing.is_marker(value) {
            self.markers += 1;
        } else {
            self.value(value, field, line);
        }
    }

    /// Adds a value, which is the trimmed text of its field.
    fn value(&mut self, value: &str, field: Field<'_>, line: u64) {
        let is_typed = field.is_typed;
        self.values += 1;
        if self.first.is_none() {
            self.first = Some(FirstField::of(value, is_typed));
        }
        if self.stated == Some(ColumnKind::Text) {
            self.texts.text(field.text, line);
            return;
        }
        let mut reading = self.reading.notation(is_typed).classify(value);
        if reading.rounded || self.stated.is_some_and(|stated| is_large_number(stated, reading)) {
            self.rounded.get_or_insert(line);
        }
        if is_typed {
            // A stored number has no digits that only fill it up.
            reading.padded = false;
            reading.like_code = false;
            reading.shortened = false;
        }
        self.hints.observe(value, reading, is_typed, &self.reading);
        if reading.in_clock_change {
            let (count, first) = self.clock_changes.unwrap_or((0, line));
            self.clock_changes = Some((count.saturating_add(1), first));
        }
        if let Some(stated) = self.stated {
            if reading.kinds.and(Kinds::only(stated)).is_none() && !is_large_number(stated, reading) {
                self.unfit.count += 1;
                if self.unfit.lines.len() < SHOWN_LINES {
                    self.unfit.lines.push(line);
                }
            }
            return;
        }
        if reading.kinds.is_none() {
            self.texts.text(field.text, line);
        } else if !reading.kinds.and(Kinds::NUMBERS).is_none() {
            self.texts.number();
        }
        self.alternatives.observe(value, reading, is_typed, line);
        if !is_typed {
            self.decimals.observe(reading);
        }
        if reading.inexact {
            self.inexact.get_or_insert(line);
        }
        self.like_code |= reading.like_code;
        self.shortened |= reading.shortened;
        if !self.kinds.is_none() {
            let narrowed = self.kinds.and(reading.kinds);
            if narrowed.is_none() && self.values > 1 {
                self.became_text = Some((self.kinds.best(), line));
            }
            self.kinds = narrowed;
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
    /// `250.00`), or as whole numbers with an exponent (`12E4`); or because a spreadsheet program has shortened some of its whole numbers, whose
    /// last digits are lost (`1E+05` beside `100002`).
    pub(super) fn keeps_digits(&self) -> bool {
        let differs = self.decimals.padded && self.decimals.differ;
        let lost = self.shortened && self.decimals.are_none();
        let is_free = self.stated.is_none() && self.fitting().is_none();
        is_free && self.is_fractions() && (differs || self.like_code || lost)
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

    /// Whether the column has a kind whatever its values are: one that was stated, or that of the column to which they are added.
    pub(super) fn has_kind(&self) -> bool {
        self.stated.is_some() || self.existing.is_some()
    }

    /// Whether there is any value.
    pub(super) fn has_values(&self) -> bool {
        self.values > 0
    }

    /// Whether markers count as missing in this column.
    pub(super) fn markers_are_missing(&self) -> bool {
        let rule: &MissingRule = &self.reading.missing;
        rule.markers_are_missing(self.values == 0 || self.kind() != ColumnKind::Text)
    }

    /// Fields that count as missing.
    pub(super) fn missing(&self) -> u64 {
        self.missing + if self.markers_are_missing() { self.markers } else { 0 }
    }

    /// Markers that stay in the column as text.
    pub(super) fn markers_as_text(&self) -> u64 {
        if self.markers_are_missing() { 0 } else { self.markers }
    }

    /// The kind of the column before the line that made it text, and this line.
    pub(super) fn became_text(&self) -> Option<(ColumnKind, u64)> {
        self.became_text
    }

    /// How many values of a column of text occur in several spellings, and the line of the first in a second one.
    pub(super) fn several_spellings(&self) -> Option<(u64, u64)> {
        self.texts
            .several_spellings()
            .filter(|_| self.kind() == ColumnKind::Text)
    }

    /// The words in a column of text that often mean that a value is missing, as they are written, and how many values are such a word.
    pub(super) fn missing_words(&self) -> Option<(&[String], u64)> {
        self.texts.missing_words().filter(|_| self.kind() == ColumnKind::Text)
    }

    /// How many values keep a column text although almost all others are numbers, and the line of the first.
    pub(super) fn few_texts(&self) -> Option<(u64, u64)> {
        self.texts.few_texts().filter(|_| self.is_unread())
    }

    /// The line of the first number that floating point does not restore, if the column is text without having been stated so.
    pub(super) fn inexact(&self) -> Option<u64> {
        self.inexact.filter(|_| self.is_unread())
    }

    /// The line of the first number that may have been rounded to the one that is stored, unless the column was stated to be text.
    pub(super) fn rounded(&self) -> Option<u64> {
        self.rounded
    }

    /// What the steward can state so that the column is typed, if it is text without having been stated so.
    pub(super) fn proposal(&self) -> Option<Proposal> {
        self.is_unread()
            .then(|| self.alternatives.proposal(&self.reading))
            .flatten()
    }

    /// Why the column stays text, whatever is stated.
    pub(super) fn text_reason(&self) -> Option<TextReason> {
        self.is_unread().then(|| self.alternatives.reason()).flatten()
    }

    /// Whether the column is text without having been stated so, and not for the digits of its numbers.
    fn is_unread(&self) -> bool {
        self.stated.is_none() && self.kind() == ColumnKind::Text && !self.keeps_digits()
    }

    /// How the fields of the column are read in the second pass: in one form of dates, if one fits all of them.
    pub(super) fn reading(&self) -> ColumnReading {
        let reading = self.reading.clone();
        match self.hints.forms() {
            FormsFound::One(form, _) => reading.with_form(form),
            FormsFound::None | FormsFound::Several(_) => reading,
        }
    }

    /// The forms of the dates of the column, if it has any.
    pub(super) fn forms(&self) -> FormsFound {
        match is_time(self.kind()) {
            true => self.hints.forms(),
            false => FormsFound::None,
        }
    }

    /// How the column is read before its dates are known.
    pub(super) fn stated_reading(&self) -> &ColumnReading {
        &self.reading
    }

    /// Whether the points of its numbers could separate thousands, and nothing is stated for this column.
    pub(super) fn are_points_undecided(&self) -> bool {
        let is_number = self.kind() == ColumnKind::Float || self.keeps_digits();
        is_number && !self.reading.has_own_signs && self.hints.are_points_undecided()
    }

    /// Whether its values are other numbers with the usual signs than with those that are stated for all columns. The inner value is
    /// whether the stated signs read them at all.
    pub(super) fn has_usual_numbers(&self) -> Option<bool> {
        let is_free = self.stated != Some(ColumnKind::Text) && !self.reading.has_own_signs;
        (is_free && self.hints.are_usual_numbers()).then(|| is_number(self.kind()))
    }

    /// Whether its values have decimals behind a point, as text.
    pub(super) fn has_decimal_points(&self) -> bool {
        let is_fractional = self.decimals.differ || self.decimals.each.is_some_and(|each| each > 0);
        self.kind() == ColumnKind::Float && self.reading.text.has_usual_signs() && is_fractional
    }

    /// The words of all columns that made values missing which are within those of this column, and how many.
    pub(super) fn missing_in_range(&self) -> impl Iterator<Item = (&String, u64)> {
        let is_number = is_number(self.kind());
        let missing = &self.reading.missing;
        let words = missing.words().iter().zip(self.words.iter().copied());
        words.take(missing.common_words()).filter(move |(word, count)| {
            let whole = parse_field::number(word).whole;
            *count > 0 && is_number && whole.is_some_and(|whole| self.hints.is_in_range(whole))
        })
    }

    /// Values that may stand for missing ones, as they are written.
    pub(super) fn possible_markers(&self) -> Vec<String> {
        let is_typed = is_number(self.kind()) || is_time(self.kind());
        if is_typed {
            self.hints.possible_markers()
        } else {
            Vec::new()
        }
    }

    /// The form in which its numbers are dates.
    pub(super) fn digits(&self) -> Option<&'static str> {
        self.is_undecided_whole().then(|| self.hints.digits()).flatten()
    }

    /// Whether its numbers could be those by which a spreadsheet program counts days.
    pub(super) fn are_serial_days(&self) -> bool {
        self.is_undecided_whole() && self.hints.are_serial_days()
    }

    /// Whether it has whole numbers, and nothing states that.
    fn is_undecided_whole(&self) -> bool {
        self.stated.is_none() && self.existing.is_none() && self.kind() == ColumnKind::Int
    }

    /// Whether its last value is the sum of the others.
    pub(super) fn ends_with_sum(&self) -> bool {
        is_number(self.kind()) && self.hints.ends_with_sum()
    }

    /// How many local times the clocks skip or show twice, and the line of the first of them, if they make the column text.
    pub(super) fn clock_changes(&self) -> Option<(u64, u64)> {
        self.clock_changes.filter(|_| self.kind() == ColumnKind::Text)
    }

    /// The first value as it is stored, or the beginning of it.
    pub(super) fn first_value(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        let field = Field {
            text: &first.text,
            is_typed: first.is_typed,
        };
        self.reading()
            .shown(field, self.kind())
            .or_else(|| Some(first.text.clone()))
    }

    /// The fields that are not of the kind that was stated.
    pub(super) fn unfit(&self) -> &Unfit {
        &self.unfit
    }
}

impl FirstField {
    fn of(value: &str, is_typed: bool) -> Self {
        let mut text: String = value.chars().take(SHOWN_CHARACTERS).collect();
        if text.len() < value.len() {
            text.push('…');
        }
        Self { text, is_typed }
    }
}

/// Whether values of this kind are numbers.
fn is_number(kind: ColumnKind) -> bool {
    match kind {
        ColumnKind::Int | ColumnKind::Float => true,
        ColumnKind::Boolean
        | ColumnKind::Date
        | ColumnKind::Timestamp
        | ColumnKind::TimestampUtc
        | ColumnKind::Text => false,
    }
}

/// Whether values of this kind are dates or date-times.
fn is_time(kind: ColumnKind) -> bool {
    match kind {
        ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampUtc => true,
        ColumnKind::Int | ColumnKind::Float | ColumnKind::Boolean | ColumnKind::Text => false,
    }
}

/// Whether a whole number is rounded because floating point is stated, which the steward accepts.
fn is_large_number(stated: ColumnKind, reading: Reading) -> bool {
    let is_whole = !reading.kinds.and(Kinds::INT).is_none();
    stated == ColumnKind::Float && is_whole && reading.kinds.and(Kinds::FLOAT).is_none()
}

impl Decimals {
    /// Whether there are numbers without an exponent, and all of them are whole.
    fn are_none(self) -> bool {
        self.each == Some(0) && !self.differ
    }

    fn observe(&mut self, reading: Reading) {
        let Some(decimals) = reading.decimals else { return };
        self.padded |= reading.padded;
        match self.each {
            None => self.each = Some(decimals),
            Some(each) => self.differ |= each != decimals,
        }
    }
}
