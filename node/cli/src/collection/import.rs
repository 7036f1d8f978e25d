//! `concordat collection import`: a folder, or an archive of one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use concordat_client::{Client, Folder, Lines};
use concordat_documents::collection::{
    CollectionEvent, CollectionImported, CollectionPermission, FolderImport, RemovedDataset, TemplateChoice,
    WithheldColumns, table_of,
};
use concordat_documents::import::{ImportMode, ReadingOptions, RefusedRow, grouped};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::{CollectionName, DatasetName, SegmentName};
use indicatif::ProgressBar;

use super::notes::{SHOWN_NOTES, more_notes};
use crate::context::Context;
use crate::dataset::import::{Rejects, bar, style};
use crate::files;
use crate::withheld::withheld_note;

/// Most bytes of a file of options.
const MAX_OPTIONS: u64 = 1024 * 1024;

/// Most bytes of a template file, as the node accepts it.
pub(super) const MAX_TEMPLATE: u64 = 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the collection
    name: CollectionName,
    /// A folder, or a zip or tar archive of one; each file is the dataset of its name. They are read with your own permissions, and uploaded
    #[arg(long, value_name = "PATH", required_unless_present = "from_inbox")]
    from: Option<PathBuf>,
    /// A folder or archive below one of the node's inboxes (`import.inboxes`), which the node opens itself
    #[arg(long, value_name = "PATH", conflicts_with = "from")]
    from_inbox: Option<PathBuf>,
    /// What is declared about the datasets: the template of a data model, such as `omop-5.3`, or a template file (`.toml`) [default: what is
    /// declared already]
    #[arg(long, value_name = "NAME|FILE")]
    template: Option<String>,
    /// Store a new collection in this segment
    #[arg(long)]
    segment: Option<SegmentName>,
    /// Add the rows to those of the datasets
    #[arg(long, conflicts_with = "replace")]
    append: bool,
    /// Replace the collection: datasets of which there is no file are not in the new version
    #[arg(long)]
    replace: bool,
    /// Import the other rows if some are invalid
    #[arg(long)]
    skip_refused: bool,
    /// Add the rows even if the collection has those of a file already
    #[arg(long)]
    again: bool,
    /// How files are read: a file with a table of options for each dataset, as `dataset import --write-options` writes them
    #[arg(long, value_name = "FILE")]
    options: Option<PathBuf>,
}

impl Args {
    fn import(&self, folder: Option<&Folder>) -> Result<FolderImport, Problem> {
        Ok(FolderImport {
            files: folder.map(Folder::files).unwrap_or_default(),
            archive: folder.is_some_and(Folder::is_archive),
            inbox: self.from_inbox.clone(),
            template: self.template.as_deref().map(template).transpose()?,
            mode: match (self.append, self.replace) {
                (true, _) => ImportMode::Append,
                (false, true) => ImportMode::Replace,
                (false, false) => ImportMode::Create,
            },
            segment: self.segment.clone(),
            skip_refused: self.skip_refused,
            again: self.again,
            reading: self.options.as_deref().map(options).transpose()?.unwrap_or_default(),
        })
    }
}

/// A name ends like a file, or names a folder, if it is that of a file.
fn template(text: &str) -> Result<TemplateChoice, Problem> {
    let is_file = text.ends_with(".toml") || text.contains('/');
    if is_file {
        Ok(TemplateChoice::Text(files::read_text(Path::new(text), MAX_TEMPLATE)?))
    } else {
        Ok(TemplateChoice::Shipped(text.to_owned()))
    }
}

/// Options for each dataset.
fn options(path: &Path) -> Result<BTreeMap<DatasetName, ReadingOptions>, Problem> {
    let text = files::read_text(path, MAX_OPTIONS)?;
    let nested = nested(&text);
    let read = toml::from_str(&text).or_else(|error| match nested == text {
        true => Err(error),
        false => toml::from_str(&nested),
    });
    read.map_err(|error| {
        Problem::usage(format!(
            "`{}` does not contain options for datasets: {error}",
            path.display()
        ))
        .help(
            "write them below `[DATASET]`, as `concordat dataset import --write-options FILE` writes those of one file",
        )
    })
}

/// The options that are tables of their own in a file of options for one dataset.
const TABLES: [&str; 3] = ["types", "rename", "columns"];

/// The same text with the tables of options as those of the dataset that they are below: `[rename]` below `[person]` is `[person.rename]`.
fn nested(text: &str) -> String {
    let mut dataset: Option<&str> = None;
    let mut nested = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let header = line.trim_start().strip_prefix('[');
        let name = header.and_then(|header| header.split([']', '.']).next());
        let name = name.map(str::trim);
        match (header, dataset) {
            (Some(header), Some(dataset)) if name.is_some_and(|name| TABLES.contains(&name)) => {
                nested.extend(["[", dataset, ".", header]);
            }
            (_, _) => {
                dataset = name.or(dataset);
                nested.push_str(line);
            }
        }
    }
    nested
}

pub(super) async fn run(args: Args, client: &Client, context: &Context) -> Result<(), Problem> {
    let bar = bar(context);
    let folder = args.from.as_deref().map(|from| open(from, &bar)).transpose()?;
    let import = args.import(folder.as_ref())?;
    let left_out = folder
        .as_ref()
        .map(|folder| folder.left_out().to_vec())
        .unwrap_or_default();
    let path = format!("/v1/collections/{}/import", args.name);
    // A person without permission learns it before files are uploaded.
    let _: CollectionPermission = client.get(&path).await?;
    let lines = client.upload_folder(&path, &import, folder).await?;
    bar.reset();
    bar.set_style(style("{bar:40} {human_pos} of {human_len} rows {msg}"));
    let mut rejects = AllRejects::new(&args.name);
    let imported = follow(lines, &bar, &mut rejects).await?;
    bar.finish_and_clear();
    rejects.finish(&imported, context)?;
    conclude(&imported, &left_out, &rejects, context)
}

