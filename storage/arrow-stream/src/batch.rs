//! Checks the metadata of a record batch against its schema and its body.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Field, Schema};
use arrow::ipc;

use super::schema::{Layout, layout};
use super::{ALIGNMENT, MAX_CELLS, MAX_ROWS, StreamViolation};

/// Size of an offset into text, in bytes.
const OFFSET: usize = 4;

/// Checks that `sent`, with a body of `body` bytes, is a batch of `schema`. The body itself is not read.
///
/// # Errors
/// [`StreamViolation`] for the first number that is inconsistent.
pub(super) fn check(sent: &ipc::RecordBatch<'_>, schema: &Schema, body: usize) -> Result<(), StreamViolation> {
    if sent.compression().is_some() {
        return Err(StreamViolation::Extra { what: "compression" });
    }
    if sent.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
        return Err(StreamViolation::Extra {
            what: "buffers of views",
        });
    }
    let rows = rows(sent.length(), schema.fields().len())?;
    let nodes = sent.nodes().unwrap_or_default();
    if nodes.len() != schema.fields().len() {
        return Err(StreamViolation::Count { what: "nodes" });
    }
    let mut buffers = Buffers {
        buffers: sent.buffers().unwrap_or_default().iter(),
        end: 0,
        body,
    };
    for (column, (field, node)) in (1_usize..).zip(schema.fields().iter().zip(nodes.iter())) {
        let nulls = nulls(column, field, node, rows)?;
        buffers.column(column, field, rows, nulls)?;
    }
    buffers.finish()
}

/// The first column, from 1, with a decimal number that has more digits than its type.
pub(super) fn excess_digits(batch: &RecordBatch) -> Option<usize> {
    let exceeds = |column: &ArrayRef| !fits_its_digits(column);
    batch
        .columns()
        .iter()
        .position(exceeds)
        .map(|column| column.saturating_add(1))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only decimals have a number of digits")]
fn fits_its_digits(column: &ArrayRef) -> bool {
    let checked = match column.data_type() {
        DataType::Decimal32(digits, _) => column
            .as_primitive::<Decimal32Type>()
            .validate_decimal_precision(*digits),
        DataType::Decimal64(digits, _) => column
            .as_primitive::<Decimal64Type>()
            .validate_decimal_precision(*digits),
        DataType::Decimal128(digits, _) => column
            .as_primitive::<Decimal128Type>()
            .validate_decimal_precision(*digits),
        DataType::Decimal256(digits, _) => column
            .as_primitive::<Decimal256Type>()
            .validate_decimal_precision(*digits),
        _ => return true,
    };
    checked.is_ok()
}

/// The number of rows of a batch of `columns` columns.
fn rows(stated: i64, columns: usize) -> Result<usize, StreamViolation> {
    usize::try_from(stated)
        .ok()
        .filter(|rows| (1..=MAX_ROWS).contains(rows) && rows.saturating_mul(columns) <= MAX_CELLS)
        .ok_or(StreamViolation::Rows { rows: stated })
}

/// The number of missing values in a column.
fn nulls(column: usize, field: &Field, node: &ipc::FieldNode, rows: usize) -> Result<usize, StreamViolation> {
    let wrong = |what| StreamViolation::Column { column, what };
    if usize::try_from(node.length()) != Ok(rows) {
        return Err(wrong("a length"));
    }
    let nulls = usize::try_from(node.null_count()).map_err(|_| wrong("a number of missing values"))?;
    let fits = match layout(field.data_type()) {
        Some(Layout::Empty) => nulls == rows,
        _ if field.is_nullable() => nulls <= rows,
        _ => nulls == 0,
    };
    if fits {
        Ok(nulls)
    } else {
        Err(wrong("a number of missing values"))
    }
}

/// The buffers of a batch, in the order of the body.
struct Buffers<I> {
    buffers: I,
    end: usize,
    body: usize,
}

impl<'a, I: Iterator<Item = &'a ipc::Buffer>> Buffers<I> {
    /// Checks the buffers of one column; each must be large enough for `rows` values.
    fn column(&mut self, column: usize, field: &Field, rows: usize, nulls: usize) -> Result<(), StreamViolation> {
        let bits = rows.div_ceil(8);
        let layout = layout(field.data_type()).ok_or(StreamViolation::Type { column })?;
        if layout == Layout::Empty {
            return Ok(());
        }
        // Without missing values, the validity may be omitted or be all ones.
        self.check_buffer(column, "validity", if nulls > 0 { bits } else { 0 }, 1)?;
        match layout {
            Layout::Empty => Ok(()),
            Layout::Bits => self.check_buffer(column, "bits", bits, 1),
            Layout::Fixed(width) => self.check_buffer(column, "values", rows.saturating_mul(width), width),
            Layout::Text => {
                self.check_buffer(column, "offsets", rows.saturating_add(1).saturating_mul(OFFSET), OFFSET)?;
                self.check_buffer(column, "text", 0, 1)
            }
        }
    }

    /// Checks the next buffer: it has at least `least` bytes and contains a whole number of values of `width` bytes.
    /// The library reads it as values and panics on a partial one.
    fn check_buffer(
        &mut self,
        column: usize,
        what: &'static str,
        least: usize,
        width: usize,
    ) -> Result<(), StreamViolation> {
        let buffer = self.buffers.next().ok_or(StreamViolation::Count { what: "buffers" })?;
        let outside = StreamViolation::Buffer { column };
        let start = usize::try_from(buffer.offset()).map_err(|_| outside.clone())?;
        let length = usize::try_from(buffer.length()).map_err(|_| outside.clone())?;
        let end = start.checked_add(length).filter(|end| *end <= self.body);
        if start < self.end {
            return Err(outside);
        }
        self.end = end.ok_or(outside)?;
        if !start.is_multiple_of(ALIGNMENT) {
            return Err(StreamViolation::Unaligned { what: "a buffer" });
        }
        if length < least || !length.is_multiple_of(width) {
            return Err(StreamViolation::Column { column, what });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), StreamViolation> {
        match self.buffers.next() {
            None => Ok(()),
            Some(_) => Err(StreamViolation::Count { what: "buffers" }),
        }
    }
}
