//! The columns of a stream: which types are supported, and the layout of their values in a body.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use arrow::ipc;

use super::{MAX_COLUMNS, StreamViolation};

/// The only time zone that is given by name.
const UTC: &str = "UTC";

/// The layout of a column's values in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// No buffers.
    Empty,
    /// Validity, and one bit for each value.
    Bits,
    /// Validity, and this many bytes for each value.
    Fixed(usize),
    /// Validity, one more 32-bit offset than there are values, and the text.
    Text,
}

/// The layout of a type that streams support; `None` for every other type.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a type that is not listed is not supported"
)]
pub(super) fn layout(kind: &DataType) -> Option<Layout> {
    match kind {
        DataType::Null => Some(Layout::Empty),
        DataType::Boolean => Some(Layout::Bits),
        DataType::Utf8 => Some(Layout::Text),
        DataType::Timestamp(_, Some(zone)) if !is_zone(zone) => None,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if !is_scale(*precision, *scale) =>
        {
            None
        }
        _ => kind.primitive_width().map(Layout::Fixed),
    }
}

/// UTC, or a fixed offset from it such as `+01:00`, which every reader can display.
fn is_zone(zone: &str) -> bool {
    let offset = |bytes: &[u8]| match bytes {
        [b'+' | b'-', hours @ .., b':', tens @ b'0'..=b'5', ones] => {
            hours.len() == 2 && hours.iter().chain([tens, ones]).all(u8::is_ascii_digit) && hours < b"24".as_slice()
        }
        _ => false,
    };
    zone == UTC || offset(zone.as_bytes())
}

/// The columns that `sent` states.
///
/// # Errors
/// [`StreamViolation`] for any type that [`layout`] does not support, and for every property that these streams do not
/// use.
pub(super) fn parse(sent: &ipc::Schema<'_>) -> Result<SchemaRef, StreamViolation> {
    let extra = |what| Err(StreamViolation::Extra { what });
    if sent.endianness() != ipc::Endianness::Little {
        return extra("another byte order");
    }
    if sent.custom_metadata().is_some_and(|metadata| !metadata.is_empty()) {
        return extra("custom metadata");
    }
    if sent.features().is_some_and(|features| !features.is_empty()) {
        return extra("features");
    }
    let sent = sent.fields().unwrap_or_default();
    if sent.len() > MAX_COLUMNS {
        return Err(StreamViolation::Columns { columns: sent.len() });
    }
    let fields: Result<Vec<_>, _> = (1_usize..)
        .zip(sent.iter())
        .map(|(number, sent)| field(number, &sent))
        .collect();
    Ok(Arc::new(Schema::new(fields?)))
}

fn field(column: usize, sent: &ipc::Field<'_>) -> Result<Field, StreamViolation> {
    let refused = StreamViolation::Type { column };
    if sent.dictionary().is_some() || sent.children().is_some_and(|children| !children.is_empty()) {
        return Err(refused);
    }
    if sent.custom_metadata().is_some_and(|metadata| !metadata.is_empty()) {
        return Err(StreamViolation::Extra {
            what: "custom metadata",
        });
    }
    let kind = data_type(sent).filter(|kind| layout(kind).is_some()).ok_or(refused)?;
    Ok(Field::new(sent.name().unwrap_or_default(), kind, sent.nullable()))
}

