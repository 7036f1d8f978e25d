//! That what is declared about a collection is in the ledger. Without it no record is stored with other declarations.

use concordat_protocol::audit::EntryBody;

use super::VersionEntries;
use crate::ledger::LedgerReceipt;

/// Permits to store a record with other declarations than before.
pub(super) struct Entered(());

impl Entered {
    /// For a change whose entry is in the ledger; `None` if the receipt is that of another entry.
    pub(super) fn before(entry: &EntryBody, receipt: &LedgerReceipt) -> Option<Self> {
        (receipt.declares() == Some(entry)).then_some(Self(()))
    }

    /// For a version. Its entry follows: the next start makes it if a stop comes first.
    pub(super) const fn with_version(_entries: &VersionEntries) -> Self {
        Self(())
    }
}
