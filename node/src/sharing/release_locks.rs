//! The people whose queries below `records` are locked, for the services.

use concordat_protocol::ids::CollectionName;
use concordat_storage::meta::MetaError;

use super::handle::Sharing;
use super::limits_below_records::{LockedPerson, Searching, UnlockError, UnlockOrder, Unlocking};
use crate::iam::{Accounts, Actor};

impl Sharing {
    /// The people whose queries to a collection are locked. Blocks.
    ///
    /// # Errors
    /// [`MetaError`] if the state cannot be read.
    pub(crate) fn locked_people(&self, collection: &CollectionName) -> Result<Vec<LockedPerson>, MetaError> {
        self.0.below_records.locked_people(collection)
    }

    /// The people whose queries a steward has to look at. Blocks.
    ///
    /// # Errors
    /// [`MetaError`] if the state cannot be read.
    pub(crate) fn searching(&self) -> Result<Vec<Searching>, MetaError> {
        self.0.below_records.searching(self.0.parts.clock.now())
    }

    /// Unlocks people if another steward has proposed it, and proposes it otherwise. Blocks.
    ///
    /// # Errors
    /// [`UnlockError`]; nothing is changed then.
    pub(crate) fn unlock(
        &self,
        order: &UnlockOrder,
        by: &Actor,
        accounts: &Accounts,
    ) -> Result<Unlocking, UnlockError> {
        let now = self.0.parts.clock.now();
        self.0.below_records.unlock(order, by, accounts, now)
    }
}
