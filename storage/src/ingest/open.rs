//! Recognizes the format of a file, and opens it.
//!
//! A format is recognized by the first bytes: Parquet by its magic bytes, a spreadsheet by the files in a zip file, NDJSON by a brace
//! as the first character of the text that is not blank. Everything else is read as delimited text.

use std::{io::Read, sync::Arc};

use super::{
    csv::{self, HeaderFound},
    error::IngestError,
    fingerprint::{Fingerprint, read_error},
    format::Format,
    ndjson,
    options::{Header, TableOptions},
    parquet,
    row_source::RowSource,
    source::Source,
    spreadsheet,
    text::{FileText, TextSource, is_parquet_start},
};

/// How a file is read, as the first pass has found it.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    Csv(csv::Layout),
    Parquet,
    /// The names in the objects.
    Ndjson(Arc<[String]>),
    Spreadsheet(spreadsheet::Layout),
}

impl Layout {
    /// Finds how a file is read.
    ///
    /// # Errors
    /// [`IngestError::OtherFormat`] and the like if the file is not what the options state, or of a kind that cannot be
    /// imported.
    pub(super) fn of(source: &Source, options: &TableOptions) -> Result<Self, IngestError> {
        let format = recognize(source, options)?;
        check_options(options, format)?;
        Ok(match format {
            Format::Csv => Self::Csv(csv::sniff(source, options)?),
            Format::Parquet => Self::Parquet,
            Format::Ndjson => Self::Ndjson(ndjson::find_keys(source, options)?),
            Format::Xlsx | Format::Ods => Self::Spreadsheet(spreadsheet::find(source, options, format)?),
        })
    }

    pub(super) fn format(&self) -> Format {
        match self {
            Self::Csv(_) => Format::Csv,
            Self::Parquet => Format::Parquet,
            Self::Ndjson(_) => Format::Ndjson,
            Self::Spreadsheet(layout) => layout.format,
        }
    }

    /// What was found about delimited text.
    pub(super) fn csv(&self) -> Option<csv::Layout> {
        match self {
            Self::Csv(layout) => Some(*layout),
            Self::Parquet | Self::Ndjson(_) | Self::Spreadsheet(_) => None,
        }
    }

    /// Whether the first line or row has names, and how that is known.
    pub(super) fn header(&self) -> Option<HeaderFound> {
        match self {
            Self::Csv(layout) => Some(layout.header),
            Self::Spreadsheet(layout) => Some(layout.header),
            Self::Parquet | Self::Ndjson(_) => None,
        }
    }

    /// The names, if the first line or row has them.
    pub(super) fn names_of_first_line<'a>(&self, names: &'a [String]) -> Option<&'a [String]> {
        match self.header()? {
            HeaderFound::Absent => None,
            HeaderFound::Stated | HeaderFound::Proved | HeaderFound::Assumed => Some(names),
        }
    }

    /// The sheet that is read.
    pub(super) fn sheet(&self) -> Option<&str> {
        match self {
            Self::Spreadsheet(layout) => Some(&layout.sheet),
            Self::Csv(_) | Self::Parquet | Self::Ndjson(_) => None,
        }
    }

    /// Opens the file for a pass; the second one expects the fingerprint of the first.
    pub(super) fn open(
        &self,
        source: &Source,
        options: &TableOptions,
        expected: Option<Fingerprint>,
    ) -> Result<Box<dyn RowSource>, IngestError> {
        Ok(match self {
            Self::Csv(layout) => Box::new(csv::Table::open(source, options, *layout)?),
            Self::Parquet => Box::new(parquet::Table::open(source, expected)?),
            Self::Ndjson(names) => Box::new(ndjson::Table::open(source, options, names)?),
            Self::Spreadsheet(layout) => Box::new(spreadsheet::Table::open(source, options, layout)?),
        })
    }
}

