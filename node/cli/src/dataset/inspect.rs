//! `concordat dataset inspect`: what would be imported of a file.

use std::path::PathBuf;

use concordat_documents::import::{Inspection, InspectionPermission, InspectionRequest, RefusedRow, grouped};
use concordat_documents::problem::Problem;
use indicatif::ProgressBar;
use serde::Serialize;

use super::notes;
use super::reading::ReadingArgs;
use crate::context::Context;
use crate::output::{Column, Format};
use concordat_client::{Client, Reading};

const PATH: &str = "/v1/imports/inspect";

const COLUMNS: [Column; 5] = [
    ("column", "name"),
    ("in the file", "given"),
    ("type", "kind"),
    ("first value", "first"),
    ("missing", "missing"),
];
const REFUSED: [Column; 2] = [("line", "line"), ("reason", "reason")];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file; it is read with your own permissions, and uploaded
    #[arg(required_unless_present = "from_inbox")]
    file: Option<PathBuf>,
    /// A file below one of the node's inboxes (`import.inboxes`), which the node opens itself
    #[arg(long, value_name = "PATH", conflicts_with = "file")]
    from_inbox: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
}

pub(super) async fn run(args: Args, client: &Client, context: &Context) -> Result<(), Problem> {
    let name = args.file.as_ref().and_then(|path| path.file_name());
    let request = InspectionRequest {
        name: name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        inbox: args.from_inbox.clone(),
        reading: args.reading.reading()?,
    };
    let file = args
        .file
        .as_deref()
        .map(|path| Reading::open(path, |_| ()))
        .transpose()?;
    // A person without permission learns it before a file is uploaded.
    let _: InspectionPermission = client.get(PATH).await?;
    let waiting = spinner(context);
    let found: Inspection = client.upload_for(PATH, &request, file).await?;
    waiting.finish_and_clear();
    args.reading.write(&found.reading)?;
    show(&found, context)?;
    let (option, path) = match (&args.file, &args.from_inbox) {
        (_, Some(path)) => ("--from-inbox", path.display().to_string()),
        (Some(path), None) => ("--from", path.display().to_string()),
        (None, None) => ("--from", "FILE".to_owned()),
    };
    let stated = found.subject_column.as_deref();
    let (subject, otherwise) = subject(stated, found.reading.each_row_is_a_subject, &found.notes);
    context.out.note(&format!(
        "import it with `concordat dataset import NAME {option} '{path}' {subject}` and the options of this command{otherwise}"
    ));
    Ok(())
}

/// How the import has to state the subjects of the rows: as they are stated, as a note proposes, or in one of the two ways.
fn subject(stated: Option<&str>, each_row: bool, notes: &[String]) -> (String, &'static str) {
    const OPTION: &str = "--subject-column ";
    if let Some(column) = stated {
        return (format!("{OPTION}{column}"), "");
    }
    if each_row {
        return ("--each-row-is-a-subject".to_owned(), "");
    }
    let proposed = notes.iter().find_map(|note| note.split_once(OPTION));
    let proposed = proposed.and_then(|(_, rest)| rest.split('`').next());
    (
        format!("{OPTION}{}", proposed.unwrap_or("COLUMN")),
        "; state `--each-row-is-a-subject` instead if no person has more than one row",
    )
}

fn spinner(context: &Context) -> ProgressBar {
    if context.out.is_interactive() {
        let bar = ProgressBar::new_spinner().with_message("the file is being read");
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        bar
    } else {
        ProgressBar::hidden()
    }
}

/// In table format, the columns, refused rows and notes are shown as separate tables below the rest.
fn show(found: &Inspection, context: &Context) -> Result<(), Problem> {
    let out = &context.out;
    match out.format() {
        Format::Json => out.record(found),
        Format::Csv => out.list(&found.columns, &COLUMNS),
        Format::Table => {
            out.record(&Summary::from(found))?;
            out.text("\n")?;
            out.list(&found.columns, &COLUMNS)?;
            refused(&found.refused_rows, context)?;
            notes::list(&grouped(&found.notes), context)
        }
    }
}

fn refused(rows: &[RefusedRow], context: &Context) -> Result<(), Problem> {
    if rows.is_empty() {
        return Ok(());
    }
    context.out.text("\n")?;
    context.out.list(&rows, &REFUSED)
}

/// An inspection without its lists.
#[derive(Serialize)]
struct Summary<'a> {
    format: &'a str,
    delimiter: Option<&'a str>,
    encoding: Option<&'a str>,
    compression: Option<&'a str>,
    sheet: Option<&'a str>,
    header: Option<bool>,
    subject_column: Option<&'a str>,
    rows: u64,
    refused: u64,
}

impl<'a> From<&'a Inspection> for Summary<'a> {
    fn from(found: &'a Inspection) -> Self {
        Self {
            format: &found.format,
            delimiter: found.delimiter.as_deref(),
            encoding: found.encoding.as_deref(),
            compression: found.compression.as_deref(),
            sheet: found.sheet.as_deref(),
            header: found.header,
            subject_column: found.subject_column.as_deref(),
            rows: found.rows,
            refused: found.refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_after_an_inspection_states_the_subjects() {
        let (option, otherwise) = subject(None, false, &[]);
        assert_eq!(option, "--subject-column COLUMN");
        assert!(otherwise.contains("--each-row-is-a-subject"));
        let notes = ["if it identifies people, state `--subject-column patnr`, or".to_owned()];
        assert_eq!(subject(None, false, &notes).0, "--subject-column patnr");
        assert_eq!(subject(None, true, &notes), ("--each-row-is-a-subject".to_owned(), ""));
        assert_eq!(
            subject(Some("id"), false, &notes),
            ("--subject-column id".to_owned(), "")
        );
    }
}
