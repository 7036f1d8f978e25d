//! Changes of accounts in two steps: everything that can refuse a change is checked when it is prepared, so that the ledger records it
//! only then, and it is made afterwards.

use std::collections::BTreeSet;

use concordat_keys::PasswordHash;
use concordat_protocol::{ids::ActorId, query::Role, time::Timestamp};

use super::IamError;
use super::account::{Account, OneTime, PasswordReset, RolesSet, Training};

/// Most resets that an account stores; the ledger has all of them.
const MAX_RESETS: usize = 8;

/// A change of an account that was checked. Only [`Accounts`](super::Accounts) creates one.
#[derive(Debug)]
#[must_use = "the change is not made yet"]
pub struct AccountChange {
    name: String,
    change: Change,
}

/// What changes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// It is a new account.
    Create(Box<Account>),
    /// Its roles.
    Roles {
        /// The new ones.
        roles: BTreeSet<Role>,
        /// Who sets them.
        set: RolesSet,
    },
    /// Logins are disabled.
    Disable,
    /// Logins are enabled.
    Enable {
        /// Who enables them.
        by: ActorId,
        /// When.
        at: Timestamp,
    },
    /// Its password, set by another person.
    ResetPassword {
        /// Hash of the new password.
        hash: PasswordHash,
        /// Who sets it.
        reset: PasswordReset,
    },
    /// Its password, set by the person it belongs to.
    OwnPassword {
        /// Hash of the new password.
        hash: PasswordHash,
        /// When it was chosen.
        at: Timestamp,
        /// The epoch of the account whose password the person has stated: no other one is replaced.
        verified: u64,
    },
    /// A training is recorded.
    Training(Training),
}

impl AccountChange {
    pub(super) fn new(name: &str, change: Change) -> Self {
        let name = name.to_owned();
        Self { name, change }
    }

    /// The name of the account.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn into_parts(self) -> (String, Change) {
        (self.name, self.change)
    }
}

impl Change {
    /// # Errors
    /// [`IamError::ChangedMeanwhile`] if the account is not the one for which the change was prepared.
    pub(super) fn apply(self, account: &mut Account) -> Result<(), IamError> {
        match self {
            Self::Create(new) => *account = *new,
            Self::Roles { roles, set } => {
                account.note_control(&set.by, set.at);
                account.roles = roles;
                account.roles_set = Some(set);
            }
            Self::Disable => account.disabled = true,
            Self::Enable { by, at } => {
                account.note_control(&by, at);
                account.disabled = false;
            }
            Self::ResetPassword { hash, reset } => {
                account.note_control(&reset.by, reset.at);
                account.password = hash;
                account.one_time = Some(OneTime::Unused);
                account.resets.push(reset);
                let surplus = account.resets.len().saturating_sub(MAX_RESETS);
                account.resets.drain(..surplus);
            }
            Self::OwnPassword { verified, .. } if account.epoch != verified => return Err(IamError::ChangedMeanwhile),
            Self::OwnPassword { hash, at, .. } => {
                account.password = hash;
                if account.one_time.take().is_some() {
                    account.own_password_since = Some(at);
                }
            }
            Self::Training(training) => account.training = Some(training),
        }
        Ok(())
    }

    /// Whether the account's sessions end.
    pub(super) const fn ends_sessions(&self) -> bool {
        match self {
            Self::Roles { .. }
            | Self::Disable
            | Self::Enable { .. }
            | Self::ResetPassword { .. }
            | Self::OwnPassword { .. } => true,
            Self::Create(_) | Self::Training(_) => false,
        }
    }

    /// Whether a lockout ends.
    pub(super) const fn ends_lockout(&self) -> bool {
        match self {
            Self::Enable { .. } | Self::ResetPassword { .. } => true,
            Self::Create(_) | Self::Roles { .. } | Self::Disable | Self::OwnPassword { .. } | Self::Training(_) => {
                false
            }
        }
    }
}