fn recognize(source: &Source, options: &TableOptions) -> Result<Format, IngestError> {
    let path = || source.name().to_owned();
    let other = |what, format| {
        Err(IngestError::OtherFormat {
            path: path(),
            what,
            format,
        })
    };
    let start = start_of(source)?;
    let known = match is_parquet_start(&start) {
        true => Some((Format::Parquet, "a Parquet file")),
        false => spreadsheet::kind_of(source, &start)?.map(|format| (format, spreadsheet_name(format))),
    };
    match (known, options.format) {
        (Some((found, _)), None) => return Ok(found),
        (Some((found, _)), Some(stated)) if found == stated => return Ok(found),
        (Some((found, what)), Some(_)) => return other(what, found),
        (None, Some(format @ (Format::Parquet | Format::Xlsx | Format::Ods))) => {
            return Err(IngestError::NotOfFormat { path: path(), format });
        }
        (None, Some(Format::Ndjson)) => return Ok(Format::Ndjson),
        (None, None | Some(Format::Csv)) => {}
    }
    match (Start::of(source, options)?, options.format) {
        (Start::Object, None) => Ok(Format::Ndjson),
        // No table of delimited text begins with the first name of an object.
        (Start::NamedObject, None) => Ok(Format::Ndjson),
        (Start::NamedObject, Some(_)) => other("NDJSON", Format::Ndjson),
        (Start::Objects, _) => Err(IngestError::NotText {
            path: path(),
            what: "a list of JSON objects",
            remedy: "write each object on a line of its own, with `jq -c '.[]' FILE > FILE.ndjson`",
        }),
        (Start::Object | Start::Other, _) => Ok(Format::Csv),
    }
}

fn spreadsheet_name(format: Format) -> &'static str {
    if format == Format::Ods {
        "an OpenDocument spreadsheet"
    } else {
        "an Excel workbook"
    }
}

/// The first bytes, as many as formats are recognized by.
fn start_of(source: &Source) -> Result<Vec<u8>, IngestError> {
    let failed = |error| read_error(source.name(), error);
    let mut start = Vec::new();
    let bytes = source.open().map_err(failed)?.0;
    bytes.take(8).read_to_end(&mut start).map_err(failed)?;
    Ok(start)
}

/// The first characters of a text that are not blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// `{`
    Object,
    /// `{"`
    NamedObject,
    /// `[{`
    Objects,
    Other,
}

impl Start {
    fn of(source: &Source, options: &TableOptions) -> Result<Self, IngestError> {
        let mut text = FileText::open(source, options.encoding)?;
        let mut found = Vec::new();
        let mut more = true;
        while more && found.len() < 2 {
            let mut chunk = Vec::new();
            more = text.fill(&mut chunk)?;
            found.extend(chunk.into_iter().filter(|byte| !byte.is_ascii_whitespace()).take(2));
        }
        Ok(match found.as_slice() {
            [b'{', b'"', ..] => Self::NamedObject,
            [b'{', ..] => Self::Object,
            [b'[', b'{', ..] => Self::Objects,
            _ => Self::Other,
        })
    }
}

/// Refuses options that have no meaning for the format, so that they are not silently ignored.
fn check_options(options: &TableOptions, format: Format) -> Result<(), IngestError> {
    let is_csv = format == Format::Csv;
    let is_spreadsheet = format.is_spreadsheet();
    let has_lines = is_csv || is_spreadsheet;
    let stated = [
        ("--header", options.header != Header::Auto, !has_lines),
        ("--delimiter", options.delimiter.is_some(), !is_csv),
        ("--quote", !options.quotes, !is_csv),
        ("--comment", options.comment.is_some(), !is_csv),
        ("--skip-lines", options.skip_lines > 0, !has_lines),
        ("--sheet", options.sheet.is_some(), !is_spreadsheet),
        (
            "--encoding",
            options.encoding.is_some(),
            format == Format::Parquet || is_spreadsheet,
        ),
    ];
    match stated
        .into_iter()
        .find(|(_, is_stated, is_foreign)| *is_stated && *is_foreign)
    {
        Some((option, ..)) => Err(IngestError::OptionOfAnotherFormat { option, format }),
        None => Ok(()),
    }
}
