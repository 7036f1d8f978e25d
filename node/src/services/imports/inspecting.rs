//! Inspecting a file: what would be imported of it.

use concordat_documents::import::{Inspection, InspectionPermission, InspectionRequest};
use concordat_documents::problem::Problem;
use concordat_storage::ingest::{Refused, Upload, infer_schema};

use super::inbox::source;
use super::reading::table_options;
use super::this_year;
use super::view::inspection;
use crate::config::ImportSection;
use crate::iam::{Action, Actor};
use crate::node::Node;
use crate::services::run::blocking;
use crate::services::transfers::{TransferPermit, Transfers};

/// What is inspected: which file and how, the bytes that were sent, and where the node may read a file itself.
#[derive(Debug)]
pub(crate) struct NewInspection<'a> {
    /// Which file, and how it is read.
    pub(crate) request: InspectionRequest,
    /// The bytes; empty if the request names a file in an inbox.
    pub(crate) upload: Upload,
    /// The configuration, with the inboxes.
    pub(crate) config: &'a ImportSection,
    /// Held until the file has been read.
    pub(crate) permit: TransferPermit,
}

/// Permission for another transfer, for an inspection, before bytes are received.
///
/// # Errors
/// `denied` without the role; `unreachable` if too many transfers are running.
pub(crate) fn begin_inspection(transfers: &Transfers, caller: &Actor) -> Result<TransferPermit, Problem> {
    caller.require(Action::ImportDataset)?;
    transfers.begin(caller.id())
}

/// Whether the caller may inspect a file, and another transfer may begin.
///
/// # Errors
/// As [`begin_inspection`].
pub(crate) fn check_inspection(transfers: &Transfers, caller: &Actor) -> Result<InspectionPermission, Problem> {
    drop(begin_inspection(transfers, caller)?);
    Ok(InspectionPermission { may_inspect: true })
}

/// What would be imported of a file. Nothing is stored, so nothing is entered in the ledger.
///
/// # Errors
/// `denied` without the role, or if a file outside the inboxes is named; `not_found` if there is no such file; `usage` if the options
/// contradict each other or the file is not a table.
pub(crate) async fn inspect(node: &Node, caller: &Actor, new: NewInspection<'_>) -> Result<Inspection, Problem> {
    caller.require(Action::ImportDataset)?;
    let InspectionRequest { name, inbox, reading } = new.request;
    // Who sends a file has read it; a file of an inbox is read by the node.
    let shown = inbox.is_none();
    let source = source(inbox.as_deref(), &name, new.upload, new.config)?;
    let mut options = table_options(reading.clone(), Refused::Stop)?;
    options.last_year = options.last_year.or_else(|| this_year(node));
    let permit = new.permit;
    blocking(node, move |_| {
        let _permit = permit;
        Ok::<_, Problem>(inspection(&infer_schema(&source, &options)?, reading, shown))
    })
    .await
}
