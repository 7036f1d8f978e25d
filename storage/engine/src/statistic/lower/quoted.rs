//! Texts that a query wrote as constants: each has the type of what it is compared with, as at tier `records`, or is refused.

use concordat_protocol::{
    collection::{Comparison, Undecided},
    schema::ColumnKind,
    scope::{Finite, Value},
};
use datafusion::scalar::ScalarValue;

use super::{
    arithmetic::{Part, Sum, is_one},
    state::{Lowering, Result, refused},
};
use crate::{
    class::Class,
    meaning::{notation, text_as},
    statistic::{
        forms::{Form, NotCountable},
        terms::{Quantity, SubjectValue},
    },
};

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

impl Lowering<'_> {
    /// The comparison with its texts as values of the quantity. A text that is not one stays: the levels of the quantity do not decide it.
    pub(super) fn with_texts_read(&self, of: &Quantity, comparison: &Comparison) -> Comparison {
        let kind = self.contents(of);
        let read = |value: &Value| match (value, kind) {
            (Value::Text(text), Some(kind)) => of_kind(text, kind).unwrap_or_else(|| value.clone()),
            (Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Date(_), _) => value.clone(),
        };
        match comparison {
            Comparison::Equal(value) => Comparison::Equal(read(value)),
            Comparison::NotEqual(value) => Comparison::NotEqual(read(value)),
            Comparison::Less(value) => Comparison::Less(read(value)),
            Comparison::AtMost(value) => Comparison::AtMost(read(value)),
            Comparison::Greater(value) => Comparison::Greater(read(value)),
            Comparison::AtLeast(value) => Comparison::AtLeast(read(value)),
            Comparison::In(values) => Comparison::In(values.iter().map(read).collect()),
            Comparison::NotIn(values) => Comparison::NotIn(values.iter().map(read).collect()),
            Comparison::Between(low, high) => Comparison::Between(read(low), read(high)),
            Comparison::Prefix(prefix) => Comparison::Prefix(prefix.clone()),
            Comparison::IsNull => Comparison::IsNull,
            Comparison::IsNotNull => Comparison::IsNotNull,
        }
    }

    /// Why levels do not decide a comparison, if it is that a text is not a value of the quantity; `None` for another reason. `column` is
    /// what a refusal calls the quantity.
    pub(super) fn unread(
        &self,
        column: String,
        of: &Quantity,
        comparison: &Comparison,
        source: &Undecided,
    ) -> Option<NotCountable> {
        let is_text = comparison
            .literals()
            .iter()
            .any(|value| matches!(value, Value::Text(_)));
        let (true, Undecided::OtherKind { .. }, Some(kind)) = (is_text, source, self.contents(of)) else {
            return None;
        };
        Some(NotCountable::Unread {
            column,
            contains: kind.label(),
            notation: match kind {
                // Levels of points in time begin at days.
                ColumnKind::Timestamp | ColumnKind::TimestampUtc => notation(Class::Date, false),
                ColumnKind::Int | ColumnKind::Float | ColumnKind::Boolean | ColumnKind::Date | ColumnKind::Text => {
                    notation(class_of(kind), kind == ColumnKind::Int)
                }
            },
        })
    }

    /// What a quantity is; `None` if its column contains missing values only.
    fn contents(&self, of: &Quantity) -> Option<ColumnKind> {
        match of {
            Quantity::Column(path) => self.kind(path.dataset(), path.column()),
            Quantity::Days { .. } | Quantity::Age { .. } => Some(ColumnKind::Int),
            Quantity::InText(_) | Quantity::Seconds { .. } | Quantity::Linear { .. } => Some(ColumnKind::Float),
            Quantity::OfSubject { value, .. } => Some(match value {
                SubjectValue::Count => ColumnKind::Int,
                SubjectValue::First(_) | SubjectValue::Last(_) => ColumnKind::Date,
            }),
        }
    }
}

/// A text that a sum is compared with, as a date or a number like the sum.
///
/// # Errors
/// [`NotCountable::Unread`] if it is not one; [`Form::Expression`] if the sum is neither a date nor a number.
pub(super) fn like_sum(text: &str, sum: &Sum) -> Result<Value> {
    let dates = sum.terms.iter().filter(|(_, part)| matches!(part, Part::Date(..)));
    let dates = dates.map(|(factor, _)| factor).sum::<f64>() + sum.dates;
    let kind = if dates == 0.0 && sum.is_whole {
        ColumnKind::Int
    } else if dates == 0.0 {
        ColumnKind::Float
    } else if is_one(dates) {
        ColumnKind::Date
    } else {
        return Err(refused(Form::Expression));
    };
    of_kind(text, kind).ok_or_else(|| NotCountable::Unread {
        column: "the expression".to_owned(),
        contains: kind.label(),
        notation: notation(class_of(kind), kind == ColumnKind::Int),
    })
}

const fn class_of(kind: ColumnKind) -> Class {
    match kind {
        ColumnKind::Int | ColumnKind::Float => Class::Number,
        ColumnKind::Boolean => Class::Boolean,
        ColumnKind::Date => Class::Date,
        ColumnKind::Timestamp => Class::Timestamp,
        ColumnKind::TimestampUtc => Class::Instant,
        ColumnKind::Text => Class::Text,
    }
}

/// The text as a value of this kind, without loss; a point in time is one if it is the beginning of a day. `None` if it is not one.
#[expect(clippy::wildcard_enum_match_arm, reason = "other values are not those of a kind")]
fn of_kind(text: &str, kind: ColumnKind) -> Option<Value> {
    match text_as(text, class_of(kind), kind == ColumnKind::Int)? {
        ScalarValue::Boolean(Some(truth)) => Some(Value::Bool(truth)),
        ScalarValue::Int64(Some(number)) => Some(Value::Int(number)),
        ScalarValue::Float64(Some(number)) => Finite::new(number).ok().map(Value::Float),
        ScalarValue::Date32(Some(day)) => Some(Value::Date(day)),
        ScalarValue::TimestampMicrosecond(Some(micros), _) if micros.rem_euclid(DAY_MICROS) == 0 => {
            i32::try_from(micros.div_euclid(DAY_MICROS)).ok().map(Value::Date)
        }
        ScalarValue::Utf8(Some(text)) => Some(Value::Text(text)),
        _ => None,
    }
}
