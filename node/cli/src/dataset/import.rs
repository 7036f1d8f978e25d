//! `concordat dataset import`: progress on a terminal, refused rows in a file.

use crate::json::Field as _;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::{DatasetName, SegmentName};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::context::Context;
use crate::files::NewFile;
use crate::output::quoted;
use concordat_client::{Client, Reading};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the dataset
    name: DatasetName,
    /// The file; it is read with your own permissions, and uploaded
    #[arg(long, value_name = "PATH", required_unless_present = "from_inbox")]
    from: Option<PathBuf>,
    /// A file below one of the node's inboxes (`import.inboxes`), which the node opens itself
    #[arg(long, value_name = "PATH", conflicts_with = "from")]
    from_inbox: Option<PathBuf>,
    /// Format of the file [default: recognized by its contents]
    #[arg(long, value_parser = ["csv", "parquet", "ndjson"])]
    kind: Option<String>,
    /// Store the dataset in this segment
    #[arg(long)]
    segment: Option<SegmentName>,
    /// The column that identifies the subject of a row; an existing dataset keeps its own
    #[arg(long, value_name = "COLUMN", conflicts_with = "each_row_is_a_subject")]
    subject_column: Option<String>,
    /// No subject has more than one row
    #[arg(long)]
    each_row_is_a_subject: bool,
    /// Add the rows to the dataset
    #[arg(long, conflicts_with = "replace")]
    append: bool,
    /// Replace the existing rows
    #[arg(long)]
    replace: bool,
    /// Import the other rows if some are invalid
    #[arg(long)]
    skip_refused: bool,
    /// Encoding of the text, such as `windows-1252`
    #[arg(long)]
    encoding: Option<String>,
    /// Whether the first line of a CSV file contains the names of the columns
    #[arg(long, value_parser = ["auto", "present", "absent"], default_value = "auto")]
    header: String,
    /// Where markers such as `?` and `NA` mean that a value is missing
    #[arg(long, value_parser = ["auto", "everywhere", "blank-only"], default_value = "auto")]
    missing: String,
    /// Import these columns as text regardless of their contents
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    text_columns: Vec<String>,
}

impl Args {
    fn head(&self) -> Value {
        let mode = match (self.append, self.replace) {
            (true, _) => "append",
            (false, true) => "replace",
            (false, false) => "create",
        };
        json!({
            "name": self.from.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy()).unwrap_or_default(),
            "inbox": self.from_inbox,
            "kind": self.kind,
            "mode": mode,
            "segment": self.segment,
            "subject_column": self.subject_column,
            "each_row_is_a_subject": self.each_row_is_a_subject,
            "skip_refused": self.skip_refused,
            "encoding": self.encoding,
            "header": self.header,
            "missing": self.missing.replace('-', "_"),
            "text_columns": self.text_columns,
        })
    }
}

pub(super) async fn run(args: Args, client: &Client, context: &Context) -> Result<(), Problem> {
    let bar = bar(context);
    let path = format!("/v1/datasets/{}/import", args.name);
    let file = args.from.as_deref().map(|from| open_file(from, &bar)).transpose()?;
    // A person without permission learns it before a file is uploaded.
    let _: Value = client.get(&path).await?;
    let mut lines = client.upload(&path, &args.head(), file).await?;
    bar.reset();
    bar.set_style(style("{bar:40} {human_pos} of {human_len} rows"));
    let mut rejects = Rejects::new(&args.name);
    let imported = loop {
        let Some(line) = lines.next().await.map_err(|problem| rejects.explain(problem))? else {
            return Err(
                Problem::new(ErrorKind::Unreachable, "the node stopped in the middle of the import")
                    .help("the dataset is unchanged, or the import is complete: see `concordat dataset show`"),
            );
        };
        if let Some(done) = line.get("imported") {
            break done.clone();
        }
        rejects.record(line.at("refused"))?;
        if let (Some(rows), Some(of)) = (
            line.at("written").at("rows").as_u64(),
            line.at("written").at("of").as_u64(),
        ) {
            bar.set_length(of);
            bar.set_position(rows);
        }
    };
    bar.finish_and_clear();
    rejects.finish()?;
    for note in imported
        .at("notes")
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        context.out.note(&format!("note: {note}"));
    }
    if let Some(file) = rejects.file() {
        context
            .out
            .note(&format!("the rows that could not be imported are listed in `{file}`"));
    }
    if *imported.at("withdrawn") == Value::Bool(true) {
        context
            .out
            .note("the dataset is no longer published: classify its new columns, then publish it again");
    }
    let sentence = format!(
        "{} rows imported as version {} of {}, {} refused",
        imported.at("rows"),
        imported.at("version"),
        args.name,
        imported.at("refused")
    );
    context.out.done(&sentence, &imported)
}

/// Opens the file; the bar follows what is sent of it.
fn open_file(path: &Path, bar: &ProgressBar) -> Result<Reading, Problem> {
    let followed = bar.clone();
    let reading = Reading::open(path, move |sent| followed.set_position(sent))?;
    bar.set_length(reading.size());
    Ok(reading)
}

fn bar(context: &Context) -> ProgressBar {
    if context.out.is_interactive() {
        ProgressBar::no_length().with_style(style("{bar:40} {bytes} of {total_bytes} sent"))
    } else {
        ProgressBar::hidden()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The list of refused rows: line numbers and reasons, never the contents of a row.
struct Rejects {
    name: String,
    /// Created with the first refused row.
    file: Option<NewFile>,
    is_written: bool,
}

impl Rejects {
    fn new(name: &DatasetName) -> Self {
        Self {
            name: format!("{name}.rejects.csv"),
            file: None,
            is_written: false,
        }
    }

    /// Records a refused row; the file is created with the first.
    fn record(&mut self, refused: &Value) -> Result<(), Problem> {
        let (Some(line), Some(reason)) = (refused.at("line").as_u64(), refused.at("reason").as_str()) else {
            return Ok(());
        };
        let unwritable = |error: std::io::Error| Problem::internal(&format!("cannot write `{}`", self.name), &error);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = self.file.insert(NewFile::create(Path::new(&self.name))?);
                writeln!(file, "line,reason").map_err(unwritable)?;
                file
            }
        };
        writeln!(file, "{line},{}", quoted(reason)).map_err(unwritable)
    }

    /// Completes the list after the last refused row: the file appears.
    fn finish(&mut self) -> Result<(), Problem> {
        if let Some(file) = self.file.take() {
            file.finish()?;
            self.is_written = true;
        }
        Ok(())
    }

    fn file(&self) -> Option<&str> {
        self.is_written.then_some(self.name.as_str())
    }

    /// Adds to the problem of an import that stops because of refused rows where they are listed.
    fn explain(&mut self, problem: Problem) -> Problem {
        if let Err(unwritten) = self.finish() {
            return unwritten;
        }
        match self.file() {
            Some(file) => {
                let help =
                    format!("`{file}` lists every such line; fix them, or import the other rows with `--skip-refused`");
                problem.help(help)
            }
            None => problem,
        }
    }
}
