//! The constants of a row condition, and the kinds of columns that they are compared with.

use chrono::{Datelike, NaiveDate};
use concordat_protocol::ids::ColumnName;
use concordat_protocol::scope::{Finite, Value};
use datafusion::sql::sqlparser::ast::{DataType, Expr, UnaryOperator, Value as Literal};
use serde::{Deserialize, Serialize};

/// Most characters of a number or a type that a message repeats.
const MAX_SHOWN: usize = 64;
/// Days from 0001-01-01 to 1970-01-01 in the proleptic Gregorian calendar.
const EPOCH_FROM_CE: i32 = 719_163;

/// What the values of a column are, as far as conditions compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    WholeNumber,
    Number,
    Truth,
    Date,
    Text,
}

impl Kind {
    /// The kind that a catalog names; `None` for one that is not compared.
    pub(super) fn of(label: &str) -> Option<Self> {
        match label {
            "integer" => Some(Self::WholeNumber),
            "number" => Some(Self::Number),
            "boolean" => Some(Self::Truth),
            "date" => Some(Self::Date),
            "text" => Some(Self::Text),
            _ => None,
        }
    }

    /// What a value is, as in the messages about queries.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::WholeNumber => "a whole number",
            Self::Number => "a number",
            Self::Truth => "true or false",
            Self::Date => "a date",
            Self::Text => "text",
        }
    }

    /// How a value is written, as in the messages about queries.
    const fn notation(self) -> &'static str {
        match self {
            Self::WholeNumber => "a whole number",
            Self::Number => "a number",
            Self::Truth => "`true` or `false`",
            Self::Date => "a date, written `yyyy-mm-dd`",
            Self::Text => "text in quotes",
        }
    }
}

/// A constant as the condition writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Constant {
    /// A number, with its sign.
    Number(String),
    /// `true` or `false`.
    Truth(bool),
    /// `DATE '…'`.
    Date(String),
    /// A text, which is read as what it is compared with.
    Text(String),
    /// Another type, such as `TIMESTAMP '…'`.
    Other(String),
}

impl Constant {
    /// The constant that an expression is; `None` if it is not one.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an expression that is not listed is refused"
    )]
    pub(super) fn of(expr: &Expr) -> Option<Self> {
        match expr {
            Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr,
            } => match Self::of(expr)? {
                Self::Number(digits) if !digits.starts_with('-') => Some(Self::Number(format!("-{digits}"))),
                Self::Number(_) | Self::Truth(_) | Self::Date(_) | Self::Text(_) | Self::Other(_) => None,
            },
            Expr::Value(value) => match &value.value {
                Literal::Number(digits, _) => Some(Self::Number(digits.clone())),
                Literal::SingleQuotedString(text) => Some(Self::Text(text.clone())),
                Literal::Boolean(truth) => Some(Self::Truth(*truth)),
                _ => None,
            },
            Expr::TypedString(typed) => match (&typed.data_type, &typed.value.value) {
                (DataType::Date, Literal::SingleQuotedString(text)) => Some(Self::Date(text.clone())),
                (other, _) => Some(Self::Other(shortened(&other.to_string()))),
            },
            _ => None,
        }
    }

    /// The length of its text, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Number(text) | Self::Date(text) | Self::Text(text) | Self::Other(text) => text.len(),
            Self::Truth(_) => 0,
        }
    }

    /// Whether a text can contain it: what a message repeats of a number are digits and signs, and of a type is short.
    pub(super) fn is_valid(&self) -> bool {
        match self {
            Self::Number(digits) => digits.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c)),
            Self::Other(sql_type) => sql_type.chars().count() <= MAX_SHOWN,
            Self::Truth(_) | Self::Date(_) | Self::Text(_) => true,
        }
    }

    /// The value to compare with columns of this kind; `None` if it is not of the kind.
    pub(super) fn value(&self, kind: Kind) -> Option<Value> {
        match (kind, self) {
            (Kind::WholeNumber, Self::Number(text) | Self::Text(text)) => text.parse().ok().map(Value::Int),
            (Kind::Number, Self::Number(text) | Self::Text(text)) => number(text).map(Value::Float),
            (Kind::Truth, Self::Truth(truth)) => Some(Value::Bool(*truth)),
            (Kind::Truth, Self::Text(text)) => truth(text).map(Value::Bool),
            (Kind::Date, Self::Date(text) | Self::Text(text)) => date(text).map(Value::Date),
            (Kind::Text, Self::Text(text)) => Some(Value::Text(text.clone())),
            (Kind::WholeNumber | Kind::Number | Kind::Truth | Kind::Date | Kind::Text, _) => None,
        }
    }

    /// Why it is not of this kind, and what would be, for the end of a sentence about the column. It repeats no text.
    pub(super) fn mismatch(&self, kind: Kind, column: &ColumnName) -> String {
        let form = match (kind, self) {
            (Kind::Text, _) => format!("write text in quotes, as in `{column} = '…'`"),
            (_, Self::Text(_)) | (Kind::Date, Self::Date(_)) => {
                return format!("the text is not {}", kind.notation());
            }
            (Kind::WholeNumber | Kind::Number, Self::Number(digits)) => {
                return format!("`{}` is not {} of 64 bits", shortened(digits), kind.label());
            }
            (Kind::WholeNumber | Kind::Number | Kind::Truth | Kind::Date, _) => format!("write {}", kind.notation()),
        };
        let known = match self {
            Self::Number(digits) => format!("`{}` is a number", shortened(digits)),
            Self::Truth(truth) => format!("`{truth}` is true or false"),
            Self::Date(_) => "the constant is a date".to_owned(),
            Self::Text(_) => "the constant is text".to_owned(),
            Self::Other(sql_type) => format!("the constant is a `{sql_type}`"),
        };
        format!("{known}: they cannot be compared; {form}")
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

/// A finite number; the names of others are not numbers.
fn number(text: &str) -> Option<Finite> {
    text.parse().ok().and_then(|number| Finite::new(number).ok())
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" => Some(true),
        "false" | "f" => Some(false),
        _ => None,
    }
}

/// Days since 1970-01-01 of a `yyyy-mm-dd` from year 1 on.
fn date(text: &str) -> Option<i32> {
    let is_plain = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 10 || !text.bytes().enumerate().all(is_plain) {
        return None;
    }
    let day: NaiveDate = text.parse().ok()?;
    (day.year() > 0).then(|| day.num_days_from_ce().saturating_sub(EPOCH_FROM_CE))
}