/// Opens the folder; the bar follows what is sent of it.
fn open(path: &Path, bar: &ProgressBar) -> Result<Folder, Problem> {
    let followed = bar.clone();
    let is_table = |name: &str| table_of(name).is_some();
    let folder = Folder::open(path, is_table, move |sent| followed.set_position(sent))?;
    bar.set_length(folder.size());
    Ok(folder)
}

/// Reads the report of the import to its end.
async fn follow(mut lines: Lines, bar: &ProgressBar, rejects: &mut AllRejects) -> Result<CollectionImported, Problem> {
    loop {
        let event = lines.next_of_collection().await;
        match event.map_err(|problem| rejects.explain(problem))? {
            Some(CollectionEvent::Inspecting(file)) => bar.set_message(file.dataset.to_string()),
            Some(CollectionEvent::Committing(_)) => {}
            Some(CollectionEvent::Refused(row)) => {
                let refused = RefusedRow {
                    line: row.line,
                    reason: row.reason,
                };
                rejects.of(&row.dataset).record(&refused)?;
            }
            Some(CollectionEvent::Written(written)) => {
                bar.set_length(written.of);
                bar.set_position(written.rows);
            }
            Some(CollectionEvent::Imported(imported)) => return Ok(*imported),
            None => {
                return Err(
                    Problem::new(ErrorKind::Unreachable, "the node stopped in the middle of the import").help(
                        "the collection is unchanged, or the import is complete: see `concordat collection show`",
                    ),
                );
            }
        }
    }
}

/// The lists of refused rows, one for each dataset.
struct AllRejects {
    collection: CollectionName,
    lists: BTreeMap<DatasetName, Rejects>,
}

impl AllRejects {
    fn new(collection: &CollectionName) -> Self {
        Self {
            collection: collection.clone(),
            lists: BTreeMap::new(),
        }
    }

    fn of(&mut self, dataset: &DatasetName) -> &mut Rejects {
        let name = format!("{}.{dataset}", self.collection);
        self.lists.entry(dataset.clone()).or_insert_with(|| Rejects::new(&name))
    }

    /// Completes the lists, and removes those that an earlier import has left.
    fn finish(&mut self, imported: &CollectionImported, context: &Context) -> Result<(), Problem> {
        for dataset in &imported.datasets {
            let list = self.of(&dataset.dataset);
            list.finish()?;
            list.remove_earlier(context)?;
        }
        Ok(())
    }

    fn explain(&mut self, problem: Problem) -> Problem {
        self.lists
            .values_mut()
            .fold(problem, |problem, list| list.explain(problem))
    }

    fn files(&self) -> impl Iterator<Item = &str> {
        self.lists.values().filter_map(Rejects::file)
    }
}

fn conclude(
    imported: &CollectionImported,
    left_out: &[String],
    rejects: &AllRejects,
    context: &Context,
) -> Result<(), Problem> {
    let out = &context.out;
    for file in left_out.iter().chain(&imported.left_out) {
        out.note(&format!(
            "`{file}` is not imported: its name does not end as that of a table does"
        ));
    }
    if imported.more_left_out > 0 {
        out.note(&format!("and {} more files are not imported", imported.more_left_out));
    }
    for removed in &imported.removed {
        out.note(&removed_note(removed));
    }
    let notes = notes(imported);
    for note in notes.iter().take(SHOWN_NOTES) {
        out.note(&format!("note: {note}"));
    }
    if notes.len() > SHOWN_NOTES {
        let more = notes.len() - SHOWN_NOTES;
        out.note(&more_notes(more, &imported.collection));
    }
    for file in rejects.files() {
        out.note(&format!("the rows that could not be imported are listed in `{file}`"));
    }
    if imported.withdrawn {
        out.note(&withdrawn_note(imported));
    }
    let withheld: Vec<String> = imported.withheld.iter().flat_map(WithheldColumns::names).collect();
    if let Some(note) = withheld_note(&withheld) {
        out.note(&note);
    }
    let CollectionImported {
        collection,
        version,
        rows,
        refused,
        subjects,
        unclassified,
        datasets,
        ..
    } = imported;
    let count = datasets.len();
    let mut sentence = format!(
        "{rows} rows of {count} datasets imported as version {version} of {collection}, {refused} refused, {subjects} subjects"
    );
    if *unclassified > 0 {
        sentence.push_str(&format!(
            "; {unclassified} columns have no class: `concordat collection show {collection}`"
        ));
    }
    out.done(&sentence, imported)
}

fn removed_note(removed: &RemovedDataset) -> String {
    format!(
        "`{}` is not in the new version, as there is no file of it; it has {} rows in the version before",
        removed.dataset, removed.rows
    )
}

/// Why the collection is no longer published, and what to do about it.
fn withdrawn_note(imported: &CollectionImported) -> String {
    if imported.unclassified > 0 {
        return "the collection is no longer published: classify its new columns, then publish it again".to_owned();
    }
    format!(
        "the collection is no longer published: classes, subjects or levels are declared that reveal more, or columns are new; check \
         `concordat collection template {name}`, then run `concordat collection publish {name}`",
        name = imported.collection
    )
}

/// The notes of all datasets, each with its dataset.
fn notes(imported: &CollectionImported) -> Vec<String> {
    let datasets = imported.datasets.iter();
    let named = datasets.flat_map(|dataset| {
        let notes = grouped(&dataset.notes).into_iter();
        notes.map(|note| format!("{}: {note}", dataset.dataset))
    });
    named.collect()
}

#[cfg(test)]
mod tests;
