//! Importing a table as a new dataset, or as a new version of one.

use std::str::FromStr;

use concordat_documents::dataset::Indexed;
use concordat_documents::import::{
    DatasetNotes, ImportEvent, ImportLine, ImportOptions, ImportPermission, Imported, ReadingOptions,
};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::release::ReleaseRules;
use concordat_protocol::scope::Tier;
use concordat_storage::catalog::{self, ImportRequest, LatestImport, Progress};
use concordat_storage::ingest::Upload;
use concordat_storage::ledger::Attribution;
use tokio::sync::mpsc;

use self::inbox::source;
use self::used_options::{UsedOptions, kept, with_kept};
pub(super) use self::view::kept_options;
use self::view::{event, import_request, imported};
use super::run::blocking;
use super::transfers::{Delivery, TransferPermit, Transfers};
use crate::config::ImportSection;
use crate::iam::{Action, Actor};
use crate::node::Node;

mod inbox;
mod inspecting;
pub(super) mod reading;
mod used_options;
mod view;

pub(crate) use inspecting::{NewInspection, begin_inspection, check_inspection, inspect};

/// Lines that wait for the client: enough that the import seldom waits, few enough to use little memory.
const LINES: usize = 256;

/// What is imported: the options, the bytes that were sent with them, and where the node may read a file itself.
#[derive(Debug)]
pub(crate) struct NewImport<'a> {
    /// How.
    pub(crate) options: ImportOptions,
    /// The bytes; empty if the options name a file in an inbox.
    pub(crate) upload: Upload,
    /// The configuration, with the inboxes.
    pub(crate) config: &'a ImportSection,
    /// Held until the import has ended.
    pub(crate) permit: TransferPermit,
}

/// What an import of this name is for, a dataset or a collection, and permission for another transfer, before bytes are received.
///
/// # Errors
/// `denied` without the role; `usage` if the name is invalid; `unreachable` if too many transfers are running.
pub(crate) fn begin<N: FromStr>(
    transfers: &Transfers,
    caller: &Actor,
    name: &str,
) -> Result<(N, TransferPermit), Problem>
where
    N::Err: Into<Problem>,
{
    caller.require(Action::ImportDataset)?;
    let name: Result<N, Problem> = name.parse().map_err(|error: N::Err| error.into());
    Ok((name?, transfers.begin(caller.id())?))
}

/// Whether the caller may import a dataset of this name, and another transfer may begin. A client that has begun to send a file might not read
/// why it is refused.
///
/// # Errors
/// As [`begin`].
pub(crate) fn check(transfers: &Transfers, caller: &Actor, name: &str) -> Result<ImportPermission, Problem> {
    let (dataset, _permit) = begin(transfers, caller, name)?;
    Ok(ImportPermission {
        dataset,
        may_import: true,
    })
}

/// Starts an import. The lines end with the result; the import continues if they are not read: a partial import would be discarded,
/// and the ledger names who started it. It makes no version if that person may not import any more when it has read the file.
///
/// # Errors
/// `denied` without the role, or if a file outside the inboxes is named; `not_found` if there is no such file; `usage` if the options
/// contradict each other. Every later failure is the last line.
pub(crate) async fn start(
    node: &Node,
    caller: &Actor,
    dataset: DatasetName,
    new: NewImport<'_>,
) -> Result<mpsc::Receiver<ImportLine>, Problem> {
    let by = caller.authorize(Action::ImportDataset)?;
    let NewImport {
        mut options,
        upload,
        config,
        permit,
    } = new;
    let source = source(options.inbox.as_deref(), &options.name, upload, config)?;
    let kept = kept(node, &dataset, &options).await?;
    let reading = options.reading.or(kept.clone());
    options.reading = reading.clone();
    let mut request = ImportRequest {
        by: Some(by.clone()),
        ..import_request(options, dataset, source).map_err(|problem| with_kept(problem, &kept))?
    };
    request.options.last_year = request.options.last_year.or_else(|| this_year(node));
    let used = UsedOptions { reading, kept };
    let (lines, waiting) = mpsc::channel(LINES);
    let node = node.clone();
    let mut lines = Delivery::new(lines, &node, caller);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let last = match import(&node, &request, &by, (used, &mut lines)) {
            Ok(done) => ImportLine::Event(ImportEvent::Imported(Box::new(done))),
            Err(problem) => ImportLine::Failed { problem },
        };
        // A client that is not there any more misses only what is also in the ledger.
        lines.send(last).ok();
    });
    Ok(waiting)
}

