//! The parts of the node that its lifecycle of keys and datasets works on.

use std::sync::{Arc, Mutex};

use concordat_documents::problem::Problem;
use concordat_protocol::audit::EntryBody;
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::{Attribution, Ledger};

use crate::{changes::Changes, clock::Clock, epoch::Epoch, identity::Identity};

/// The parts that [`Lifecycle`](super::Lifecycle) needs.
#[derive(Debug)]
pub struct LifecycleParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Its storage.
    pub storage: Storage,
    /// The ledger.
    pub ledger: Ledger,
    /// Changes of the state that are written to the ledger first.
    pub changes: Changes,
    /// The clock.
    pub clock: Clock,
    /// Raised when a dataset is erased.
    pub epoch: Epoch,
    /// Locked while a dataset is erased, so that one erasure has one statement and one entry.
    pub erasing: Mutex<()>,
}

impl LifecycleParts {
    /// Writes the entry to the ledger. An operation that cannot be recorded must not be performed.
    pub(super) fn record(&self, entry: EntryBody, by: &Attribution) -> Result<(), Problem> {
        drop(self.ledger.append(entry, by, self.clock.now())?);
        Ok(())
    }
}
