//! The documents of an import as values of the catalog, and back.

use concordat_documents::import::{
    self, ColumnProposal, ImportEvent, ImportOptions, Imported, InspectedColumn, Inspection, ReadingOptions,
    RefusedRow, RowsWritten,
};
use concordat_documents::problem::Problem;
use concordat_protocol::ids::DatasetName;
use concordat_storage::catalog::{self, ImportMode, ImportRequest, Progress};
use concordat_storage::ingest::{self, Note, Refused, Reject, Source};

use super::reading::table_options;

/// The most refused rows that an inspection lists.
const SHOWN_REJECTS: usize = 20;

/// The request to import `source` as `dataset`. Its options are kept for the next import, but for the subject, which the dataset has.
///
/// # Errors
/// `usage` if the options contradict each other, or one of them is not understood.
pub(super) fn import_request(
    options: ImportOptions,
    dataset: DatasetName,
    source: Source,
) -> Result<ImportRequest, Problem> {
    let kept = options.reading.clone().without_subject();
    let refused = if options.skip_refused {
        Refused::Skip
    } else {
        Refused::Stop
    };
    Ok(ImportRequest {
        options: table_options(options.reading, refused)?,
        segment: options.segment,
        mode: match options.mode {
            import::ImportMode::Create => ImportMode::Create,
            import::ImportMode::Append => ImportMode::Append,
            import::ImportMode::Replace => ImportMode::Replace,
        },
        again: options.again,
        kept_options: serde_json::to_string(&kept)
            .map_err(|error| Problem::internal("cannot write the options", &error))?,
        ..ImportRequest::new(dataset, source)
    })
}

/// The options that an import has kept. Options that this program does not know are as good as none: the import works without them.
pub(in crate::services) fn kept_options(text: &str) -> ReadingOptions {
    serde_json::from_str(text).unwrap_or_default()
}

/// The progress as it is reported.
pub(super) fn event(progress: Progress) -> ImportEvent {
    match progress {
        Progress::Inspecting => ImportEvent::Inspecting(true),
        Progress::Refused(reject) => ImportEvent::Refused(refused_row(&reject)),
        Progress::Writing { rows, of } => ImportEvent::Written(RowsWritten { rows, of }),
        Progress::Committing => ImportEvent::Committing(true),
    }
}

fn refused_row(reject: &Reject) -> RefusedRow {
    RefusedRow {
        line: reject.line,
        reason: reject.reason.to_string(),
    }
}

/// What was imported; `notes` come first.
pub(super) fn imported(
    dataset: DatasetName,
    done: &catalog::Imported,
    reading: ReadingOptions,
    notes: Vec<String>,
) -> Imported {
    let repeated = done.repeats.map(|version| {
        format!("the dataset has the rows of this file already, since version {version}; now it has them once more")
    });
    let found = Note::sentences(&done.notes);
    Imported {
        dataset,
        version: done.version,
        rows: done.rows,
        total_rows: done.total_rows,
        refused: done.refused,
        notes: notes.into_iter().chain(repeated).chain(found).collect(),
        reading,
        withdrawn: done.is_withdrawn(),
    }
}

/// What would be imported, with the first value of each column if these may be `shown`.
pub(super) fn inspection(found: &ingest::Inspection, reading: ReadingOptions, shown: bool) -> Inspection {
    let rejects = found.rejects();
    let subject_column = match found.subject() {
        ingest::Subject::Column(column) => Some(column.clone()),
        ingest::Subject::Assigned => None,
    };
    Inspection {
        format: found.format().label().to_owned(),
        delimiter: found.delimiter().map(|delimiter| delimiter.to_string()),
        encoding: found.encoding().map(|encoding| encoding.name().to_owned()),
        compression: found.compression().map(|compression| compression.label().to_owned()),
        sheet: found.sheet().map(str::to_owned),
        header: found.has_header(),
        subject_column,
        rows: found.rows(),
        refused: rejects.count(),
        refused_rows: rejects.listed().iter().take(SHOWN_REJECTS).map(refused_row).collect(),
        columns: inspected_columns(found, shown),
        notes: Note::sentences(found.notes()),
        proposals: found.notes().iter().filter_map(proposal).collect(),
        reading,
    }
}

fn inspected_columns(found: &ingest::Inspection, shown: bool) -> Vec<InspectedColumn> {
    let columns = found.columns().iter().zip(found.first_values());
    columns
        .map(|(column, first)| InspectedColumn {
            name: column.name.clone(),
            given: column.given.clone(),
            kind: column.kind.label().to_owned(),
            first: first.filter(|_| shown).map(str::to_owned),
            missing: column.missing,
        })
        .collect()
}

fn proposal(note: &Note) -> Option<ColumnProposal> {
    let Note::Proposal { column, proposal, .. } = note else {
        return None;
    };
    Some(ColumnProposal {
        column: column.clone(),
        options: proposal.options(column),
        missing_words: proposal.markers.iter().map(|word| (*word).to_owned()).collect(),
    })
}
