//! The import of a folder, or of an archive of one.

use concordat_documents::collection::{
    CollectionEvent, CollectionImported, CollectionLine, FolderImport, TemplateChoice,
};
use concordat_documents::import::{ImportMode, ReadingOptions};
use concordat_documents::problem::Problem;
use concordat_protocol::collection::KnownColumns;
use concordat_protocol::ids::{CollectionName, DatasetName};
use concordat_storage::catalog::{
    self, CatalogError, CollectionImport, CollectionRecord, DatasetImport, Declared, ImportedCollection, Progress,
};
use concordat_storage::ingest::{Refused, Upload};
use concordat_storage::ledger::Attribution;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::super::imports::reading::table_options;
use super::super::imports::{least_subjects, this_year};
use super::super::transfers::{Delivery, TransferPermit};
use super::declare::Declarations;
use super::folder::Folder;
use super::view::{event, imported, withheld};
use crate::config::ImportSection;
use crate::iam::{Action, Actor};
use crate::node::Node;

/// Lines that wait for the client, as for the import of one file.
const LINES: usize = 256;

/// What is imported: how, the files that were sent, and where the node may read a folder itself.
#[derive(Debug)]
pub(crate) struct NewFolder<'a> {
    /// How.
    pub(crate) import: FolderImport,
    /// The files, in the order in which they are named.
    pub(crate) uploads: Vec<Upload>,
    /// The configuration, with the inboxes.
    pub(crate) config: &'a ImportSection,
    /// Held until the import has ended.
    pub(crate) permit: TransferPermit,
}

/// Starts an import. The lines end with the result, and as for one file the import continues if they are not read.
///
/// # Errors
/// `denied` without the role. Every later failure is the last line.
pub(crate) fn start(
    node: &Node,
    caller: &Actor,
    collection: CollectionName,
    new: NewFolder<'_>,
) -> Result<mpsc::Receiver<CollectionLine>, Problem> {
    let by = caller.authorize(Action::ImportDataset)?;
    if new.import.template.is_some() {
        caller.require(Action::ClassifyDataset)?;
    }
    let NewFolder {
        import,
        uploads,
        config,
        permit,
    } = new;
    let config = config.clone();
    let (lines, waiting) = mpsc::channel(LINES);
    let node = node.clone();
    let mut lines = Delivery::new(lines, &node, caller);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let done = Importing {
            node: &node,
            collection: &collection,
            import: &import,
            by: &by,
        }
        .run(uploads, &config, &mut lines);
        let last = match done {
            Ok(done) => CollectionLine::Event(CollectionEvent::Imported(Box::new(done))),
            Err(problem) => CollectionLine::Failed { problem },
        };
        // A client that is not there any more misses only what is also in the ledger.
        lines.send(last).ok();
    });
    Ok(waiting)
}

/// An import that has begun.
struct Importing<'a> {
    node: &'a Node,
    collection: &'a CollectionName,
    import: &'a FolderImport,
    by: &'a Attribution,
}

/// How the file of a dataset was read by what its import has kept. Options that this program does not know are as good as none.
pub(super) fn kept_reading(text: &str) -> ReadingOptions {
    serde_json::from_str(text)
        .map(|kept: Kept| kept.reading)
        .unwrap_or_default()
}

/// What is kept of the import of each dataset for the next one.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// How its file was read.
    #[serde(default)]
    reading: ReadingOptions,
    /// The template of a data model, whose spellings of headers are known.
    #[serde(default)]
    shipped: Option<String>,
}

