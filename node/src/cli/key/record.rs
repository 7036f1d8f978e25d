//! The ledger entries of a new unlock secret. The node is stopped, so there is no session: the person proves only that they can unlock it.

use concordat_documents::problem::Problem;
use concordat_protocol::audit::{EntryBody, KeyChange};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::text::Label;
use concordat_storage::data_dir::{Storage, StorageError};
use concordat_storage::ledger::Ledger;

use crate::attribution::by_this_account;
use crate::clock::Clock;
use crate::start_state::StartState;

/// Enters in the ledger that the unlock secret is replaced, and replaces it. If that fails, it is entered that the change was not made.
pub(super) fn make_recorded(
    storage: &Storage,
    institution: InstitutionId,
    change: impl FnOnce() -> Result<(), StorageError>,
) -> Result<(), Problem> {
    let ledger = reconciled(storage, institution)?;
    let by = by_this_account();
    let entry = ledger.append(entry(KeyChange::Rotated), &by, Clock::system().now())?;
    let made = change();
    if made.is_err() {
        let denied = EntryBody::ChangeNotMade {
            entry: entry.sequence(),
        };
        drop(ledger.append(denied, &by, Clock::system().now())?);
    }
    Ok(made?)
}

/// Enters in the ledger that the unlock secret is replaced by means of a backup.
pub(super) fn record_recovery(storage: &Storage, institution: InstitutionId) -> Result<(), Problem> {
    let ledger = reconciled(storage, institution)?;
    drop(ledger.append(entry(KeyChange::Recovered), &by_this_account(), Clock::system().now())?);
    Ok(())
}

/// The ledger, compared with the state as at a start: that must be done before another entry is appended.
fn reconciled(storage: &Storage, institution: InstitutionId) -> Result<Ledger, Problem> {
    let ledger = storage.open_ledger(institution)?;
    StartState::open(storage.meta())?.reconcile(&ledger, Clock::system().now())?;
    Ok(ledger)
}

fn entry(change: KeyChange) -> EntryBody {
    EntryBody::KeyChanged {
        key: Label::sanitized("unlock secret"),
        change,
    }
}
