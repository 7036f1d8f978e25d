//! Classes of types: values of one class are comparable.

use arrow::datatypes::DataType;

/// Values of one class are comparable with each other, whatever their Arrow types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// NULL, which is comparable with everything.
    Null,
    Boolean,
    Number,
    Text,
    Date,
    Timestamp,
    /// A timestamp with a zone.
    Instant,
    Time,
    /// An interval, or the time between two timestamps.
    Interval,
    /// Lists and the like, which are left to the library.
    Other,
}

impl Class {
    /// The class of a type.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other types are not stored, and no cast makes them"
    )]
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean,
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => Self::Text,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::Instant,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Interval(_) | DataType::Duration(_) => Self::Interval,
            data_type if data_type.is_numeric() => Self::Number,
            _ => Self::Other,
        }
    }

    /// What a value of the class is, for people to read.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean => "true or false",
            Self::Number => "a number",
            Self::Text => "text",
            Self::Date => "a date",
            Self::Timestamp => "a timestamp",
            Self::Instant => "a timestamp with a zone",
            Self::Time => "a time of day",
            Self::Interval => "an interval",
            Self::Other => "a list or a structure",
        }
    }

    /// The SQL type to which text is cast to be comparable with this class.
    pub(crate) const fn sql_type(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Number => "DOUBLE",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::Instant => "TIMESTAMP WITH TIME ZONE",
            Self::Time => "TIME",
            Self::Interval => "INTERVAL",
            Self::Null | Self::Text | Self::Other => "TEXT",
        }
    }
}
