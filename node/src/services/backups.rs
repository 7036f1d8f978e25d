//! Snapshots of this node.

use concordat_documents::backup::{BackupTarget, Snapshot};
use concordat_documents::problem::Problem;

use super::run::blocking;
use crate::iam::{Action, Actor};
use crate::node::Node;

/// Takes a snapshot while the node serves.
///
/// # Errors
/// `denied` without the role; `usage` if the path of the repository is not absolute; `internal` if it cannot be written.
pub(crate) async fn create(
    node: &Node,
    caller: &Actor,
    BackupTarget { to }: BackupTarget,
) -> Result<Snapshot, Problem> {
    let by = caller.authorize(Action::MakeBackup)?;
    if !to.is_absolute() {
        return Err(Problem::usage("the path of the repository must be absolute"));
    }
    blocking(node, move |node| {
        let made = node.lifecycle().back_up(&to, &by)?;
        let snapshot = made.contents.document();
        Ok::<_, Problem>(Snapshot {
            snapshot: snapshot.id,
            at: snapshot.at.to_string(),
            ledger_entries: snapshot.ledger,
            objects: snapshot.objects,
            copied: made.copied,
            bytes: made.bytes,
        })
    })
    .await
}
