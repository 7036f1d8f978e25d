//! `concordat dataset import`: progress on a terminal, refused rows in a file.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use concordat_documents::import::{
    ImportEvent, ImportMode, ImportOptions, ImportPermission, Imported, RefusedRow, grouped,
};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::{DatasetName, SegmentName};
use indicatif::{ProgressBar, ProgressStyle};

use super::reading::ReadingArgs;
use crate::context::Context;
use crate::files::{self, NewFile};
use crate::output::quoted;
use concordat_client::{Client, Lines, Reading};

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
    /// Store the dataset in this segment
    #[arg(long)]
    segment: Option<SegmentName>,
    /// Add the rows to the dataset
    #[arg(long, conflicts_with = "replace")]
    append: bool,
    /// Replace the existing rows
    #[arg(long)]
    replace: bool,
    /// Import the other rows if some are invalid
    #[arg(long)]
    skip_refused: bool,
    /// Add the rows even if the dataset has those of this file already
    #[arg(long)]
    again: bool,
    /// Do not use the options of the latest import of the dataset
    #[arg(long)]
    without_kept_options: bool,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl Args {
    fn options(&self) -> Result<ImportOptions, Problem> {
        let name = self.from.as_ref().and_then(|path| path.file_name());
        Ok(ImportOptions {
            name: name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            inbox: self.from_inbox.clone(),
            mode: match (self.append, self.replace) {
                (true, _) => ImportMode::Append,
                (false, true) => ImportMode::Replace,
                (false, false) => ImportMode::Create,
            },
            segment: self.segment.clone(),
            skip_refused: self.skip_refused,
            again: self.again,
            without_kept_options: self.without_kept_options,
            reading: self.reading.reading()?,
        })
    }
}

pub(super) async fn run(args: Args, client: &Client, context: &Context) -> Result<(), Problem> {
    let options = args.options()?;
    let bar = bar(context);
    let path = format!("/v1/datasets/{}/import", args.name);
    let file = args.from.as_deref().map(|from| open_file(from, &bar)).transpose()?;
    // A person without permission learns it before a file is uploaded.
    let _: ImportPermission = client.get(&path).await?;
    let lines = client.upload(&path, &options, file).await?;
    bar.reset();
    bar.set_style(style("{bar:40} {human_pos} of {human_len} rows"));
    let mut rejects = Rejects::new(args.name.as_str());
    let imported = follow(lines, &bar, &mut rejects).await?;
    bar.finish_and_clear();
    rejects.finish()?;
    rejects.remove_earlier(context)?;
    args.reading.write(&imported.reading)?;
    conclude(&imported, &rejects, context)
}

/// Reads the report of the import to its end.
async fn follow(mut lines: Lines, bar: &ProgressBar, rejects: &mut Rejects) -> Result<Imported, Problem> {
    loop {
        match lines.next().await.map_err(|problem| rejects.explain(problem))? {
            Some(ImportEvent::Inspecting(_) | ImportEvent::Committing(_)) => {}
            Some(ImportEvent::Refused(row)) => rejects.record(&row)?,
            Some(ImportEvent::Written(written)) => {
                bar.set_length(written.of);
                bar.set_position(written.rows);
            }
            Some(ImportEvent::Imported(imported)) => return Ok(*imported),
            None => {
                return Err(
                    Problem::new(ErrorKind::Unreachable, "the node stopped in the middle of the import")
                        .help("the dataset is unchanged, or the import is complete: see `concordat dataset show`"),
                );
            }
        }
    }
}

fn conclude(imported: &Imported, rejects: &Rejects, context: &Context) -> Result<(), Problem> {
    let out = &context.out;
    let notes = grouped(&imported.notes);
    for note in &notes {
        out.note(&format!("note: {note}"));
    }
    if notes
        .iter()
        .any(|note| note.contains("`--") && !note.contains("--replace"))
    {
        out.note("what a note proposes can be stated in another import of the file, with `--replace`");
    }
    if let Some(file) = rejects.file() {
        out.note(&format!("the rows that could not be imported are listed in `{file}`"));
    }
    if imported.withdrawn {
        out.note("the dataset is no longer published: it has new columns, or other subjects; classify its columns, then publish it again");
    }
    let Imported {
        dataset,
        version,
        rows,
        refused,
        ..
    } = imported;
    let more = count_of_notes(imported, notes.len());
    let sentence = format!("{rows} rows imported as version {version} of {dataset}, {refused} refused{more}");
    out.done(&sentence, imported)
}

