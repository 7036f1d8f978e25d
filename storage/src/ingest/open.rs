//! Recognizes the format of a file, and opens it.
//!
//! A format is recognized by the first bytes: Parquet by its magic bytes, NDJSON by a brace as the first character of the text
//! that is not blank. Everything else is read as delimited text.

use std::{io::Read, sync::Arc};

use super::{
    csv,
    error::IngestError,
    fingerprint::{Fingerprint, read_error},
    format::Format,
    ndjson,
    options::{Header, TableOptions},
    parquet,
    row_source::RowSource,
    source::Source,
    text::{FileText, TextSource},
};

/// How a file is read, as the first pass has found it.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    Csv(csv::Layout),
    Parquet,
    /// The names in the objects.
    Ndjson(Arc<[String]>),
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
        })
    }

    pub(super) fn format(&self) -> Format {
        match self {
            Self::Csv(_) => Format::Csv,
            Self::Parquet => Format::Parquet,
            Self::Ndjson(_) => Format::Ndjson,
        }
    }

    /// What was found about delimited text.
    pub(super) fn csv(&self) -> Option<csv::Layout> {
        match self {
            Self::Csv(layout) => Some(*layout),
            Self::Parquet | Self::Ndjson(_) => None,
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
    match (is_parquet(source)?, options.format) {
        (true, None | Some(Format::Parquet)) => return Ok(Format::Parquet),
        (true, Some(Format::Csv | Format::Ndjson)) => return other("a Parquet file", Format::Parquet),
        (false, Some(Format::Parquet)) => return Err(IngestError::NotParquet { path: path() }),
        (false, Some(Format::Ndjson)) => return Ok(Format::Ndjson),
        (false, None | Some(Format::Csv)) => {}
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

/// After the magic bytes, a Parquet file has a byte that no text has there.
fn is_parquet(source: &Source) -> Result<bool, IngestError> {
    let failed = |error| read_error(source.name(), error);
    let mut start = Vec::new();
    let bytes = source.open().map_err(failed)?.0;
    bytes.take(5).read_to_end(&mut start).map_err(failed)?;
    let after = start.strip_prefix(b"PAR1").map(<[u8]>::first);
    Ok(after.is_some_and(|byte| byte.is_none_or(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())))
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
    let stated = [
        ("--header", options.header != Header::Auto, format != Format::Csv),
        ("--delimiter", options.delimiter.is_some(), format != Format::Csv),
        ("--quote", !options.quotes, format != Format::Csv),
        ("--comment", options.comment.is_some(), format != Format::Csv),
        ("--skip-lines", options.skip_lines > 0, format != Format::Csv),
        ("--encoding", options.encoding.is_some(), format == Format::Parquet),
    ];
    match stated
        .into_iter()
        .find(|(_, is_stated, is_foreign)| *is_stated && *is_foreign)
    {
        Some((option, ..)) => Err(IngestError::OptionOfAnotherFormat { option, format }),
        None => Ok(()),
    }
}
