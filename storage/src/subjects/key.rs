//! What identifies a subject at rest: a keyed hash of the form of its key.

use std::{fmt, sync::Arc};

use arrow::array::ArrayRef;
use concordat_keys::SubjectsKey;

use super::{
    SubjectError,
    column::Column,
    form::{Form, loosened, write_form},
};

/// Identifies a subject, or a row that others are linked to: 128 bits of keyed BLAKE3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectKey(pub(super) u128);

/// It identifies a person to who has the key of the hash.
impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(..)")
    }
}

/// What a row has in the column of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Missing,
    Unusable,
    Key(SubjectKey),
}

/// Whole numbers whose keys are kept: as rows of a subject are often close together, most are found, in a megabyte.
const KEPT: usize = 1 << 15;

/// Computes the keys of values. Each thread has its own.
pub struct SubjectKeys {
    key: Arc<SubjectsKey>,
    form: String,
    /// The key of the last whole number with this index.
    kept: Vec<Option<(i64, SubjectKey)>>,
}

impl fmt::Debug for SubjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKeys(..)")
    }
}

impl SubjectKeys {
    /// Keys of one collection.
    #[must_use]
    pub fn new(key: Arc<SubjectsKey>) -> Self {
        Self {
            key,
            form: String::new(),
            kept: Vec::new(),
        }
    }

    /// The key of the subject that a value of this form identifies.
    #[must_use]
    pub fn of_text(&self, form: &str) -> SubjectKey {
        SubjectKey(u128::from_be_bytes(self.key.identity(form.as_bytes())))
    }

    /// The keys of a column, one for each row.
    pub(super) fn identities(&mut self, column: &Column) -> Vec<Identity> {
        match column {
            Column::Whole(values) => values.iter().map(|value| self.of_whole(value)).collect(),
            Column::Text(values) => {
                let mut last = (None, Identity::Missing);
                let rows = values.iter().enumerate().map(|(row, value)| {
                    if value.is_some() && value != last.0 {
                        last = (value, self.identity(column, row));
                    }
                    value.map_or(Identity::Missing, |_| last.1)
                });
                rows.collect()
            }
            Column::Number(_) | Column::Truth(_) | Column::Day(_) | Column::Time(..) => {
                (0..column.len()).map(|row| self.identity(column, row)).collect()
            }
        }
    }

    /// The keys of an array, one for each row.
    pub(super) fn of_array(&mut self, array: &ArrayRef) -> Result<Vec<Identity>, SubjectError> {
        Ok(self.identities(&Column::of("key", array)?))
    }

    /// The key of the loose form of a value; `None` if that is the form itself, or if there is none.
    pub(super) fn loose(&mut self, column: &Column, row: usize) -> Option<SubjectKey> {
        if let Column::Whole(values) = column
            && !values.value(row).is_negative()
        {
            // Digits only, and most subjects have such keys.
            return None;
        }
        match write_form(column, row, &mut self.form) {
            Form::Missing | Form::Unusable => None,
            Form::Written => {
                let loose = loosened(&self.form)?;
                (loose != self.form).then(|| self.of_text(&loose))
            }
        }
    }

    fn identity(&mut self, column: &Column, row: usize) -> Identity {
        match write_form(column, row, &mut self.form) {
            Form::Missing => Identity::Missing,
            Form::Unusable => Identity::Unusable,
            Form::Written => Identity::Key(self.of_text(&self.form)),
        }
    }

    fn of_whole(&mut self, value: Option<i64>) -> Identity {
        let Some(value) = value else {
            return Identity::Missing;
        };
        if self.kept.is_empty() {
            self.kept = vec![None; KEPT];
        }
        let index = kept_index(value);
        let kept = self.kept.get(index).copied().flatten();
        if let Some((_, key)) = kept.filter(|(known, _)| *known == value) {
            return Identity::Key(key);
        }
        let key = self.of_text(&value.to_string());
        if let Some(kept) = self.kept.get_mut(index) {
            *kept = Some((value, key));
        }
        Identity::Key(key)
    }
}

/// Multiplicative hashing (Knuth, The Art of Computer Programming, volume 3, 6.4) by 2^64 divided by the golden ratio.
fn kept_index(value: i64) -> usize {
    let mixed = value.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (64 - KEPT.trailing_zeros())).unwrap_or_default()
}
