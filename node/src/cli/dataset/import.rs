//! `concordat dataset import`: progress on a terminal, refused rows in a file.

use crate::json::Field as _;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

use concordat_protocol::ids::{DatasetName, SegmentName};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    api::client::{Client, Reading},
    cli::{Context, files::NewFile, output::quoted},
    fault::{Code, Problem},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Name of the dataset
    name: DatasetName,
    /// The file; it is read with your own rights, and sent
    #[arg(long, value_name = "PATH", required_unless_present = "from_inbox")]
    from: Option<PathBuf>,
    /// A file below one of the node's inboxes (`import.inboxes`), which the node opens itself
    #[arg(long, value_name = "PATH", conflicts_with = "from")]
    from_inbox: Option<PathBuf>,
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
    let file = args.from.as_deref().map(|from| reading(from, &bar)).transpose()?;
    // Whoever may not is told so before a file is on its way.
    let _: Value = client.get(&path).await?;
    let mut lines = client.upload(&path, &args.head(), file).await?;
    bar.reset();
    bar.set_style(style("{bar:40} {human_pos} of {human_len} rows"));
    let mut rejects = Rejects::new(&args.name);
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
    rejects.finish()?;
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

/// Opens the file; the bar follows what is sent of it.
fn reading(path: &Path, bar: &ProgressBar) -> Result<Reading, Problem> {
    let followed = bar.clone();
    let reading = Reading::open(path, move |sent| followed.set_position(sent))?;
    bar.set_length(reading.size());
    Ok(reading)
}

fn bar(context: &Context) -> ProgressBar {
    if context.out.is_watched() {
        ProgressBar::no_length().with_style(style("{bar:40} {bytes} of {total_bytes} sent"))
    } else {
        ProgressBar::hidden()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The list of refused rows: line numbers and reasons, never what a row holds.
struct Rejects {
    name: String,
    /// Begun with the first row.
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

    /// Writes a row down; the file is begun with the first.
    fn take(&mut self, refused: &Value) -> Result<(), Problem> {
        let (Some(line), Some(reason)) = (refused.at("line").as_u64(), refused.at("reason").as_str()) else {
            return Ok(());
        };
        let unwritable = |error: std::io::Error| Problem::fault(&format!("cannot write `{}`", self.name), &error);
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

    /// All refused rows are known: their list appears.
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

    /// An import that stops because of refused rows says where they are listed.
    fn explain(&mut self, problem: Problem) -> Problem {
        if let Err(unwritten) = self.finish() {
            return unwritten;
        }
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
