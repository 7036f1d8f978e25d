//! The rows of a sheet, as both passes read them.

use std::ops::Range;

use super::{
    book::Opened,
    damage::Damage,
    layout::Layout,
    row::{Kind, Sheet, SheetRow},
};
use crate::ingest::{
    block::Block,
    csv::{HeaderFound, names_given},
    error::IngestError,
    missing::MissingRule,
    note::Note,
    options::TableOptions,
    parse_field::trim,
    rejects::Reject,
    row::Row,
    row_source::{Ending, RowSource},
    source::Source,
};

/// The table of a sheet, opened for one pass.
pub(crate) struct Table {
    opened: Opened,
    sheet: Sheet,
    columns: Range<u32>,
    header: Vec<String>,
    missing: MissingRule,
    row: Row,
    /// The number of the row before; `None` above the first.
    number: Option<u32>,
    blank_rows: u64,
    errors: Vec<u64>,
    stored_as_text: Vec<bool>,
    /// For each column, whether a cell has a number that it shows with zeros before it.
    codes: Vec<bool>,
}

impl Table {
    /// Opens the sheet that was chosen, and reads its header.
    pub(crate) fn open(source: &Source, options: &TableOptions, layout: &Layout) -> Result<Self, IngestError> {
        let opened = Opened::of(source, layout.format, Some(layout.fingerprint))?;
        let sheet = opened.sheet(layout.number, options);
        let sheet = sheet.map_err(|damage| opened.failed(damage))?;
        let width = layout.columns.len();
        let mut table = Self {
            opened,
            sheet,
            columns: layout.columns.clone(),
            header: Vec::new(),
            missing: MissingRule::of(options),
            row: Row::default(),
            number: None,
            blank_rows: 0,
            errors: vec![0; width],
            stored_as_text: vec![false; width],
            codes: vec![false; width],
        };
        table.header = match layout.header {
            HeaderFound::Absent => names_given(&options.header, source.name(), width)?,
            HeaderFound::Stated | HeaderFound::Proved | HeaderFound::Assumed => table.read_header()?,
        };
        Ok(table)
    }

    fn read_header(&mut self) -> Result<Vec<String>, IngestError> {
        if !self.advance()? {
            return Err(IngestError::Empty {
                path: self.opened.path.clone(),
            });
        }
        let row = self.sheet.row();
        if let Some(reason) = row.refused(self.columns.start) {
            return Err(IngestError::HeaderRefused {
                line: row.number().into(),
                reason,
            });
        }
        fill(&mut self.row, row, &self.columns);
        Ok(self.row.fields().map(str::to_owned).collect())
    }

    /// Reads the next row, and counts those without cells above it.
    fn advance(&mut self) -> Result<bool, IngestError> {
        let more = self.sheet.advance();
        let more = more.map_err(|damage: Damage| self.opened.failed(damage))?;
        if more {
            let number = self.sheet.row().number();
            let above = self.number.map_or(0, |before| number.saturating_sub(before + 1));
            self.blank_rows += u64::from(above);
            self.number = Some(number);
        }
        Ok(more)
    }

    /// Adds the current row to a block.
    fn add(&mut self, block: &mut Block) {
        let row = self.sheet.row();
        if let Some(reason) = row.refused(self.columns.start) {
            let line = row.number().into();
            block.rejects.push(Reject { line, reason });
            return;
        }
        for (column, kind, text) in row.cells() {
            let Some(at) = column.checked_sub(self.columns.start) else {
                continue;
            };
            match kind {
                Kind::Error => {
                    if let Some(errors) = self.errors.get_mut(at as usize) {
                        *errors += 1;
                    }
                }
                Kind::Text if !is_missing(&self.missing, trim(text)) => {
                    if let Some(is_text) = self.stored_as_text.get_mut(at as usize) {
                        *is_text = true;
                    }
                }
                Kind::Code => {
                    if let Some(is_code) = self.codes.get_mut(at as usize) {
                        *is_code = true;
                    }
                }
                Kind::Text | Kind::Value => {}
            }
        }
        fill(&mut self.row, row, &self.columns);
        block.push(&self.row);
    }

    /// What the steward should know about the sheet.
    fn notes(&self) -> Vec<Note> {
        let seen = self.sheet.seen();
        let with_codes = self.header.iter().zip(&self.codes).filter(|(_, is_code)| **is_code);
        let shown = with_codes.map(|(name, _)| Note::ShownZeros {
            column: name.trim().to_owned(),
        });
        let others = [
            (
                seen.hidden_rows,
                Note::HiddenRows {
                    count: seen.hidden_rows,
                },
            ),
            (
                seen.hidden_columns,
                Note::HiddenColumns {
                    count: seen.hidden_columns,
                },
            ),
            (seen.merged, Note::MergedCells { count: seen.merged }),
            (seen.covered, Note::CoveredCells { count: seen.covered }),
            (
                seen.without_result,
                Note::FormulasWithoutResult {
                    count: seen.without_result,
                },
            ),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(_, note)| note);
        shown.chain(others).collect()
    }
}

impl RowSource for Table {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn block(&mut self) -> Result<Block, IngestError> {
        let mut block = Block::new(self.header.len());
        while !block.is_full() && self.advance()? {
            self.add(&mut block);
        }
        Ok(block)
    }

    fn finish(self: Box<Self>) -> Result<Ending, IngestError> {
        let fingerprint = self.opened.fingerprint;
        self.opened.watched.check(&self.opened.path, fingerprint.length)?;
        Ok(Ending {
            notes: self.notes(),
            fingerprint,
            encoding: None,
            compression: None,
            blank_lines: self.blank_rows,
            stored_as_text: self.stored_as_text,
            errors: self.errors,
        })
    }
}

fn is_missing(missing: &MissingRule, value: &str) -> bool {
    missing.is_without_value(value) || missing.is_marker(value)
}

/// Writes the cells of a row, and an empty field for each column without one.
fn fill(fields: &mut Row, row: &SheetRow, columns: &Range<u32>) {
    fields.clear(row.number().into());
    let mut cells = row.cells().filter(|(column, ..)| columns.contains(column)).peekable();
    for column in columns.clone() {
        match cells.next_if(|(next, ..)| *next == column) {
            Some((_, kind, text)) => fields.push_field(text, kind == Kind::Value),
            None => fields.push_field("", false),
        }
    }
}