/// How many notes the version has, if fewer were shown. It is no line of its own, so that the notes of a folder of tables fit on a screen.
fn count_of_notes(imported: &Imported, shown: usize) -> String {
    let all = imported.notes.len();
    if shown == all {
        return String::new();
    }
    format!("; all {all} notes: `concordat dataset notes {}`", imported.dataset)
}

/// Opens the file; the bar follows what is sent of it.
fn open_file(path: &Path, bar: &ProgressBar) -> Result<Reading, Problem> {
    let followed = bar.clone();
    let reading = Reading::open(path, move |sent| followed.set_position(sent))?;
    bar.set_length(reading.size());
    Ok(reading)
}

/// The progress of a person who watches.
pub(crate) fn bar(context: &Context) -> ProgressBar {
    if context.out.is_interactive() {
        ProgressBar::no_length().with_style(style("{bar:40} {bytes} of {total_bytes} sent"))
    } else {
        ProgressBar::hidden()
    }
}

pub(crate) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The first line of a list of refused rows.
const HEADER: &[u8; 12] = b"line,reason\n";

/// The list of refused rows: line numbers and reasons, never the contents of a row.
pub(crate) struct Rejects {
    name: String,
    /// Created with the first refused row.
    file: Option<NewFile>,
    is_written: bool,
}

impl Rejects {
    /// The list of what is imported as `name`, which is written where the command runs.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: format!("{name}.rejects.csv"),
            file: None,
            is_written: false,
        }
    }

    /// Records a refused row; the file is created with the first.
    pub(crate) fn record(&mut self, row: &RefusedRow) -> Result<(), Problem> {
        let unwritable = |error: std::io::Error| Problem::internal(&format!("cannot write `{}`", self.name), &error);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = self.file.insert(NewFile::create(Path::new(&self.name))?);
                file.write_all(HEADER).map_err(unwritable)?;
                file
            }
        };
        writeln!(file, "{},{}", row.line, quoted(&row.reason)).map_err(unwritable)
    }

    /// Completes the list after the last refused row: the file appears.
    pub(crate) fn finish(&mut self) -> Result<(), Problem> {
        if let Some(file) = self.file.take() {
            file.finish()?;
            self.is_written = true;
        }
        Ok(())
    }

    /// After an import without refused rows: removes the list that an earlier one has left here, which would mislead.
    pub(crate) fn remove_earlier(&self, context: &Context) -> Result<(), Problem> {
        let path = Path::new(&self.name);
        if self.is_written || !is_list(path) {
            return Ok(());
        }
        files::remove(path)?;
        context.out.note(&format!(
            "`{}`, which an earlier import has left, was removed",
            self.name
        ));
        Ok(())
    }

    /// Where it is, if it was written.
    pub(crate) fn file(&self) -> Option<&str> {
        self.is_written.then_some(self.name.as_str())
    }

    /// Adds to the problem of an import that stops because of refused rows where they are listed.
    pub(crate) fn explain(&mut self, problem: Problem) -> Problem {
        if let Err(unwritten) = self.finish() {
            return unwritten;
        }
        match self.file() {
            Some(file) => {
                let list = format!("`{file}` lists the rows that cannot be imported, by their lines");
                let help = match &problem.help {
                    Some(help) => format!("{help}; {list}"),
                    None => list,
                };
                problem.help(help)
            }
            None => problem,
        }
    }
}

/// Whether a file is a list that this command has written.
fn is_list(path: &Path) -> bool {
    files::begins_with(path, HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_of_refused_rows_are_recognized_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lab.rejects.csv");
        assert!(!is_list(&path));
        for (text, expected) in [
            ("line,reason\n3,\"why\"\n", true),
            ("line,reasons\n", false),
            ("line", false),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(is_list(&path), expected, "{text}");
        }
        std::fs::write(&path, HEADER).unwrap();
        let link = dir.path().join("link.rejects.csv");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(!is_list(&link));
    }
}
