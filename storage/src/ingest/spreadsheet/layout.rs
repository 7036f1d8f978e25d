//! Chooses the sheet, and finds the area of its table and its header.

use std::ops::Range;

use super::{
    book::Opened,
    damage::Damage,
    row::{Sheet, is_value},
};
use crate::ingest::{
    csv::{HeaderFound, guess_header},
    error::IngestError,
    fingerprint::Fingerprint,
    format::{Format, Numbering},
    limits::MAX_COLUMNS,
    options::{Header, TableOptions},
    parse_field::trim,
    source::Source,
};

/// Rows whose types decide whether the first one has names.
const SAMPLE_ROWS: usize = 200;
/// Most bytes of these rows.
const SAMPLE_BYTES: usize = 256 * 1024;
/// Most rows above a table that are taken for titles.
const MAX_TITLES: usize = 20;

/// The table of a sheet.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) format: Format,
    /// The name of the sheet.
    pub(crate) sheet: String,
    /// Its number, counted from 0.
    pub(super) number: usize,
    /// The columns with values, counted from 0.
    pub(super) columns: Range<u32>,
    pub(crate) header: HeaderFound,
    /// The fingerprint of the file in which this was found.
    pub(super) fingerprint: Fingerprint,
}

/// Chooses the sheet, and finds the area of its table and its header.
pub(crate) fn find(source: &Source, options: &TableOptions, format: Format) -> Result<Layout, IngestError> {
    let opened = Opened::of(source, format, None)?;
    let number = opened.choose(options.sheet.as_deref())?;
    let damaged = |damage: Damage| opened.failed(damage);
    let mut sheet = opened.sheet(number, options).map_err(damaged)?;
    let area = Area::of(&mut sheet).map_err(damaged)?;
    let width = area.columns.len();
    if width == 0 {
        return Err(IngestError::Empty {
            path: opened.path.clone(),
        });
    }
    if width > MAX_COLUMNS {
        return Err(IngestError::TooManyColumns { found: width });
    }
    let sample = area.sample();
    let header = match &options.header {
        Header::Auto => {
            check_titles(&sample, &area.numbers, options)?;
            guess_header(&sample, options).ok_or(IngestError::HeaderUnclear {
                numbering: Numbering::Rows,
            })?
        }
        Header::Present => HeaderFound::Stated,
        Header::Absent { .. } => HeaderFound::Absent,
    };
    Ok(Layout {
        format,
        sheet: opened.name(number),
        number,
        columns: area.columns,
        header,
        fingerprint: opened.fingerprint,
    })
}

/// Refuses rows above the table: the first has a cell in few of the columns, and one below it has the names of nearly all.
fn check_titles(rows: &[Vec<String>], numbers: &[u64], options: &TableOptions) -> Result<(), IngestError> {
    let width = rows.first().map_or(0, Vec::len);
    let filled = |row: &Vec<String>| row.iter().filter(|cell| !trim(cell).is_empty()).count();
    let is_title = |row: &Vec<String>| filled(row) * 2 <= width;
    let is_wide = |row: &Vec<String>| filled(row) * 10 >= width * 8;
    let start = rows.iter().take(MAX_TITLES + 1).position(is_wide);
    let Some((start, number)) = start.and_then(|start| Some((start, numbers.get(start)?))) else {
        return Ok(());
    };
    let (titles, table) = rows.split_at(start);
    if titles.is_empty() || width < 2 || !titles.iter().all(is_title) {
        return Ok(());
    }
    match guess_header(table, options) {
        Some(HeaderFound::Absent) | None => Ok(()),
        Some(HeaderFound::Proved | HeaderFound::Assumed | HeaderFound::Stated) => Err(IngestError::Layout {
            advice: format!(
                "the rows above row {number} have few cells, and row {number} has the names of the columns: leave out the rows above it with \
                 `--skip-lines {}`",
                number.saturating_sub(1)
            ),
        }),
    }
}

/// The area of a sheet with values.
struct Area {
    columns: Range<u32>,
    /// The first rows, with the columns of their cells.
    first: Vec<Vec<(u32, String)>>,
    /// The numbers of these rows, as the spreadsheet program shows them.
    numbers: Vec<u64>,
}

impl Area {
    fn of(sheet: &mut Sheet) -> Result<Self, Damage> {
        let mut first = Vec::new();
        let mut numbers = Vec::new();
        let mut bytes = 0;
        let mut columns: Option<Range<u32>> = None;
        while sheet.advance()? {
            let row = sheet.row();
            for (column, kind, text) in row.cells() {
                if is_value(kind, text) {
                    let before = columns.get_or_insert(column..column);
                    *before = before.start.min(column)..before.end.max(column + 1);
                }
            }
            if first.len() < SAMPLE_ROWS && bytes < SAMPLE_BYTES && row.refused(0).is_none() {
                let cells: Vec<_> = row.cells().map(|(column, _, text)| (column, text.to_owned())).collect();
                bytes += cells.iter().map(|(_, text)| text.len()).sum::<usize>();
                first.push(cells);
                numbers.push(u64::from(row.number()));
            }
        }
        Ok(Self {
            columns: columns.unwrap_or_default(),
            first,
            numbers,
        })
    }

    /// The first rows, each as wide as the area.
    fn sample(&self) -> Vec<Vec<String>> {
        let dense = |cells: &Vec<(u32, String)>| {
            let mut row = vec![String::new(); self.columns.len()];
            for (column, text) in cells {
                let at = column.checked_sub(self.columns.start);
                if let Some(field) = at.and_then(|at| row.get_mut(at as usize)) {
                    field.clone_from(text);
                }
            }
            row
        };
        self.first.iter().map(dense).collect()
    }
}