/// What is kept of the latest import of a dataset.
///
/// # Errors
/// `denied` without the role; `not_found` if there is no dataset of that name, or nothing was kept of its import.
pub(crate) async fn notes(node: &Node, caller: &Actor, name: String) -> Result<DatasetNotes, Problem> {
    caller.require(Action::ReadDatasets)?;
    let dataset: DatasetName = name.parse()?;
    let of = dataset.clone();
    let latest = blocking(node, move |node| node.storage().catalog().datasets().latest_import(&of)).await?;
    let latest = latest.ok_or_else(|| {
        Problem::new(
            ErrorKind::NotFound,
            format!("no notes of the latest import of `{dataset}` are kept"),
        )
        .help("they are kept from the next import on")
    })?;
    let reading = kept_options(&latest.options);
    Ok(dataset_notes(dataset, latest, reading))
}

/// What is kept of an import, and how the file was read by the options that are kept.
pub(in crate::services) fn dataset_notes(
    dataset: DatasetName,
    latest: LatestImport,
    reading: ReadingOptions,
) -> DatasetNotes {
    DatasetNotes {
        dataset,
        version: latest.version,
        notes: latest.notes,
        reading,
    }
}

/// Numbers the subjects of a dataset whose rows were imported before there were ordinals: a new version has the same rows. It makes no version if
/// that person may not import any more when it has read the rows.
///
/// # Errors
/// `denied` without the role; `not_found` if there is no dataset of that name; `usage` if its subjects are numbered; `unreachable` if too many
/// transfers are running.
pub(crate) async fn index(
    node: &Node,
    transfers: &Transfers,
    caller: &Actor,
    name: String,
) -> Result<Indexed, Problem> {
    let permit = transfers.begin(caller.id())?;
    let by = caller.authorize(Action::ImportDataset)?;
    let dataset: DatasetName = name.parse()?;
    blocking(node, move |node| {
        let _permit = permit;
        // What cannot be recorded must not be done.
        node.ledger().ready()?;
        let signer = node.identity().institution_key();
        let now = node.clock().now();
        let catalog = node.storage().catalog();
        let done = catalog.index(&dataset, Some(&by), (&signer, now), &mut |_| ())?;
        conclude(node, &dataset, &done, &by)?;
        Ok::<_, Problem>(Indexed {
            dataset,
            version: done.version,
            rows: done.total_rows,
        })
    })
    .await
}

/// The last of the hundred years that years of two digits stand for, unless another one is stated: what is imported has happened.
pub(super) fn this_year(node: &Node) -> Option<i32> {
    let now = node.clock().now().exact();
    now.get(..4).and_then(|year| year.parse().ok())
}

/// Fewest subjects on each side of what is proposed for a column: as many as a cell of an answer has.
pub(super) fn least_subjects(node: &Node, release: Option<&ReleaseRules>) -> u32 {
    let policy = node.policies().live().current();
    let release = release.cloned().unwrap_or_default();
    let least = [Tier::Count, Tier::Aggregate].map(|tier| policy.limits(&release, tier).min_cell);
    least.into_iter().fold(0, u32::max)
}

fn import(
    node: &Node,
    request: &ImportRequest,
    by: &Attribution,
    (used, lines): (UsedOptions, &mut Delivery<ImportLine>),
) -> Result<Imported, Problem> {
    // What cannot be recorded must not be done.
    node.ledger().ready()?;
    let now = node.clock().now();
    let signer = &node.identity().institution_key();
    let catalog = node.storage().catalog();
    let release = catalog.datasets().show(&request.name).ok().map(|record| record.release);
    let request = &ImportRequest {
        least_subjects: least_subjects(node, release.as_ref()),
        ..request.clone()
    };
    let done = catalog
        .import(request, signer, now, &mut |progress| report(lines, progress))
        .map_err(|error| with_kept(error.into(), &used.kept))?;
    conclude(node, &request.name, &done, by)?;
    let notes = used.notes();
    Ok(imported(request.name.clone(), &done, used.reading, notes))
}

/// What follows a new version: its entries, another evaluation of running answers, and the removal of older versions.
fn conclude(node: &Node, dataset: &DatasetName, done: &catalog::Imported, by: &Attribution) -> Result<(), Problem> {
    // The version exists, so the entries are made whatever has happened to the account since.
    let outcome = by.for_outcome();
    for entry in done.entries.clone() {
        drop(node.ledger().append(entry, &outcome, node.clock().now())?);
    }
    node.epoch().raise();
    // The new version is valid if this fails; what could not be removed is removed after the next import.
    if let Err(problem) = node.lifecycle().trim(dataset, by) {
        tracing::warn!(
            error = problem.detail,
            %dataset,
            "older versions beyond the retention rule were not removed"
        );
    }
    Ok(())
}

/// Every refused row is delivered, or the report ends; other progress lines are dropped if the client is too slow. The import holds the
/// catalog while it waits for the client, so the time for that is limited for all rows together.
fn report(lines: &mut Delivery<ImportLine>, progress: Progress) {
    let line = ImportLine::Event(event(progress));
    match progress {
        Progress::Refused(_) => {
            lines.send(line).ok();
        }
        Progress::Inspecting | Progress::Writing { .. } | Progress::Committing => {
            lines.send_if_space(line);
        }
    }
}
