//! The files of an import: as they were sent, unpacked from an archive, or in a folder of an inbox.

use std::io;
use std::path::{Path, PathBuf};

use concordat_documents::collection::{FolderImport, MAX_FILES, table_of};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::DatasetName;
use concordat_storage::beneath::{ListedFile, list_beneath, open_beneath};
use concordat_storage::ingest::{LeftOut, Source, Upload};

use crate::config::ImportSection;
use crate::node::Node;

/// The files of an import, each with its dataset.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) files: Vec<(DatasetName, Source)>,
    /// Files that are not imported.
    pub(super) left_out: LeftOut,
    /// The folder of an inbox as it was listed.
    listed: Option<Listed>,
}

#[derive(Debug)]
struct Listed {
    inbox: PathBuf,
    below: PathBuf,
    files: Vec<ListedFile>,
}

impl Folder {
    /// The files that a request sends or names.
    ///
    /// # Errors
    /// `denied` for a folder outside the inboxes; `not_found` if there is none; `usage` if a file has no name of a dataset, two have the
    /// same one, or an archive is not whole.
    pub(super) fn of(
        node: &Node,
        import: &FolderImport,
        uploads: Vec<Upload>,
        config: &ImportSection,
    ) -> Result<Self, Problem> {
        if let Some(path) = &import.inbox {
            if !uploads.is_empty() {
                return Err(Problem::usage(
                    "a folder in an inbox was named, and files were sent too",
                ));
            }
            return Self::in_inbox(node, path, config);
        }
        let names = import.files.iter().map(|file| file.name.as_str());
        let mut sent = names.zip(uploads);
        match (import.archive, sent.len()) {
            (true, 1) => match sent.next() {
                Some((name, upload)) => Self::archived(node, &Source::sent(name, upload)),
                None => Err(no_files()),
            },
            (true, _) => Err(Problem::usage("an archive is one file")),
            (false, _) => Self::named(
                sent.map(|(name, upload)| (name.to_owned(), Source::sent(name, upload)))
                    .collect(),
                LeftOut::default(),
            ),
        }
    }

    /// Unpacks an archive.
    fn archived(node: &Node, archive: &Source) -> Result<Self, Problem> {
        let is_table = |name: &str| table_of(name).is_some();
        let unpacked = node.storage().unpack(archive, MAX_FILES, &is_table)?;
        let files = unpacked.files.into_iter();
        let files = files.map(|(name, upload)| (name.clone(), Source::sent(name, upload)));
        Self::named(files.collect(), unpacked.left_out)
    }

