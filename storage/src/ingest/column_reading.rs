//! How the fields of one column are read: the options of all columns, and those of this one.

use chrono::{DateTime, NaiveDate, TimeDelta};
use concordat_protocol::schema::ColumnKind;

use super::{
    block::Field,
    missing::MissingRule,
    notation::{DateFormat, Notation},
    options::TableOptions,
};

/// How the fields of one column are read.
#[derive(Clone, Debug)]
pub(super) struct ColumnReading {
    pub(super) missing: MissingRule,
    /// Fields of text.
    pub(super) text: Notation,
    /// Fields that the file states to be numbers, times or truth values.
    pub(super) typed: Notation,
    /// The last of the years that years of two digits stand for, if it is stated.
    pub(super) last_year: Option<i32>,
    /// Whether the signs of its numbers are stated for this column alone.
    pub(super) has_own_signs: bool,
    /// Whether the forms of its dates are stated for this column alone.
    pub(super) has_own_forms: bool,
}

impl ColumnReading {
    /// How the column with one of these names is read.
    pub(super) fn of(options: &TableOptions, is_called: impl Fn(&str) -> bool) -> Self {
        let column = options.column_options(is_called);
        let mut text = column.map_or_else(|| options.notation.clone(), |column| column.notation(&options.notation));
        if let Some(last) = options.last_year {
            text.dates = text.dates.into_iter().map(|form| form.until(last)).collect();
        }
        Self {
            missing: MissingRule::of_column(options, column),
            typed: text.for_typed(),
            text,
            last_year: options.last_year,
            has_own_signs: column.is_some_and(|column| column.states_signs()),
            has_own_forms: column.is_some_and(|column| !column.dates.is_empty()),
        }
    }

    /// How a field is read.
    pub(super) fn notation(&self, is_typed: bool) -> &Notation {
        if is_typed { &self.typed } else { &self.text }
    }

    /// The same with only one of the forms of dates.
    pub(super) fn with_form(mut self, form: usize) -> Self {
        let form: Option<DateFormat> = self.text.dates.get(form).cloned();
        self.text.dates = form.into_iter().collect();
        self.typed = self.text.for_typed();
        self
    }

    /// A value as it is stored in a column of this kind; `None` if it is of another kind.
    pub(super) fn shown(&self, field: Field<'_>, kind: ColumnKind) -> Option<String> {
        let notation = self.notation(field.is_typed);
        let value = field.text;
        match kind {
            ColumnKind::Int => notation.int(value).map(|number| number.to_string()),
            ColumnKind::Float => notation.float(value).map(|number| format!("{number:?}")),
            ColumnKind::Boolean => notation.boolean(value).map(|truth| truth.to_string()),
            ColumnKind::Date => {
                let days = TimeDelta::try_days(notation.date(value)?.into())?;
                Some(NaiveDate::default().checked_add_signed(days)?.to_string())
            }
            ColumnKind::Timestamp => instant(notation, value),
            ColumnKind::TimestampUtc => Some(instant(notation, value)? + "Z"),
            ColumnKind::Text => Some(value.to_owned()),
        }
    }
}

fn instant(notation: &Notation, value: &str) -> Option<String> {
    let (milliseconds, _) = notation.timestamp(value)?;
    let time = DateTime::from_timestamp_millis(milliseconds)?.naive_utc();
    Some(time.format("%Y-%m-%dT%H:%M:%S%.f").to_string())
}
