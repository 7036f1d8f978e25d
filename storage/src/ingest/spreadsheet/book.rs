//! An opened spreadsheet of either format.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    damage::Damage,
    ods,
    row::{Rows, Sheet},
    xlsx,
};
use crate::ingest::{
    compression::Archive,
    error::IngestError,
    fingerprint::{self, Fingerprint, Watched, read_error},
    format::Format,
    options::TableOptions,
    source::{RandomAccess, Source},
};

/// An opened spreadsheet.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    book: Book,
    pub(super) watched: Watched,
    pub(super) fingerprint: Fingerprint,
}

impl Opened {
    /// Opens a spreadsheet. All of it is hashed before anything is read, and must have the fingerprint `expected` if there is one.
    pub(super) fn of(source: &Source, format: Format, expected: Option<Fingerprint>) -> Result<Self, IngestError> {
        let path = source.name();
        let file = Arc::new(source.random_access().map_err(|error| read_error(path, error))?);
        let watched = Watched::new(file.file(), path)?;
        let fingerprint = fingerprint::of_all(file.from_start()).map_err(|error| read_error(path, error))?;
        if expected.is_some_and(|expected| expected != fingerprint) {
            return Err(IngestError::Changed { path: path.to_owned() });
        }
        let book = Book::open(file, format).map_err(|damage| failed(path, &watched, fingerprint, damage))?;
        Ok(Self {
            path: path.to_owned(),
            book,
            watched,
            fingerprint,
        })
    }

    /// The number of the sheet that is stated, or of the only one with cells.
    pub(super) fn choose(&self, stated: Option<&str>) -> Result<usize, IngestError> {
        let names = self.book.names();
        if let Some(name) = stated {
            let found = names.iter().position(|other| other == name);
            return found.ok_or_else(|| IngestError::NoSuchSheet {
                name: name.to_owned(),
                sheets: names.to_vec(),
            });
        }
        let mut with_cells = Vec::new();
        for number in 0..names.len() {
            let rows = self.book.rows(number);
            let has_cells = rows.and_then(|rows| Sheet::new(rows, self.fingerprint.length, 0).advance());
            if has_cells.map_err(|damage| self.failed(damage))? {
                with_cells.push(number);
            }
        }
        match with_cells.as_slice() {
            [] => Err(IngestError::Empty {
                path: self.path.clone(),
            }),
            [only] => Ok(*only),
            [_, _, ..] => Err(IngestError::SheetNotStated {
                path: self.path.clone(),
                sheets: with_cells
                    .iter()
                    .filter_map(|number| names.get(*number).cloned())
                    .collect(),
            }),
        }
    }

    /// The name of a sheet.
    pub(super) fn name(&self, number: usize) -> String {
        self.book.names().get(number).cloned().unwrap_or_default()
    }

    /// The rows of a sheet.
    pub(super) fn sheet(&self, number: usize, options: &TableOptions) -> Result<Sheet, Damage> {
        let rows = self.book.rows(number)?;
        Ok(Sheet::new(rows, self.fingerprint.length, options.skip_lines))
    }

    /// The error for what is wrong; a file that is being written looks damaged.
    pub(super) fn failed(&self, damage: Damage) -> IngestError {
        failed(&self.path, &self.watched, self.fingerprint, damage)
    }
}

/// The error for a spreadsheet; one that is being written looks damaged.
fn failed(path: &Path, watched: &Watched, fingerprint: Fingerprint, damage: Damage) -> IngestError {
    let changed = watched.check(path, fingerprint.length).err();
    changed.unwrap_or_else(|| damage.of(path))
}

/// A spreadsheet of either format.
enum Book {
    Xlsx(xlsx::Workbook),
    Ods(ods::Document),
}

impl Book {
    fn open(file: Arc<RandomAccess>, format: Format) -> Result<Self, Damage> {
        let archive = Archive::open(file)?;
        Ok(match format {
            Format::Xlsx => Self::Xlsx(xlsx::Workbook::open(archive)?),
            Format::Ods => Self::Ods(ods::Document::open(archive)?),
            Format::Csv | Format::Parquet | Format::Ndjson => return Err(Damage::DAMAGED),
        })
    }

    fn names(&self) -> &[String] {
        match self {
            Self::Xlsx(book) => book.names(),
            Self::Ods(book) => book.names(),
        }
    }

    fn rows(&self, sheet: usize) -> Result<Box<dyn Rows>, Damage> {
        match self {
            Self::Xlsx(book) => book.rows(sheet),
            Self::Ods(book) => book.rows(sheet),
        }
    }
}
