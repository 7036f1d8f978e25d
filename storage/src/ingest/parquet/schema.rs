//! The columns of a Parquet file, and how the values of each are read.

use parquet::{
    basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical},
    schema::types::{SchemaDescriptor, Type},
};

/// How the values of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Boolean,
    Int,
    /// Stored as if it had a sign.
    Unsigned,
    Float,
    Date,
    Time(Unit),
    Timestamp {
        unit: Unit,
        is_utc: bool,
    },
    /// Digits after the point.
    Decimal(u32),
    Text,
    Uuid,
}

/// What a time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// Most digits of a decimal number that a floating-point number keeps.
const FLOAT_DIGITS: i32 = 15;
/// Most digits of a whole number that always fits into 64 bits.
const INT_DIGITS: i32 = 18;

/// Columns that cannot be imported, each with what it holds.
pub(super) type Unsupported = Vec<(String, &'static str)>;

/// The columns of a schema by name, or what is wrong with those that cannot be imported.
pub(super) fn columns(schema: &SchemaDescriptor) -> Result<Vec<(String, Reading)>, Unsupported> {
    let mut columns = Vec::new();
    let mut unsupported = Vec::new();
    for field in schema.root_schema().get_fields() {
        let name = field.name().to_owned();
        match reading(field) {
            Ok(reading) => columns.push((name, reading)),
            Err(what) => unsupported.push((name, what)),
        }
    }
    if unsupported.is_empty() {
        Ok(columns)
    } else {
        Err(unsupported)
    }
}

fn reading(field: &Type) -> Result<Reading, &'static str> {
    let info = field.get_basic_info();
    let logical = info.logical_type_ref();
    let converted = info.converted_type();
    if field.is_group() {
        return Err(match (logical, converted) {
            (Some(LogicalType::List), _) | (_, ConvertedType::LIST) => "lists",
            (Some(LogicalType::Map), _) | (_, ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE) => "maps",
            _ => "structures",
        });
    }
    if info.has_repetition() && info.repetition() == Repetition::REPEATED {
        return Err("lists");
    }
    let physical = field.get_physical_type();
    match logical {
        Some(logical) => by_logical_type(logical, physical),
        None => by_converted_type(converted, physical, field),
    }
}

fn by_logical_type(logical: &LogicalType, physical: Physical) -> Result<Reading, &'static str> {
    match (logical, physical) {
        (LogicalType::String | LogicalType::Enum | LogicalType::Json, Physical::BYTE_ARRAY) => Ok(Reading::Text),
        (LogicalType::Integer(int), Physical::INT32 | Physical::INT64) if int.is_signed => Ok(Reading::Int),
        (LogicalType::Integer(_), Physical::INT32 | Physical::INT64) => Ok(Reading::Unsigned),
        (LogicalType::Decimal(decimal), _) => decimal_reading(decimal.precision, decimal.scale, physical),
        (LogicalType::Date, Physical::INT32) => Ok(Reading::Date),
        (LogicalType::Time(time), Physical::INT32 | Physical::INT64) => Ok(Reading::Time(unit(&time.unit))),
        (LogicalType::Timestamp(timestamp), Physical::INT64) => Ok(Reading::Timestamp {
            unit: unit(&timestamp.unit),
            is_utc: timestamp.is_adjusted_to_u_t_c,
        }),
        (LogicalType::Uuid, Physical::FIXED_LEN_BYTE_ARRAY) => Ok(Reading::Uuid),
        // A column without any value.
        (LogicalType::Unknown, Physical::INT32) => Ok(Reading::Int),
        (LogicalType::Float16, _) => Err("floating point of 16 bits"),
        (LogicalType::Bson | LogicalType::Variant(_), _) => Err("documents"),
        (LogicalType::Geometry(_) | LogicalType::Geography(_), _) => Err("geometries"),
        _ => Err("a type that is not known"),
    }
}

fn by_converted_type(converted: ConvertedType, physical: Physical, field: &Type) -> Result<Reading, &'static str> {
    let timestamp = |unit| Ok(Reading::Timestamp { unit, is_utc: true });
    match (converted, physical) {
        (ConvertedType::NONE, Physical::BOOLEAN) => Ok(Reading::Boolean),
        (ConvertedType::NONE, Physical::INT32 | Physical::INT64)
        | (ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32, Physical::INT32)
        | (ConvertedType::INT_64, Physical::INT64) => Ok(Reading::Int),
        (ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32, Physical::INT32)
        | (ConvertedType::UINT_64, Physical::INT64) => Ok(Reading::Unsigned),
        (ConvertedType::NONE, Physical::FLOAT | Physical::DOUBLE) => Ok(Reading::Float),
        // The former type of times, without a zone.
        (ConvertedType::NONE, Physical::INT96) => Ok(Reading::Timestamp {
            unit: Unit::Nanos,
            is_utc: false,
        }),
        (ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON, Physical::BYTE_ARRAY) => Ok(Reading::Text),
        (ConvertedType::DATE, Physical::INT32) => Ok(Reading::Date),
        (ConvertedType::TIME_MILLIS, Physical::INT32) => Ok(Reading::Time(Unit::Millis)),
        (ConvertedType::TIME_MICROS, Physical::INT64) => Ok(Reading::Time(Unit::Micros)),
        (ConvertedType::TIMESTAMP_MILLIS, Physical::INT64) => timestamp(Unit::Millis),
        (ConvertedType::TIMESTAMP_MICROS, Physical::INT64) => timestamp(Unit::Micros),
        (ConvertedType::DECIMAL, _) => decimal_reading(field.get_precision(), field.get_scale(), physical),
        (ConvertedType::INTERVAL, _) => Err("intervals"),
        (ConvertedType::NONE, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => Err("bytes"),
        (ConvertedType::BSON, _) => Err("documents"),
        _ => Err("a type that is not known"),
    }
}

/// A decimal number is imported if the kind of its column keeps every digit.
fn decimal_reading(precision: i32, scale: i32, physical: Physical) -> Result<Reading, &'static str> {
    let is_stored = matches!(
        physical,
        Physical::INT32 | Physical::INT64 | Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY
    );
    let fits = match scale {
        0 => precision <= INT_DIGITS,
        1.. => scale <= precision && precision <= FLOAT_DIGITS,
        _ => false,
    };
    match u32::try_from(scale) {
        Ok(scale) if is_stored && fits => Ok(Reading::Decimal(scale)),
        _ => Err("decimal numbers with more digits than a number keeps"),
    }
}

fn unit(unit: &TimeUnit) -> Unit {
    match unit {
        TimeUnit::MILLIS => Unit::Millis,
        TimeUnit::MICROS => Unit::Micros,
        TimeUnit::NANOS => Unit::Nanos,
    }
}
