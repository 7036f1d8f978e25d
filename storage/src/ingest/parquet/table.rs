//! The rows of a Parquet file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::file::metadata::ParquetMetaData;

use super::{
    cells::{Cells, Group},
    damage::{DAMAGED, Damage},
    footer,
    pages::OpenPages,
    schema::{self, Reading},
    text::Cell,
};
use crate::ingest::{
    block::Block,
    error::IngestError,
    fingerprint::{self, Fingerprint, Watched, read_error},
    limits::{MAX_COLUMNS, MAX_FIELD_BYTES, MAX_RECORD_BYTES},
    rejects::{Reason, Reject},
    row::Row,
    row_source::{Ending, RowSource},
    source::{RandomAccess, Source},
};

/// Most values that are decoded at a time, all columns together; each takes up to 40 bytes.
const MAX_DECODED: usize = 1 << 18;
/// Most values of a column that are decoded at a time.
const MAX_AT_A_TIME: usize = 1024;

/// A Parquet file, opened for one pass.
pub(crate) struct Table {
    path: PathBuf,
    file: Arc<RandomAccess>,
    watched: Watched,
    fingerprint: Fingerprint,
    metadata: ParquetMetaData,
    header: Vec<String>,
    readings: Vec<Reading>,
    /// The next row group.
    group: usize,
    /// The columns of the open one, and how many of its rows are left.
    columns: Vec<Box<dyn Cells>>,
    left: u64,
    /// The number of the last row.
    number: u64,
    row: Row,
}

impl Table {
    /// Opens a file. All of it is hashed before anything is read, and must have the fingerprint `expected` if there is one.
    pub(crate) fn open(source: &Source, expected: Option<Fingerprint>) -> Result<Self, IngestError> {
        let path = source.name();
        let file = Arc::new(source.random_access().map_err(|error| read_error(path, error))?);
        let watched = Watched::new(file.file(), path)?;
        let fingerprint = fingerprint::of_all(file.from_start()).map_err(|error| read_error(path, error))?;
        if expected.is_some_and(|expected| expected != fingerprint) {
            return Err(IngestError::Changed { path: path.to_owned() });
        }
        let metadata = footer::read(&file).map_err(|reason| damaged(path, reason))?;
        let columns = schema::columns(metadata.file_metadata().schema_descr());
        let columns = columns.map_err(|columns| IngestError::Unsupported { columns })?;
        if columns.len() > MAX_COLUMNS {
            return Err(IngestError::TooManyColumns { found: columns.len() });
        }
        if columns.is_empty() {
            return Err(IngestError::Empty { path: path.to_owned() });
        }
        let (header, readings) = columns.into_iter().unzip();
        Ok(Self {
            path: path.to_owned(),
            file,
            watched,
            fingerprint,
            metadata,
            header,
            readings,
            group: 0,
            columns: Vec::new(),
            left: 0,
            number: 0,
            row: Row::default(),
        })
    }

    /// Opens row groups until one has rows; `false` if there are no more.
    fn open_group(&mut self) -> Result<bool, Damage> {
        while self.left == 0 {
            let Some(group) = self.metadata.row_groups().get(self.group) else {
                return Ok(false);
            };
            self.group += 1;
            self.left = u64::try_from(group.num_rows()).map_err(|_| DAMAGED)?;
            // The pages of the group before are dropped first.
            self.columns.clear();
            let at_a_time = (MAX_DECODED / self.readings.len().max(1)).clamp(1, MAX_AT_A_TIME);
            let opened = Group {
                file: &self.file,
                rows: self.left,
                at_a_time: at_a_time as u64,
                open_pages: Arc::new(OpenPages::default()),
            };
            let columns = group.columns().iter().zip(&self.readings);
            let cells: Result<Vec<_>, Damage> = columns
                .map(|(column, reading)| opened.cells(column, *reading))
                .collect();
            self.columns = cells?;
            if self.columns.len() != self.readings.len() {
                return Err(DAMAGED);
            }
        }
        Ok(true)
    }

    /// Reads a row; the inner error is why it is refused.
    fn read_row(&mut self) -> Result<Result<(), Reason>, Damage> {
        self.left -= 1;
        self.number += 1;
        self.row.clear(self.number);
        let mut invalid = None;
        let mut too_long = None;
        for (at, (column, reading)) in self.columns.iter_mut().zip(&self.readings).enumerate() {
            let field = at + 1;
            let is_text = matches!(reading, Reading::Text | Reading::Uuid);
            let start = self.row.text.len();
            match column.append(&mut self.row.text)? {
                Cell::Written | Cell::Missing => {}
                Cell::TooLong => {
                    too_long.get_or_insert(Reason::FieldTooLong { field });
                }
                Cell::Invalid => {
                    invalid.get_or_insert(Reason::InvalidText { field });
                }
            }
            if self.row.text.len() - start > MAX_FIELD_BYTES {
                too_long.get_or_insert(Reason::FieldTooLong { field });
            }
            self.row.end_field(!is_text);
            if self.row.text.len() > MAX_RECORD_BYTES {
                too_long.get_or_insert(Reason::RowTooLong);
            }
            if too_long.is_some() {
                // The other columns go on to the next row too.
                self.row.text.clear();
            }
        }
        let zero = self.row.text.contains('\0').then_some(Reason::ZeroByte);
        Ok(too_long.or(zero).or(invalid).map_or(Ok(()), Err))
    }

    fn fill(&mut self, block: &mut Block) -> Result<(), Damage> {
        while !block.is_full() && self.open_group()? {
            while self.left > 0 && !block.is_full() {
                match self.read_row()? {
                    Ok(()) => block.push(&self.row),
                    Err(reason) => block.rejects.push(Reject {
                        line: self.number,
                        reason,
                    }),
                }
            }
        }
        Ok(())
    }
}

impl RowSource for Table {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn block(&mut self) -> Result<Block, IngestError> {
        let mut block = Block::new(self.header.len());
        if let Err(reason) = self.fill(&mut block) {
            // A file that is being written looks damaged.
            self.watched.check(&self.path, self.fingerprint.length)?;
            return Err(damaged(&self.path, reason));
        }
        Ok(block)
    }

    fn finish(self: Box<Self>) -> Result<Ending, IngestError> {
        self.watched.check(&self.path, self.fingerprint.length)?;
        Ok(Ending {
            fingerprint: self.fingerprint,
            encoding: None,
            compression: None,
            errors: Vec::new(),
            notes: Vec::new(),
            blank_lines: 0,
            stored_as_text: self.readings.iter().map(|reading| *reading == Reading::Text).collect(),
        })
    }
}

fn damaged(path: &Path, reason: Damage) -> IngestError {
    IngestError::Parquet {
        path: path.to_owned(),
        reason,
    }
}
