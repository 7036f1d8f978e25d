//! A keyed hash of the contents of each row of a dataset.
//!
//! The hash is SipHash-2-4 (Aumasson and Bernstein, SipHash: a fast short-input PRF, 2012) of the values that the row has. A value is
//! hashed as the 64-bit label of its column and type, and then its contents. So the hash of a row depends on every value and its column,
//! and on no more:
//!
//! - A missing value is not hashed. A column that is added later does not change rows that have no value in it.
//! - The order of the columns does not matter; they are hashed in the order of their names.
//! - The type in which a column is read does not matter: one value that is not a date makes a whole column text, and must not make the
//!   rows of all subjects look changed. Whole numbers and other numbers are hashed as numbers, dates as date-times at midnight, and a text
//!   that is exactly how such a value, or `true` or `false`, is printed, as the value. Every other text is hashed as it is written.
//! - All NaN are one value, and the two zeros are one.
//!
//! A date-time is hashed by its milliseconds, with or without a zone; only a column of date-times that becomes text makes its rows look
//! changed, because there are many ways to write one.

use std::{fmt, sync::Arc};

use arrow::{array::Array as _, record_batch::RecordBatch};
use chrono::NaiveDate;
use concordat_keys::SubjectsKey;
use concordat_protocol::ids::DatasetName;
use zeroize::Zeroize as _;

use super::{
    SubjectError,
    column::{Column, DAY_MS},
};
use crate::ingest::SUBJECT_COLUMN;

/// Hashes the rows of one dataset of a collection.
#[derive(Clone)]
pub struct RowHasher {
    key: Arc<SubjectsKey>,
    start: SipHash,
}

impl fmt::Debug for RowHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowHasher(..)")
    }
}

/// The types of values whose hashes differ.
#[derive(Clone, Copy, Debug)]
enum Type {
    /// A number, as the bits of floating point.
    Number = 1,
    /// A whole number that is not exact in floating point.
    LargeWhole = 2,
    Truth = 3,
    Time = 4,
    Text = 5,
}

/// Rows that are hashed together, so that their states stay in the first cache (40 bytes each).
const CHUNK: usize = 512;

/// Whole numbers up to here are exact in floating point.
const MAX_EXACT: u64 = 1 << 53;

impl RowHasher {
    /// Of the dataset with this name.
    #[must_use]
    pub fn new(key: Arc<SubjectsKey>, dataset: &DatasetName) -> Self {
        let start = SipHash::new(key.row_hash_key(format!("rows of {dataset}").as_bytes()));
        Self { key, start }
    }

    /// The hash of each row.
    ///
    /// # Errors
    /// [`SubjectError::Type`] for a column that no import creates.
    pub(super) fn hashes(&self, batch: &RecordBatch) -> Result<Vec<u64>, SubjectError> {
        let columns = self.columns(batch)?;
        let mut states = [self.start; CHUNK];
        let mut hashes = Vec::with_capacity(batch.num_rows());
        for first in (0..batch.num_rows()).step_by(CHUNK) {
            let states = states
                .get_mut(..CHUNK.min(batch.num_rows() - first))
                .unwrap_or_default();
            states.fill(self.start);
            for (label, column) in &columns {
                absorb_column(*label, column, first, states);
            }
            hashes.extend(states.iter().map(|state| state.finish()));
        }
        Ok(hashes)
    }

    /// The columns in the order of their names, each with its label. The numbers that an import assigned are not data.
    fn columns(&self, batch: &RecordBatch) -> Result<Vec<(u64, Column)>, SubjectError> {
        let schema = batch.schema_ref();
        let mut named: Vec<_> = schema.fields().iter().zip(batch.columns()).collect();
        named.retain(|(field, _)| field.name() != SUBJECT_COLUMN);
        named.sort_by_key(|(field, _)| field.name().clone());
        let labelled = named.into_iter().map(|(field, array)| {
            let label = self.key.row_hash_key(format!("column {}", field.name()).as_bytes());
            let label = label.first_chunk().copied().unwrap_or_default();
            Ok((u64::from_le_bytes(label), Column::of(field.name(), array)?))
        });
        labelled.collect()
    }
}

