//! Whether a person may still act in the session that authenticated them.
//!
//! A request takes time: its body arrives slowly, an import reads a file, an answer is read for minutes. What the request began with may
//! have ended since, so an [`Actor`](super::Actor) and its attribution carry this check. It is not about use: a session does not end for
//! want of use while a request of it is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Authority, AuthorityError};

use super::{Accounts, IamError};
use crate::clock::Clock;

/// A session and the account behind it, as they were at the login.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) accounts: Accounts,
    pub(super) name: String,
    /// The account of the operating system that logged in, if the login came through the socket.
    pub(super) os_account: Option<u32>,
    /// The account's epoch at the login: it increases when roles, password or access change.
    pub(super) epoch: u64,
    /// When the session ends, however much it is used.
    pub(super) until: Timestamp,
    pub(super) end: SessionEnd,
    /// What it is checked at: work that takes hours states when it began.
    pub(super) clock: Option<Clock>,
}

impl Standing {
    /// Checks that the session was not ended, and that the account is enabled and unchanged.
    pub(super) fn check_account(&self) -> Result<(), AuthorityError> {
        let present = self.accounts.enabled_epoch(&self.name)?;
        if self.end.has_come() || present != Some(self.epoch) {
            Err(AuthorityError::Ended)
        } else {
            Ok(())
        }
    }
}

impl Authority for Standing {
    fn check(&self, now: Timestamp) -> Result<(), AuthorityError> {
        let now = self.clock.as_ref().map_or(now, |clock| clock.now().max(now));
        if now >= self.until {
            return Err(AuthorityError::Ended);
        }
        self.check_account()
    }
}

/// Whether a session was ended; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionEnd(Arc<AtomicBool>);

impl SessionEnd {
    /// Ends what runs in the session.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn has_come(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl From<AuthorityError> for IamError {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::Ended => Self::NotLoggedIn,
            AuthorityError::State(source) => Self::State(source),
        }
    }
}