    /// Opens all files of a folder below an inbox, or the archive there.
    fn in_inbox(node: &Node, path: &Path, config: &ImportSection) -> Result<Self, Problem> {
        let shown = path.display();
        let found = config.inboxes.iter().find_map(|inbox| inbox.of(path));
        let Some((inbox, below)) = found else {
            return Err(
                Problem::new(ErrorKind::Denied, format!("`{shown}` is not in an inbox of this node"))
                    .help("send the folder with `--from`; an administrator can configure inboxes as `import.inboxes`"),
            );
        };
        let failed = |error: io::Error| {
            if error.kind() == io::ErrorKind::NotFound {
                Problem::new(ErrorKind::NotFound, format!("there is no folder or archive `{shown}`"))
            } else {
                Problem::usage(format!("`{shown}` cannot be imported: {error}"))
            }
        };
        match open_beneath(inbox, below) {
            Ok(file) => return Self::archived(node, &Source::opened(path, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(failed(error)),
            // It may be a folder.
            Err(_) => {}
        }
        let listed = list_beneath(inbox, below).map_err(failed)?;
        let is_table = |file: &&ListedFile| table_of(&file.name).is_some();
        let mut left_out = LeftOut::default();
        let others = listed.iter().filter(|file| table_of(&file.name).is_none());
        others.for_each(|file| left_out.add(&file.name));
        let mut files = Vec::new();
        for file in listed.iter().filter(is_table) {
            let opened = open_beneath(inbox, &below.join(&file.name)).map_err(failed)?;
            files.push((file.name.clone(), Source::opened(path.join(&file.name), opened)));
        }
        let folder = Self::named(files, left_out)?;
        Ok(Self {
            listed: Some(Listed {
                inbox: inbox.to_owned(),
                below: below.to_owned(),
                files: listed,
            }),
            ..folder
        })
    }

    /// Each file with its dataset.
    fn named(files: Vec<(String, Source)>, left_out: LeftOut) -> Result<Self, Problem> {
        if files.is_empty() {
            return Err(no_files());
        }
        if files.len() > MAX_FILES {
            let detail = format!(
                "{} files are more than the {MAX_FILES} datasets of a collection",
                files.len()
            );
            return Err(Problem::usage(detail));
        }
        let mut named: Vec<(DatasetName, Source)> = Vec::new();
        for (name, source) in files {
            let dataset = dataset_of(&name)?;
            if named.iter().any(|(known, _)| *known == dataset) {
                return Err(Problem::usage(format!(
                    "two files are named as the dataset `{dataset}`"
                )));
            }
            named.push((dataset, source));
        }
        Ok(Self {
            files: named,
            left_out,
            listed: None,
        })
    }

    /// Whether the folder has the same files as before, if it is one that can change.
    ///
    /// # Errors
    /// If it has others, or cannot be read.
    pub(super) fn check_unchanged(&self) -> Result<(), String> {
        let Some(Listed { inbox, below, files }) = &self.listed else {
            return Ok(());
        };
        match list_beneath(inbox, below) {
            Ok(now) if now == *files => Ok(()),
            Ok(_) => {
                Err("the folder changed while it was read; import one that no other process is writing to".to_owned())
            }
            Err(error) => Err(format!("the folder cannot be listed again: {error}")),
        }
    }
}

fn dataset_of(file: &str) -> Result<DatasetName, Problem> {
    let table = table_of(file).ok_or_else(|| {
        Problem::usage(format!("`{file}` does not end as the name of a table does")).help(
            "end it with `.csv`, `.tsv`, `.txt`, `.ndjson`, `.jsonl`, `.parquet`, `.xlsx` or `.ods`, also compressed",
        )
    })?;
    DatasetName::new(&table).map_err(|error| {
        Problem::usage(format!("`{file}` does not name a dataset: {error}")).help("rename the file as its dataset")
    })
}

fn no_files() -> Problem {
    Problem::usage("there are no files with tables")
        .help("the name of such a file ends with `.csv`, `.parquet` or the like")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(files: &[&str]) -> Result<Vec<String>, Problem> {
        let files = files
            .iter()
            .map(|name| ((*name).to_owned(), Source::opened(*name, empty())));
        let folder = Folder::named(files.collect(), LeftOut::default())?;
        Ok(folder.files.into_iter().map(|(name, _)| name.to_string()).collect())
    }

    fn empty() -> std::fs::File {
        tempfile::tempfile().unwrap()
    }

    #[test]
    fn files_name_their_datasets() {
        let found = named(&["PERSON.csv", "visit_occurrence.csv.gz", "note.parquet"]).unwrap();
        assert_eq!(found, ["person", "visit_occurrence", "note"]);
        for (files, part) in [
            (&["person.csv", "PERSON.csv.gz"][..], "two files"),
            (&["LICENSE"], "does not end"),
            (&["person 2020.csv"], "does not name a dataset"),
            (&["2020.csv"], "does not name a dataset"),
            (&[], "no files"),
        ] {
            let problem = named(files).unwrap_err();
            assert!(problem.detail.contains(part), "{files:?}: {problem:?}");
        }
        let many: Vec<String> = (0..=MAX_FILES).map(|number| format!("d{number}.csv")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(named(&many).unwrap_err().detail.contains("more than"));
    }
}