/// Adds the values of a column from row `first` on, one to each state.
fn absorb_column(label: u64, column: &Column, first: usize, states: &mut [SipHash]) {
    let rows = states.iter_mut().zip(first..);
    match column {
        Column::Whole(values) => {
            for (state, row) in rows.filter(|(_, row)| values.is_valid(*row)) {
                whole(state, label, values.value(row));
            }
        }
        Column::Number(values) => {
            for (state, row) in rows.filter(|(_, row)| values.is_valid(*row)) {
                number(state, label, values.value(row));
            }
        }
        Column::Truth(values) => {
            for (state, row) in rows.filter(|(_, row)| values.is_valid(*row)) {
                state.value(label, Type::Truth, u64::from(values.value(row)));
            }
        }
        Column::Day(values) => {
            for (state, row) in rows.filter(|(_, row)| values.is_valid(*row)) {
                day(state, label, values.value(row));
            }
        }
        Column::Time(values, _) => {
            for (state, row) in rows.filter(|(_, row)| values.is_valid(*row)) {
                state.value(label, Type::Time, values.value(row).cast_unsigned());
            }
        }
        Column::Text(values) => {
            for (state, row) in rows.filter(|(_, row)| values.is_valid(*row)) {
                text(state, label, values.value(row));
            }
        }
    }
}

fn whole(state: &mut SipHash, label: u64, value: i64) {
    if value.unsigned_abs() <= MAX_EXACT {
        number(state, label, value as f64);
    } else {
        state.value(label, Type::LargeWhole, value.cast_unsigned());
    }
}

fn number(state: &mut SipHash, label: u64, value: f64) {
    // A sum with zero has no negative zero.
    let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
    state.value(label, Type::Number, value.to_bits());
}

fn day(state: &mut SipHash, label: u64, day: i32) {
    let ms = i64::from(day).saturating_mul(DAY_MS);
    state.value(label, Type::Time, ms.cast_unsigned());
}

fn text(state: &mut SipHash, label: u64, value: &str) {
    match Printed::of(value) {
        Some(Printed::Whole(value)) => whole(state, label, value),
        Some(Printed::Number(value)) => number(state, label, value),
        Some(Printed::Truth(value)) => state.value(label, Type::Truth, u64::from(value)),
        Some(Printed::Day(value)) => day(state, label, value),
        None => {
            state.value(label, Type::Text, value.len() as u64);
            state.absorb_bytes(value.as_bytes());
        }
    }
}

/// A text that is how a value of another type is printed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Printed {
    Whole(i64),
    Number(f64),
    Truth(bool),
    Day(i32),
}

impl Printed {
    /// `None` if it is not, or if another text has the same value.
    fn of(text: &str) -> Option<Self> {
        /// Digits of a number that is not written in full by its shortest form are rare, and are hashed as text.
        const LONGEST: usize = 24;
        let bytes = text.as_bytes();
        match bytes.first()? {
            b't' | b'f' => text.parse().ok().map(Self::Truth),
            b'-' | b'0'..=b'9' if bytes.len() > LONGEST => None,
            b'-' | b'0'..=b'9' => {
                let is_day = bytes.len() == 10 && bytes.get(4) == Some(&b'-');
                if is_day { Self::day(text) } else { Self::number(text) }
            }
            _ => None,
        }
    }

    fn day(text: &str) -> Option<Self> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        let is_printed = date.to_string() == text;
        let days = date.signed_duration_since(NaiveDate::default()).num_days();
        i32::try_from(days).ok().filter(|_| is_printed).map(Self::Day)
    }

    fn number(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        if is_padded || text == "-0" {
            return None;
        }
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        let number = text.parse::<f64>().ok()?;
        (number.is_finite() && number.to_string() == text).then_some(Self::Number(number))
    }
}

/// SipHash-2-4 of 64-bit blocks.
#[derive(Clone, Copy)]
pub(super) struct SipHash {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    blocks: u64,
}

