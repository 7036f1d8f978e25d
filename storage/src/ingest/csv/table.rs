//! The rows of delimited text, as both passes read them.

use std::path::Path;

use super::{
    records::{Records, Step},
    sniff::{HeaderFound, Layout},
};
use crate::ingest::{
    block::Block,
    error::IngestError,
    limits::MAX_COLUMNS,
    names::numbered,
    options::{Header, Refused, TableOptions},
    rejects::{Reason, Reject},
    row::Row,
    row_source::{Ending, RowSource},
    source::Source,
    text::FileText,
};

/// A file that was opened and read up to the end of its header.
pub(crate) struct Table {
    records: Records<FileText>,
    row: Row,
    header: Vec<String>,
    width: usize,
    stop_at_invalid: bool,
    blank_lines: u64,
}

/// The result of [`Table::next`].
enum Next {
    Row,
    Refused(Reject),
    End,
}

impl Table {
    /// Opens a file; the names of its columns are those of its header or of the options.
    pub(crate) fn open(source: &Source, options: &TableOptions, layout: Layout) -> Result<Self, IngestError> {
        let path = source.name();
        let source = FileText::open(source, options.encoding)?;
        let mut table = Self {
            records: Records::new(source, layout.syntax),
            row: Row::default(),
            header: Vec::new(),
            width: layout.width,
            stop_at_invalid: options.refused == Refused::Stop,
            blank_lines: 0,
        };
        table.header = if layout.header != HeaderFound::Absent {
            table.read_header(path)?
        } else {
            names_given(&options.header, path, layout.width)?
        };
        table.width = table.header.len();
        if table.width > MAX_COLUMNS {
            return Err(IngestError::TooManyColumns { found: table.width });
        }
        Ok(table)
    }

    /// Reads the next row that has as many fields as the table has columns.
    fn next(&mut self) -> Result<Next, IngestError> {
        loop {
            let reject = match self.records.next(&mut self.row)? {
                Step::Row if self.row.width == self.width => return Ok(Next::Row),
                Step::Row => {
                    let reason = Reason::Ragged {
                        found: self.row.width,
                        expected: self.width,
                    };
                    Reject {
                        line: self.row.line,
                        reason,
                    }
                }
                Step::Blank => {
                    self.blank_lines += 1;
                    continue;
                }
                Step::Refused(reject) => reject,
                Step::End => return Ok(Next::End),
            };
            self.check_encoding(reject)?;
            return Ok(Next::Refused(reject));
        }
    }

    fn read_header(&mut self, path: &Path) -> Result<Vec<String>, IngestError> {
        let mut row = Row::default();
        loop {
            match self.records.next(&mut row)? {
                Step::Row if row.width > MAX_COLUMNS => return Err(IngestError::TooManyColumns { found: row.width }),
                Step::Row => return Ok(row.fields().map(str::to_owned).collect()),
                Step::Blank => self.blank_lines += 1,
                Step::Refused(reject) => {
                    self.check_encoding(reject)?;
                    return Err(IngestError::HeaderRefused {
                        line: reject.line,
                        reason: reject.reason,
                    });
                }
                Step::End => return Err(IngestError::Empty { path: path.to_owned() }),
            }
        }
    }

    /// Invalid bytes usually mean that the file has another encoding, so they are an error unless rows may be skipped.
    fn check_encoding(&self, reject: Reject) -> Result<(), IngestError> {
        if let (true, Reason::InvalidBytes { offset }) = (self.stop_at_invalid, reject.reason) {
            return Err(IngestError::Encoding {
                line: reject.line,
                offset,
                encoding: self.records.source().encoding().name(),
            });
        }
        Ok(())
    }
}

impl RowSource for Table {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn block(&mut self) -> Result<Block, IngestError> {
        let mut block = Block::new(self.width);
        while !block.is_full() {
            match self.next()? {
                Next::Row => block.push(&self.row),
                Next::Refused(reject) => block.rejects.push(reject),
                Next::End => break,
            }
        }
        Ok(block)
    }

    fn finish(self: Box<Self>) -> Result<Ending, IngestError> {
        let source = self.records.into_source();
        Ok(Ending {
            encoding: Some(source.encoding()),
            gzip: source.is_gzip(),
            blank_lines: self.blank_lines,
            stored_as_text: vec![false; self.width],
            fingerprint: source.finish()?,
        })
    }
}

fn names_given(header: &Header, path: &Path, width: usize) -> Result<Vec<String>, IngestError> {
    if width == 0 {
        return Err(IngestError::Empty { path: path.to_owned() });
    }
    match header {
        Header::Absent { names } if !names.is_empty() && names.len() != width => Err(IngestError::NameCount {
            given: names.len(),
            found: width,
        }),
        Header::Absent { names } if !names.is_empty() => Ok(names.clone()),
        Header::Absent { .. } | Header::Auto | Header::Present => Ok((0..width).map(numbered).collect()),
    }
}