fn data_type(sent: &ipc::Field<'_>) -> Option<DataType> {
    match sent.type_type() {
        ipc::Type::Null => Some(DataType::Null),
        ipc::Type::Bool => Some(DataType::Boolean),
        ipc::Type::Utf8 => Some(DataType::Utf8),
        ipc::Type::Int => integer(&sent.type_as_int()?),
        ipc::Type::FloatingPoint => match sent.type_as_floating_point()?.precision() {
            ipc::Precision::HALF => Some(DataType::Float16),
            ipc::Precision::SINGLE => Some(DataType::Float32),
            ipc::Precision::DOUBLE => Some(DataType::Float64),
            _ => None,
        },
        ipc::Type::Decimal => decimal(&sent.type_as_decimal()?),
        ipc::Type::Date => match sent.type_as_date()?.unit() {
            ipc::DateUnit::DAY => Some(DataType::Date32),
            ipc::DateUnit::MILLISECOND => Some(DataType::Date64),
            _ => None,
        },
        ipc::Type::Time => time_of_day(&sent.type_as_time()?),
        ipc::Type::Timestamp => {
            let sent = sent.type_as_timestamp()?;
            Some(DataType::Timestamp(unit(sent.unit())?, sent.timezone().map(Into::into)))
        }
        ipc::Type::Duration => Some(DataType::Duration(unit(sent.type_as_duration()?.unit())?)),
        ipc::Type::Interval => match sent.type_as_interval()?.unit() {
            ipc::IntervalUnit::YEAR_MONTH => Some(DataType::Interval(IntervalUnit::YearMonth)),
            ipc::IntervalUnit::DAY_TIME => Some(DataType::Interval(IntervalUnit::DayTime)),
            ipc::IntervalUnit::MONTH_DAY_NANO => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
            _ => None,
        },
        _ => None,
    }
}

fn integer(sent: &ipc::Int<'_>) -> Option<DataType> {
    match (sent.bitWidth(), sent.is_signed()) {
        (8, true) => Some(DataType::Int8),
        (16, true) => Some(DataType::Int16),
        (32, true) => Some(DataType::Int32),
        (64, true) => Some(DataType::Int64),
        (8, false) => Some(DataType::UInt8),
        (16, false) => Some(DataType::UInt16),
        (32, false) => Some(DataType::UInt32),
        (64, false) => Some(DataType::UInt64),
        _ => None,
    }
}

fn decimal(sent: &ipc::Decimal<'_>) -> Option<DataType> {
    let precision = u8::try_from(sent.precision()).ok()?;
    let scale = i8::try_from(sent.scale()).ok()?;
    let within = |most: u8| (1..=most).contains(&precision) && is_scale(precision, scale);
    match sent.bitWidth() {
        32 if within(9) => Some(DataType::Decimal32(precision, scale)),
        64 if within(18) => Some(DataType::Decimal64(precision, scale)),
        128 if within(38) => Some(DataType::Decimal128(precision, scale)),
        256 if within(76) => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

/// Whether a decimal of so many digits can have so many of them after the point.
const fn is_scale(precision: u8, scale: i8) -> bool {
    scale >= 0 && scale.unsigned_abs() <= precision
}

fn time_of_day(sent: &ipc::Time<'_>) -> Option<DataType> {
    match (sent.bitWidth(), unit(sent.unit())?) {
        (32, unit @ (TimeUnit::Second | TimeUnit::Millisecond)) => Some(DataType::Time32(unit)),
        (64, unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond)) => Some(DataType::Time64(unit)),
        _ => None,
    }
}

fn unit(sent: ipc::TimeUnit) -> Option<TimeUnit> {
    match sent {
        ipc::TimeUnit::SECOND => Some(TimeUnit::Second),
        ipc::TimeUnit::MILLISECOND => Some(TimeUnit::Millisecond),
        ipc::TimeUnit::MICROSECOND => Some(TimeUnit::Microsecond),
        ipc::TimeUnit::NANOSECOND => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

/// The first column, from 1, in which `found` differs from `expected`; nullability is not compared.
pub(super) fn difference(found: &Schema, expected: &Schema) -> Option<usize> {
    let same = |(found, expected): (&Arc<Field>, &Arc<Field>)| {
        found.name() == expected.name() && found.data_type() == expected.data_type()
    };
    let found = found.fields();
    let expected = expected.fields();
    let alike = found.iter().zip(expected).take_while(|pair| same(*pair)).count();
    (alike < found.len().max(expected.len())).then(|| alike.saturating_add(1))
}
