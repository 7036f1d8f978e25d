//! The rows of delimited text, as both passes read them.

use std::path::Path;

use super::{
    header::HeaderFound,
    layout_advice::is_ruler,
    records::{LinesLikeRows, Records, Step},
    sniff::Layout,
    swallowed::RowShape,
};
use crate::ingest::{
    block::Block,
    error::IngestError,
    limits::MAX_COLUMNS,
    names::numbered,
    note::Note,
    options::{Header, Refused, TableOptions},
    rejects::{Reason, Reject},
    row::Row,
    row_source::{Ending, RowSource},
    source::Source,
    text::{FileText, encoding_remedy},
};

/// A file that was opened and read up to the end of its header.
pub(crate) struct Table {
    records: Records<FileText>,
    row: Row,
    header: Vec<String>,
    width: usize,
    stop_at_invalid: bool,
    blank_lines: u64,
    layout: Layout,
    /// Whether the next record is the one below the header.
    is_below_header: bool,
    /// The line of dashes below the header.
    ruler: Option<u64>,
    /// Rows of which the delimiter at the end was left out.
    trailing_delimiters: u64,
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
            layout,
            is_below_header: layout.header != HeaderFound::Absent,
            ruler: None,
            trailing_delimiters: 0,
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
        table.records.expect_rows(RowShape {
            delimiters: (table.width + usize::from(layout.has_trailing_delimiters)).saturating_sub(1),
            is_spaced: table.header.iter().skip(1).any(|name| name.starts_with(' ')),
        });
        Ok(table)
    }

    /// Reads the next row that has as many fields as the table has columns.
    fn next(&mut self) -> Result<Next, IngestError> {
        loop {
            let step = self.records.next(&mut self.row)?;
            if step == Step::Row && std::mem::take(&mut self.is_below_header) && is_ruler(self.row.fields()) {
                self.ruler = Some(self.row.line);
                continue;
            }
            let reject = match step {
                Step::Row if self.row.width == self.width => return Ok(Next::Row),
                Step::Row if self.has_trailing_delimiter() => {
                    self.trailing_delimiters += 1;
                    return Ok(Next::Row);
                }
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

    /// Whether the row ends with a delimiter that the header does not have, which is then left out.
    fn has_trailing_delimiter(&mut self) -> bool {
        self.layout.has_trailing_delimiters && self.row.width == self.width + 1 && self.row.remove_empty_last()
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
                remedy: encoding_remedy(self.records.window()),
            });
        }
        Ok(())
    }
}

/// What the steward should know about the layout of a text that was read to its end.
fn layout_notes(table: &Table, like_rows: LinesLikeRows) -> Vec<Note> {
    let layout = &table.layout;
    let lines_like_rows = like_rows.first.map(|line| Note::LinesLikeRows {
        count: like_rows.count,
        line,
    });
    let trailing = Some(table.trailing_delimiters).filter(|count| *count > 0);
    [
        layout.has_separator_line.then_some(Note::SeparatorLine),
        table.ruler.map(|line| Note::RulerLine { line }),
        layout.second_header.map(|line| Note::SecondHeader { line }),
        trailing.map(|count| Note::TrailingDelimiters { count }),
        lines_like_rows,
    ]
    .into_iter()
    .flatten()
    .collect()
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
        let mut notes = layout_notes(&self, self.records.like_rows());
        let mut source = self.records.into_source();
        notes.extend(source.encoding_note());
        Ok(Ending {
            encoding: Some(source.encoding()),
            compression: source.compression(),
            errors: Vec::new(),
            notes,
            blank_lines: self.blank_lines,
            stored_as_text: vec![false; self.width],
            fingerprint: source.finish()?,
        })
    }
}

/// The names of columns without a header.
pub(crate) fn names_given(header: &Header, path: &Path, width: usize) -> Result<Vec<String>, IngestError> {
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
