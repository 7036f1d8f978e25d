//! The rows of one file, as both passes read them.

use std::path::Path;

use super::{
    error::IngestError,
    names::numbered,
    options::{CsvOptions, Header, Refused, TextEncoding},
    records::{MAX_COLUMNS, Records, Row, Step},
    rejects::{Reason, Reject},
    sniff::Layout,
    source::{FileText, Fingerprint},
};

/// A file opened behind its header.
pub(super) struct Table {
    records: Records<FileText>,
    width: usize,
    stop_at_invalid: bool,
    blank_lines: u64,
}

/// What [`Table::next`] found.
pub(super) enum Next {
    Row,
    Refused(Reject),
    End,
}

impl Table {
    /// Opens a file and gives the names of its columns as its header or the caller has them.
    pub(super) fn open(path: &Path, options: &CsvOptions, layout: Layout) -> Result<(Self, Vec<String>), IngestError> {
        let source = FileText::open(path, options.encoding)?;
        let mut table = Self {
            records: Records::new(source, layout.delimiter),
            width: layout.width,
            stop_at_invalid: options.refused == Refused::Stop,
            blank_lines: 0,
        };
        let header = if layout.header {
            table.header(path)?
        } else {
            names_given(&options.header, path, layout.width)?
        };
        table.width = header.len();
        if table.width > MAX_COLUMNS {
            return Err(IngestError::TooManyColumns { found: table.width });
        }
        Ok((table, header))
    }

    /// Reads the next row of as many fields as the table has columns.
    pub(super) fn next(&mut self, row: &mut Row) -> Result<Next, IngestError> {
        loop {
            let reject = match self.records.next(row)? {
                Step::Row if row.width == self.width => return Ok(Next::Row),
                Step::Row => {
                    let reason = Reason::Ragged {
                        found: row.width,
                        expected: self.width,
                    };
                    Reject { line: row.line, reason }
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

    /// The encoding in use.
    pub(super) fn encoding(&self) -> TextEncoding {
        self.records.source().encoding()
    }

    /// Whether the file is compressed.
    pub(super) fn is_gzip(&self) -> bool {
        self.records.source().is_gzip()
    }

    /// Lines so far with nothing on them.
    pub(super) fn blank_lines(&self) -> u64 {
        self.blank_lines
    }

    /// The fingerprint of the file, after [`Next::End`].
    pub(super) fn finish(self) -> Result<Fingerprint, IngestError> {
        self.records.into_source().finish()
    }

    fn header(&mut self, path: &Path) -> Result<Vec<String>, IngestError> {
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

    /// Bytes outside the encoding mostly mean another encoding, so unless rows may be left out they end the reading.
    fn check_encoding(&self, reject: Reject) -> Result<(), IngestError> {
        if let (true, Reason::InvalidBytes { offset }) = (self.stop_at_invalid, reject.reason) {
            return Err(IngestError::Encoding {
                line: reject.line,
                offset,
                encoding: self.encoding().name(),
            });
        }
        Ok(())
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
