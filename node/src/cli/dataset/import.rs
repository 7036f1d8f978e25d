//! `concordat dataset import`: progress on a terminal, refused rows in a file.

use crate::json::Field as _;
use std::{fs::File, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf};

use concordat_protocol::ids::{DatasetName, SegmentName};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    api::client::Client,
    cli::{Context, output::quoted},
    fault::{Code, Problem},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Name of the dataset
    name: DatasetName,
    /// The file
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// What the file is
    #[arg(long, default_value = "csv")]
    kind: String,
    /// Keep the dataset in this segment
    #[arg(long)]
    segment: Option<SegmentName>,
    /// The column that says whose record a row is; a dataset that exists keeps its own
    #[arg(long, value_name = "COLUMN", conflicts_with = "each_row_is_a_subject")]
    subject_column: Option<String>,
    /// Nobody has more than one row
    #[arg(long)]
    each_row_is_a_subject: bool,
    /// Add the rows to the dataset
    #[arg(long, conflicts_with = "replace")]
    append: bool,
    /// Put the rows in the place of those that are there
    #[arg(long)]
    replace: bool,
    /// Import the other rows when some cannot be taken
    #[arg(long)]
    skip_refused: bool,
    /// Encoding of the text, such as `windows-1252`
    #[arg(long)]
    encoding: Option<String>,
    /// Whether the first line holds the names of the columns
    #[arg(long, value_parser = ["auto", "present", "absent"], default_value = "auto")]
    header: String,
    /// Where markers such as `?` and `NA` mean that a value is missing
    #[arg(long, value_parser = ["auto", "everywhere", "blank-only"], default_value = "auto")]
    missing: String,
    /// Keep these columns as text whatever they hold
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    text_columns: Vec<String>,
}

impl Args {
    fn body(&self, path: &PathBuf) -> Value {
        let mode = match (self.append, self.replace) {
            (true, _) => "append",
            (false, true) => "replace",
            (false, false) => "create",
        };
        json!({
            "path": path,
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
    let path = std::path::absolute(&args.from)
        .map_err(|error| Problem::fault(&format!("cannot use `{}`", args.from.display()), &error))?;
    let mut lines = client
        .stream(&format!("/v1/datasets/{}/import", args.name), &args.body(&path))
        .await?;
    let mut rejects = Rejects::new(&args.name);
    let bar = bar(context);
    let imported = loop {
        let Some(line) = lines.next().await.map_err(|problem| rejects.explain(problem))? else {
            return Err(
                Problem::new(Code::Unreachable, "the node stopped in the middle of the import")
                    .help("the dataset is as it was, or complete: see `concordat dataset show`"),
            );
        };
        if let Some(done) = line.get("imported") {
            break done.clone();
        }
        rejects.take(line.at("refused"))?;
        if let (Some(rows), Some(of)) = (
            line.at("written").at("rows").as_u64(),
            line.at("written").at("of").as_u64(),
        ) {
            bar.set_length(of);
            bar.set_position(rows);
        }
    };
    bar.finish_and_clear();
    for note in imported
        .at("notes")
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        context.out.remark(&format!("note: {note}"));
    }
    if let Some(file) = rejects.file() {
        context
            .out
            .remark(&format!("the rows that could not be taken are listed in `{file}`"));
    }
    if *imported.at("withdrawn") == Value::Bool(true) {
        context
            .out
            .remark("the dataset is no longer published: classify its new columns, then publish it again");
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

fn bar(context: &Context) -> ProgressBar {
    if !context.out.is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} rows");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The list of refused rows: line numbers and reasons, never what a row holds.
struct Rejects {
    name: String,
    file: Option<File>,
}

impl Rejects {
    fn new(name: &DatasetName) -> Self {
        Self {
            name: format!("{name}.rejects.csv"),
            file: None,
        }
    }

    /// Writes a row down; the file is begun with the first.
    fn take(&mut self, refused: &Value) -> Result<(), Problem> {
        let (Some(line), Some(reason)) = (refused.at("line").as_u64(), refused.at("reason").as_str()) else {
            return Ok(());
        };
        let written = match &mut self.file {
            Some(file) => writeln!(file, "{line},{}", quoted(reason)),
            None => self.begin().and_then(|mut file| {
                writeln!(file, "line,reason\n{line},{}", quoted(reason))?;
                self.file = Some(file);
                Ok(())
            }),
        };
        written.map_err(|error| Problem::fault(&format!("cannot write `{}`", self.name), &error))
    }

    fn begin(&self) -> std::io::Result<File> {
        File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.name)
    }

    fn file(&self) -> Option<&str> {
        self.file.as_ref().map(|_| self.name.as_str())
    }

    /// An import that stops because of refused rows says where they are listed.
    fn explain(&self, problem: Problem) -> Problem {
        match self.file() {
            Some(file) => {
                let help = format!(
                    "`{file}` lists every such line; mend them, or import the other rows with `--skip-refused`"
                );
                problem.help(help)
            }
            None => problem,
        }
    }
}
