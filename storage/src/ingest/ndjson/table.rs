//! The rows of an NDJSON file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Field, Schema},
};
use arrow_json::reader::{Decoder, ReaderBuilder};

use super::{
    check::{check_encoding, check_text, is_blank},
    columns::Columns,
    lines::{Lines, Step},
    object::{self, Member, Value},
};
use crate::ingest::{
    block::{BLOCK_BYTES, BLOCK_ROWS, Block},
    error::IngestError,
    options::{Refused, TableOptions},
    rejects::{Reason, Reject},
    row::Row,
    row_source::{Ending, RowSource},
    source::Source,
    text::FileText,
};

/// Values that Arrow's reader decodes at a time, which it allocates memory for in advance: 32 bytes for each.
const MAX_VALUES: usize = 1 << 17;

/// An NDJSON file, opened for one pass.
pub(crate) struct Table {
    path: PathBuf,
    lines: Lines<FileText>,
    columns: Columns,
    refused: Refused,
    decoder: Decoder,
    /// Rows that the decoder takes at a time.
    batch_rows: usize,
    row: Row,
    blank_lines: u64,
    stored_as_text: Vec<bool>,
    /// For each column, whether the current line has a number or a truth value in it.
    typed: Vec<bool>,
}

/// Lines that the decoder has.
#[derive(Default)]
struct Decoding {
    lines: Vec<u64>,
    /// For each column of each line, whether the line has a number or a truth value in it.
    typed: Vec<bool>,
    bytes: usize,
}

impl Table {
    /// Opens a file whose objects have these names.
    pub(crate) fn open(source: &Source, options: &TableOptions, names: &[String]) -> Result<Self, IngestError> {
        let batch_rows = (MAX_VALUES / names.len().max(1)).clamp(1, BLOCK_ROWS);
        Ok(Self {
            path: source.name().to_owned(),
            lines: Lines::new(FileText::open(source, options.encoding)?),
            columns: Columns::new(names),
            refused: options.refused,
            decoder: decoder(names, batch_rows, source.name())?,
            batch_rows,
            row: Row::default(),
            blank_lines: 0,
            stored_as_text: vec![false; names.len()],
            typed: Vec::new(),
        })
    }

    /// Adds rows to a block; `false` means that there are no more.
    fn fill(&mut self, block: &mut Block) -> Result<bool, IngestError> {
        let mut decoding = Decoding::default();
        let mut more = true;
        while more && decoding.lines.len() < self.batch_rows && decoding.bytes < BLOCK_BYTES && !block.is_full() {
            more = self.line(block, &mut decoding)?;
        }
        if !decoding.lines.is_empty() {
            self.decode(&decoding, block)?;
        }
        Ok(more)
    }

    /// Reads a line: into the decoder, or as a refused row.
    fn line(&mut self, block: &mut Block, decoding: &mut Decoding) -> Result<bool, IngestError> {
        let checked = match self.lines.next()? {
            Step::End => return Ok(false),
            Step::Line if is_blank(self.lines.line()) => {
                self.blank_lines += 1;
                return Ok(true);
            }
            Step::Line => self.check_line()?,
            Step::TooLong => Err(Reason::RowTooLong),
        };
        let line = self.lines.number();
        let bytes = self.lines.line();
        if let Err(reason) = checked {
            let reject = Reject { line, reason };
            check_encoding(reject, self.refused, self.lines.source().encoding())?;
            block.rejects.push(reject);
            return Ok(true);
        }
        let decoded = self.decoder.decode(bytes);
        if decoded.is_ok_and(|decoded| decoded == bytes.len()) {
            decoding.lines.push(line);
            decoding.typed.extend_from_slice(&self.typed);
            decoding.bytes += bytes.len();
            Ok(true)
        } else {
            Err(self.undecodable())
        }
    }

    /// Checks the current line; the inner error is why it is refused.
    fn check_line(&mut self) -> Result<Result<(), Reason>, IngestError> {
        let mut members = Vec::new();
        let text = check_text(self.lines.line(), self.lines.offset());
        let read = text.and_then(|text| object::read(text, &mut members));
        if let Err(reason) = read.and_then(|()| self.columns.check(&members, self.lines.number())) {
            return Ok(Err(reason));
        }
        self.typed.clear();
        self.typed.resize(self.columns.names().len(), false);
        for Member { name, value } in &members {
            // Other names were not there when the names were read, or were not accepted.
            let index = self.columns.index(name).filter(|_| !matches!(value, Value::Nested(_)));
            let index = index.ok_or_else(|| IngestError::Changed {
                path: self.path.clone(),
            })?;
            let seen = match value {
                Value::Text(_) => self.stored_as_text.get_mut(index),
                Value::Plain { .. } => self.typed.get_mut(index),
                Value::Null | Value::Nested(_) => None,
            };
            if let Some(seen) = seen {
                *seen = true;
            }
        }
        Ok(Ok(()))
    }

    /// Moves what the decoder has to a block.
    fn decode(&mut self, decoding: &Decoding, block: &mut Block) -> Result<(), IngestError> {
        // The error of the decoder may quote a value.
        let batch = self.decoder.flush().ok().flatten();
        let is_complete = |batch: &RecordBatch| batch.num_rows() == decoding.lines.len();
        let batch = batch.filter(is_complete).ok_or_else(|| self.undecodable())?;
        let columns: Option<Vec<_>> = batch
            .columns()
            .iter()
            .map(|column| column.as_string_opt::<i32>())
            .collect();
        let columns = columns.ok_or_else(|| self.undecodable())?;
        for (at, line) in decoding.lines.iter().enumerate() {
            self.row.clear(*line);
            let typed = decoding.typed.iter().skip(at * columns.len());
            for (column, is_typed) in columns.iter().zip(typed) {
                let value = if column.is_valid(at) { column.value(at) } else { "" };
                self.row.push_field(value, *is_typed);
            }
            block.push(&self.row);
        }
        Ok(())
    }

    fn undecodable(&self) -> IngestError {
        IngestError::Undecodable {
            path: self.path.clone(),
        }
    }
}

impl RowSource for Table {
    fn header(&self) -> &[String] {
        self.columns.names()
    }

    fn block(&mut self) -> Result<Block, IngestError> {
        let mut block = Block::new(self.columns.names().len());
        while !block.is_full() && self.fill(&mut block)? {}
        Ok(block)
    }

    fn finish(self: Box<Self>) -> Result<Ending, IngestError> {
        let text = self.lines.into_source();
        Ok(Ending {
            encoding: Some(text.encoding()),
            compression: text.compression(),
            errors: Vec::new(),
            notes: Vec::new(),
            blank_lines: self.blank_lines,
            stored_as_text: self.stored_as_text,
            fingerprint: text.finish()?,
        })
    }
}

/// Arrow's reader, for all values as text. A name that is not among `names` is an error.
fn decoder(names: &[String], rows: usize, path: &Path) -> Result<Decoder, IngestError> {
    let fields: Vec<Field> = names
        .iter()
        .map(|name| Field::new(name, DataType::Utf8, true))
        .collect();
    ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_batch_size(rows)
        .with_coerce_primitive(true)
        .with_strict_mode(true)
        .build_decoder()
        .map_err(|_| IngestError::Undecodable { path: path.to_owned() })
}