impl SipHash {
    pub(super) fn new(mut key: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(key);
        key.zeroize();
        let low = u64::try_from(both & u128::from(u64::MAX)).unwrap_or_default();
        let high = u64::try_from(both >> 64).unwrap_or_default();
        Self {
            a: low ^ 0x736f_6d65_7073_6575,
            b: high ^ 0x646f_7261_6e64_6f6d,
            c: low ^ 0x6c79_6765_6e65_7261,
            d: high ^ 0x7465_6462_7974_6573,
            blocks: 0,
        }
    }

    fn value(&mut self, label: u64, kind: Type, contents: u64) {
        self.absorb(label ^ kind as u64);
        self.absorb(contents);
    }

    pub(super) fn absorb(&mut self, block: u64) {
        self.blocks = self.blocks.wrapping_add(1);
        self.compress(block);
    }

    /// Bytes whose number was absorbed before, filled up with zeros.
    pub(super) fn absorb_bytes(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(8) {
            let mut padded = [0; 8];
            let filled = padded.iter_mut().zip(block);
            filled.for_each(|(to, from)| *to = *from);
            self.absorb(u64::from_le_bytes(padded));
        }
    }

    /// The hash of what was absorbed.
    pub(super) fn finish(mut self) -> u64 {
        // The last block has the length in bytes in its highest byte.
        self.compress(self.blocks.wrapping_mul(8) << 56);
        self.c ^= 0xff;
        for _ in 0..4 {
            self.round();
        }
        self.a ^ self.b ^ self.c ^ self.d
    }

    fn compress(&mut self, block: u64) {
        self.d ^= block;
        self.round();
        self.round();
        self.a ^= block;
    }

    fn round(&mut self) {
        self.a = self.a.wrapping_add(self.b);
        self.b = self.b.rotate_left(13) ^ self.a;
        self.a = self.a.rotate_left(32);
        self.c = self.c.wrapping_add(self.d);
        self.d = self.d.rotate_left(16) ^ self.c;
        self.a = self.a.wrapping_add(self.d);
        self.d = self.d.rotate_left(21) ^ self.a;
        self.c = self.c.wrapping_add(self.b);
        self.b = self.b.rotate_left(17) ^ self.c;
        self.c = self.c.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher as _;
    #[expect(deprecated, reason = "the only reference of SipHash-2-4 in the standard library")]
    use std::hash::SipHasher;

    use proptest::prelude::*;

    use super::*;

    /// From `vectors.h` of the reference implementation: the key and the message are bytes from 0 on.
    #[test]
    fn row_hash_is_that_of_published_vectors() {
        let key = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let mut state = SipHash::new(key);
        assert_eq!(state.finish(), 0x726f_db47_dd0e_0e31);
        state.absorb(0x0706_0504_0302_0100);
        assert_eq!(state.finish(), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn texts_are_values_only_in_their_printed_form() {
        for (text, printed) in [
            ("0", Printed::Whole(0)),
            ("-7", Printed::Whole(-7)),
            ("5.25", Printed::Number(5.25)),
            ("-0.5", Printed::Number(-0.5)),
            ("true", Printed::Truth(true)),
            ("1970-01-02", Printed::Day(1)),
            ("1969-12-31", Printed::Day(-1)),
        ] {
            assert_eq!(Printed::of(text), Some(printed), "{text}");
        }
        for text in [
            "",
            "-",
            "007",
            "-0",
            "+7",
            "7 ",
            "5.",
            "5.0",
            "5.250",
            ".5",
            "1e3",
            "True",
            "t",
            "2020-02-30",
            "2020-1-1",
            "NaN",
            "inf",
            "-inf",
            "00.5",
            "1970-01-02 ",
        ] {
            assert_eq!(Printed::of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        #[expect(deprecated, reason = "the only reference of SipHash-2-4 in the standard library")]
        fn row_hash_is_that_of_the_standard_library(key in any::<[u8; 16]>(), blocks in prop::collection::vec(any::<u64>(), 0..70)) {
            let halves = [&key[..8], &key[8..]].map(|half| u64::from_le_bytes(half.try_into().unwrap()));
            let mut reference = SipHasher::new_with_keys(halves[0], halves[1]);
            let mut ours = SipHash::new(key);
            for block in blocks {
                reference.write(&block.to_le_bytes());
                ours.absorb(block);
            }
            prop_assert_eq!(ours.finish(), reference.finish());
        }
    }
}
