//! Recognizes spreadsheets among zip files.

use std::sync::Arc;

use crate::ingest::{
    compression::{Archive, ArchiveError, Compression, archive_error},
    error::IngestError,
    fingerprint::read_error,
    format::Format,
    source::Source,
};

/// What to do with a spreadsheet or document of another kind.
const SAVE: &str = "save it as an Excel workbook (.xlsx), or each sheet as CSV (UTF-8), in the spreadsheet program";

/// Whether a source that begins with `start` is a spreadsheet, and of which format; `None` for every other file, also for a zip file with a
/// table in it.
///
/// # Errors
/// [`IngestError::NotText`] for documents, and for spreadsheets of other formats.
pub(crate) fn kind_of(source: &Source, start: &[u8]) -> Result<Option<Format>, IngestError> {
    let path = source.name();
    let failed = |error| read_error(path, error);
    if Compression::of(start) != Some(Compression::Zip) {
        return Ok(None);
    }
    let archive = Archive::open(Arc::new(source.random_access().map_err(failed)?));
    let archive = archive.map_err(|error| archive_error(path, error))?;
    let kind = kind(&archive).map_err(|error| archive_error(path, error))?;
    match kind {
        Kind::Spreadsheet(format) => Ok(Some(format)),
        Kind::Other => Ok(None),
        Kind::Foreign { what, remedy } => Err(IngestError::NotText {
            path: path.to_owned(),
            what,
            remedy,
        }),
    }
}

/// What a zip file is.
enum Kind {
    Spreadsheet(Format),
    Foreign { what: &'static str, remedy: &'static str },
    Other,
}

fn kind(archive: &Archive) -> Result<Kind, ArchiveError> {
    let document = |what| Kind::Foreign {
        what,
        remedy: "a document has no rows: export the table itself as CSV",
    };
    if archive.file("[Content_Types].xml").is_some() {
        return Ok(match () {
            () if archive.file("xl/workbook.bin").is_some() => Kind::Foreign {
                what: "a binary Excel workbook",
                remedy: SAVE,
            },
            () if archive.has_folder("xl/") => Kind::Spreadsheet(Format::Xlsx),
            () if archive.has_folder("word/") => document("a Word document"),
            () => document("an Office document"),
        });
    }
    let Some(stated) = archive.file("mimetype") else {
        return Ok(Kind::Other);
    };
    let name = archive.read_start(stated, 256)?;
    Ok(
        match String::from_utf8_lossy(&name)
            .trim()
            .strip_prefix("application/vnd.oasis.opendocument.")
        {
            Some("spreadsheet" | "spreadsheet-template") => Kind::Spreadsheet(Format::Ods),
            Some(_) => document("an OpenDocument document"),
            None => Kind::Other,
        },
    )
}
