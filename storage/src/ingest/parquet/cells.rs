//! The values of a column, one after the other, as text.
//!
//! Values are decoded a few at a time, and from one page at a time: texts share the bytes of their page, so a page is in memory
//! only as long as it is being read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parquet::{
    basic::Type as Physical,
    column::reader::ColumnReaderImpl,
    data_type::{
        BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
        Int96Type,
    },
    file::metadata::ColumnChunkMetaData,
};

use super::{
    damage::{DAMAGED, Damage, contained},
    pages::{OpenPages, Pages},
    schema::Reading,
    text::{self, Cell},
};
use crate::ingest::source::RandomAccess;

/// The values of a column in a row group.
pub(super) trait Cells: Send {
    /// Appends the text of the next value to `text`; nothing if it is missing or is not accepted.
    fn append(&mut self, text: &mut String) -> Result<Cell, Damage>;
}

/// What is the same for all columns of a row group.
pub(super) struct Group<'a> {
    pub(super) file: &'a Arc<RandomAccess>,
    pub(super) rows: u64,
    /// Values of a column that are decoded at a time.
    pub(super) at_a_time: u64,
    pub(super) open_pages: Arc<OpenPages>,
}

impl Group<'_> {
    /// The values of one column of it.
    pub(super) fn cells(&self, column: &ColumnChunkMetaData, reading: Reading) -> Result<Box<dyn Cells>, Damage> {
        match column.column_type() {
            Physical::BOOLEAN => self.typed::<BoolType>(column, reading, text::boolean),
            Physical::INT32 => self.typed::<Int32Type>(column, reading, text::int32),
            Physical::INT64 => self.typed::<Int64Type>(column, reading, text::int64),
            Physical::INT96 => self.typed::<Int96Type>(column, reading, text::int96),
            Physical::FLOAT => self.typed::<FloatType>(column, reading, text::float),
            Physical::DOUBLE => self.typed::<DoubleType>(column, reading, text::double),
            Physical::BYTE_ARRAY => self.typed::<ByteArrayType>(column, reading, text::bytes),
            Physical::FIXED_LEN_BYTE_ARRAY => self.typed::<FixedLenByteArrayType>(column, reading, text::fixed),
        }
    }

    fn typed<T: DataType>(
        &self,
        column: &ColumnChunkMetaData,
        reading: Reading,
        write: Write<T>,
    ) -> Result<Box<dyn Cells>, Damage> {
        let rows = usize::try_from(self.rows).map_err(|_| DAMAGED)?;
        let (pages, left) = contained(|| Pages::open(self.file, column, rows, &self.open_pages))?;
        let descriptor = column.column_descr_ptr();
        Ok(Box::new(Typed {
            is_optional: descriptor.max_def_level() > 0,
            reader: ColumnReaderImpl::<T>::new(descriptor, Box::new(pages)),
            reading,
            write,
            at_a_time: self.at_a_time,
            left,
            levels: Vec::new(),
            values: Vec::new(),
            level: 0,
            value: 0,
        }))
    }
}

/// Writes a value as text.
type Write<T> = fn(&<T as DataType>::T, Reading, &mut String) -> Cell;

/// The values of one physical type.
struct Typed<T: DataType> {
    reader: ColumnReaderImpl<T>,
    reading: Reading,
    write: Write<T>,
    is_optional: bool,
    at_a_time: u64,
    /// How many values of the open page are left.
    left: Arc<AtomicU64>,
    /// For each decoded value, whether it is there.
    levels: Vec<i16>,
    /// The decoded values that are there.
    values: Vec<T::T>,
    /// The next of both.
    level: usize,
    value: usize,
}

impl<T: DataType> Typed<T> {
    /// Decodes more values: one if a page has to be opened, or several of the one that is open.
    fn refill(&mut self) -> Result<(), Damage> {
        self.levels.clear();
        self.values.clear();
        (self.level, self.value) = (0, 0);
        let left = self.left.load(Ordering::Relaxed);
        let wanted = usize::try_from(left.clamp(1, self.at_a_time)).map_err(|_| DAMAGED)?;
        let Self {
            reader, levels, values, ..
        } = self;
        let (records, ..) = contained(|| reader.read_records(wanted, Some(levels), None, values))?;
        if records != wanted {
            return Err(DAMAGED);
        }
        // If a page was opened, this is the number of its values.
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(records as u64), Ordering::Relaxed);
        Ok(())
    }

    fn decoded(&self) -> usize {
        if self.is_optional {
            self.levels.len()
        } else {
            self.values.len()
        }
    }
}

impl<T: DataType> Cells for Typed<T> {
    fn append(&mut self, text: &mut String) -> Result<Cell, Damage> {
        if self.level >= self.decoded() {
            self.refill()?;
        }
        let is_there = !self.is_optional || self.levels.get(self.level).is_some_and(|level| *level > 0);
        self.level += 1;
        if !is_there {
            return Ok(Cell::Missing);
        }
        let value = self.values.get(self.value).ok_or(DAMAGED)?;
        self.value += 1;
        Ok((self.write)(value, self.reading, text))
    }
}