impl Importing<'_> {
    fn run(
        &self,
        uploads: Vec<Upload>,
        config: &ImportSection,
        lines: &mut Delivery<CollectionLine>,
    ) -> Result<CollectionImported, Problem> {
        let node = self.node;
        // What cannot be recorded must not be done.
        node.ledger().ready()?;
        let folder = Folder::of(node, self.import, uploads, config)?;
        let catalog = node.storage().catalog();
        let record = found(catalog.datasets().collection(self.collection))?;
        if record.as_ref().is_some_and(|record| record.alone().is_some()) {
            let detail = format!("`{}` is a dataset alone", self.collection);
            return Err(Problem::usage(detail).help("import the folder under another name"));
        }
        let declarations = Declarations::of(record.as_ref(), self.import.template.as_ref())?;
        if declarations.is_empty() {
            return Err(Problem::usage("it is not known how the rows of the files lead to subjects").help(
                "name a template with `--template`: that of a data model, such as `omop-5.3`, or a file of your own",
            ));
        }
        self.check_reading(&folder)?;
        let request = CollectionImport {
            least_subjects: least_subjects(node, record.as_ref().map(|record| &record.release)),
            ..self.request(&folder, &declarations)?
        };
        let before = catalog.datasets().proposals(self.collection)?;
        let declare = |known: &KnownColumns| {
            folder.check_unchanged().map_err(|changed| vec![changed])?;
            let rules = declarations.rules(known)?;
            let open = declarations.open(&rules, &before);
            Ok::<_, Vec<String>>(Declared::Rules(rules, open))
        };
        let signer = node.identity().institution_key();
        let now = node.clock().now();
        let order: Vec<&DatasetName> = folder.files.iter().map(|(dataset, _)| dataset).collect();
        let mut inspected = 0;
        let done = catalog.import_collection(&request, &declare, (&signer, now), &mut |progress| {
            inspected += usize::from(progress == Progress::Inspecting);
            report(lines, order.get(inspected.saturating_sub(1)).copied(), progress);
        })?;
        self.conclude(&done)?;
        let record = catalog.datasets().collection(self.collection)?;
        let left = catalog.datasets().unclassified_columns(&record)?.len();
        let withheld = withheld(node, &record)?;
        Ok(imported(self.collection, &done, folder.left_out, (left, withheld)))
    }

    /// Options are for datasets that have a file.
    fn check_reading(&self, folder: &Folder) -> Result<(), Problem> {
        let is_there = |dataset: &DatasetName| folder.files.iter().any(|(known, _)| known == dataset);
        match self.import.reading.keys().find(|dataset| !is_there(dataset)) {
            None => Ok(()),
            Some(dataset) => Err(Problem::usage(format!(
                "options are stated for `{dataset}`, of which there is no file"
            ))),
        }
    }

    fn request(&self, folder: &Folder, declarations: &Declarations) -> Result<CollectionImport, Problem> {
        let mut datasets = Vec::new();
        for (dataset, source) in &folder.files {
            let before = self.kept(dataset)?;
            let reading = self.import.reading.get(dataset).cloned().unwrap_or_default();
            let reading = reading.or(before.reading);
            let refused = if self.import.skip_refused {
                Refused::Skip
            } else {
                Refused::Stop
            };
            let mut options = table_options(reading.clone(), refused)?;
            options.last_year = options.last_year.or_else(|| this_year(self.node));
            options.spellings = declarations.spellings(dataset);
            let shipped = match &self.import.template {
                Some(TemplateChoice::Shipped(name)) => Some(name.clone()),
                Some(TemplateChoice::Text(_)) | None => before.shipped,
            };
            if let Some(name) = shipped.as_ref().filter(|_| options.spellings.spellings.is_empty()) {
                let choice = TemplateChoice::Shipped(name.clone());
                options.spellings = Declarations::of(None, Some(&choice))?.spellings(dataset);
            }
            let kept = Kept { reading, shipped };
            datasets.push(DatasetImport {
                name: dataset.clone(),
                source: source.clone(),
                options,
                kept_options: serde_json::to_string(&kept)
                    .map_err(|error| Problem::internal("cannot write the options", &error))?,
            });
        }
        Ok(CollectionImport {
            segment: self.import.segment.clone(),
            mode: match self.import.mode {
                ImportMode::Create => catalog::ImportMode::Create,
                ImportMode::Append => catalog::ImportMode::Append,
                ImportMode::Replace => catalog::ImportMode::Replace,
            },
            again: self.import.again,
            by: Some(self.by.clone()),
            ..CollectionImport::new(self.collection.clone(), datasets)
        })
    }

    /// What the import before has kept of a dataset. Options that this program does not know are as good as none.
    fn kept(&self, dataset: &DatasetName) -> Result<Kept, Problem> {
        if self.import.mode == ImportMode::Create {
            return Ok(Kept::default());
        }
        let datasets = self.node.storage().catalog().datasets();
        let latest = datasets.latest_import_of(self.collection, dataset)?;
        Ok(latest
            .and_then(|latest| serde_json::from_str(&latest.options).ok())
            .unwrap_or_default())
    }

    /// What follows a new version: its entries, another evaluation of running answers, and the removal of older versions.
    fn conclude(&self, done: &ImportedCollection) -> Result<(), Problem> {
        let node = self.node;
        let dataset = DatasetName::from(self.collection);
        // The version exists, so the entries are made whatever has happened to the account since.
        let outcome = self.by.for_outcome();
        for entry in done.entries.clone() {
            drop(node.ledger().append(entry, &outcome, node.clock().now())?);
        }
        node.epoch().raise();
        // The new version is valid if this fails; what could not be removed is removed after the next import.
        if let Err(problem) = node.lifecycle().trim(&dataset, self.by) {
            tracing::warn!(
                error = problem.detail,
                %dataset,
                "older versions beyond the retention rule were not removed"
            );
        }
        Ok(())
    }
}

/// The collection, if there is one.
fn found(record: Result<CollectionRecord, CatalogError>) -> Result<Option<CollectionRecord>, Problem> {
    match record {
        Ok(record) => Ok(Some(record)),
        Err(CatalogError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Every refused row is delivered, or the report ends; other progress lines are dropped if the client is too slow, as for one file.
fn report(lines: &mut Delivery<CollectionLine>, dataset: Option<&DatasetName>, progress: Progress) {
    let Some(dataset) = dataset else { return };
    let line = CollectionLine::Event(event(dataset, progress));
    match progress {
        Progress::Refused(_) => {
            lines.send(line).ok();
        }
        Progress::Inspecting | Progress::Writing { .. } | Progress::Committing => lines.send_if_space(line),
    }
}
