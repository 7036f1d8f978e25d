//! The ledger of a stopped node, ready for another entry.

use concordat_documents::problem::Problem;
use concordat_protocol::ids::InstitutionId;
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::Ledger;

use crate::clock::Clock;
use crate::start_state::StartState;

/// The ledger, compared with the state as at a start: that must be done before another entry is appended.
pub(super) fn open_reconciled(storage: &Storage, institution: InstitutionId) -> Result<(Ledger, StartState), Problem> {
    let ledger = storage.open_ledger(institution)?;
    let state = StartState::open(storage.meta())?;
    state.reconcile(&ledger, Clock::system().now())?;
    Ok((ledger, state))
}
