//! The ledger entries of a new unlock secret. The node is stopped, so there is no session: the person proves only that they can unlock it.

use concordat_documents::problem::Problem;
use concordat_keys::KeyProvider;
use concordat_protocol::audit::{EntryBody, KeyChange};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::text::Label;
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::Ledger;

use super::reconcile::open_reconciled;
use crate::attribution::by_this_account;
use crate::changes::{Changes, Subject};
use crate::clock::Clock;

/// Enters in the ledger that the unlock secret is replaced, and replaces it. If that fails, or the process is killed in between, it is entered
/// that the change was not made.
///
/// # Errors
/// If ledger and state do not match, or one of them or the key cannot be written.
pub fn change_unlock_secret(
    storage: &Storage,
    institution: InstitutionId,
    provider: &dyn KeyProvider,
) -> Result<(), Problem> {
    let ledger = reconciled(storage, institution)?;
    let changes = Changes::open(storage.meta(), ledger)?;
    let by = by_this_account();
    let change = || Ok::<_, Problem>(storage.change_provider(provider)?);
    changes.make(Subject::MasterKey, (&by, Clock::system().now()), || {
        Ok::<_, Problem>((entry(KeyChange::Rotated), change))
    })
}

/// Enters in the ledger that the unlock secret is replaced by means of a backup.
///
/// # Errors
/// If ledger and state do not match, or the ledger cannot be written.
pub fn record_recovery(storage: &Storage, institution: InstitutionId) -> Result<(), Problem> {
    let ledger = reconciled(storage, institution)?;
    drop(ledger.append(entry(KeyChange::Recovered), &by_this_account(), Clock::system().now())?);
    Ok(())
}

fn reconciled(storage: &Storage, institution: InstitutionId) -> Result<Ledger, Problem> {
    open_reconciled(storage, institution).map(|(ledger, _)| ledger)
}

fn entry(change: KeyChange) -> EntryBody {
    EntryBody::KeyChanged {
        key: Label::sanitized("unlock secret"),
        change,
    }
}
