//! The documents of an import as values of the catalog, and back.

use concordat_documents::import::{
    self, HeaderLine, ImportEvent, ImportOptions, Imported, MissingValues, RefusedRow, RowsWritten,
};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::DatasetName;
use concordat_storage::catalog::{self, ImportMode, ImportRequest, Progress};
use concordat_storage::ingest::{
    Format, Header, Missing, Note, Refused, Source, SubjectRule, TableOptions, TextEncoding,
};

/// The request to import `source` as `dataset`.
///
/// # Errors
/// `usage` if the options contradict each other, or name a format or an encoding that is not known.
pub(super) fn import_request(
    options: ImportOptions,
    dataset: DatasetName,
    source: Source,
) -> Result<ImportRequest, Problem> {
    let table = TableOptions {
        format: options.kind.as_deref().map(stated_format).transpose()?,
        subject: subject(options.subject_column, options.each_row_is_a_subject)?,
        encoding: options.encoding.as_deref().map(TextEncoding::from_label).transpose()?,
        header: match options.header {
            HeaderLine::Auto => Header::Auto,
            HeaderLine::Present => Header::Present,
            HeaderLine::Absent => Header::Absent { names: Vec::new() },
        },
        missing: match options.missing {
            MissingValues::Auto => Missing::Auto,
            MissingValues::Everywhere => Missing::Everywhere,
            MissingValues::BlankOnly => Missing::BlankOnly,
        },
        refused: if options.skip_refused {
            Refused::Skip
        } else {
            Refused::Stop
        },
        text_columns: options.text_columns,
        ..TableOptions::default()
    };
    let mode = match options.mode {
        import::ImportMode::Create => ImportMode::Create,
        import::ImportMode::Append => ImportMode::Append,
        import::ImportMode::Replace => ImportMode::Replace,
    };
    Ok(ImportRequest {
        options: table,
        segment: options.segment,
        mode,
        ..ImportRequest::new(dataset, source)
    })
}

fn stated_format(kind: &str) -> Result<Format, Problem> {
    Format::from_label(kind).ok_or_else(|| {
        let labels = Format::ALL.map(Format::label).join("`, `");
        Problem::usage(format!("files of the kind `{kind}` cannot be imported")).help(format!(
            "the kinds are `{labels}`; leave it out to have the format recognized"
        ))
    })
}

fn subject(column: Option<String>, each_row: bool) -> Result<SubjectRule, Problem> {
    match (column, each_row) {
        (Some(_), true) => Err(Problem::usage(
            "either a column identifies the subjects, or each row is a subject of its own",
        )
        .help("state one of the two")),
        (Some(column), false) => Ok(SubjectRule::Column(column)),
        (None, true) => Ok(SubjectRule::EachRow),
        (None, false) => Ok(SubjectRule::Unstated),
    }
}

/// The progress as it is reported.
pub(super) fn event(progress: Progress) -> ImportEvent {
    match progress {
        Progress::Inspecting => ImportEvent::Inspecting(true),
        Progress::Refused(reject) => ImportEvent::Refused(RefusedRow {
            line: reject.line,
            reason: reject.reason.to_string(),
        }),
        Progress::Writing { rows, of } => ImportEvent::Written(RowsWritten { rows, of }),
        Progress::Committing => ImportEvent::Committing(true),
    }
}

/// What was imported.
pub(super) fn imported(dataset: DatasetName, done: catalog::Imported) -> Imported {
    Imported {
        dataset,
        version: done.version,
        rows: done.rows,
        total_rows: done.total_rows,
        refused: done.refused,
        notes: done.notes.iter().map(Note::to_string).collect(),
        withdrawn: done.withdrawn,
    }
}
