//! Whether a person can be the second of two people.
//!
//! An administrator gives accounts, roles and passwords. One who may also make the request that two people have to agree to could create the
//! second person, or take over an account, and agree to it alone. So the second person needs the role, and a password of their own, since before
//! the request; and if the first person gave one of them, a day has to pass in between. In that day the person who owns the account sees at a login
//! who has set the password, and others see it in the ledger.

use concordat_protocol::ids::ActorId;
use concordat_protocol::time::Timestamp;

use super::account::{Account, PasswordReset, RolesSet};
use super::error::{Dependence, IamError};

/// How long before a request its first person must have given the second one a role or a password, in milliseconds.
pub(super) const APART_MS: i64 = 24 * 60 * 60 * 1000;

/// From whom a person has roles and password, and since when.
#[derive(Clone, Debug)]
pub(super) struct Independence {
    /// Who gave the roles, if that was another person.
    roles_by: Option<ActorId>,
    roles_since: Timestamp,
    /// The last password that another person set.
    password_set: Option<PasswordReset>,
    own_password_since: Option<Timestamp>,
}

impl Independence {
    /// As the account shows it.
    pub(super) fn of(account: &Account) -> Self {
        let (roles_by, roles_since) = match &account.roles_set {
            Some(RolesSet { by, at }) => (Some(by.clone()), *at),
            None => (account.created_by.clone(), account.created),
        };
        Self {
            roles_by,
            roles_since,
            password_set: account.passwords_set().pop(),
            own_password_since: account.own_password_since,
        }
    }

    /// Checks that the person, called `name`, may confirm what `first` requested at `requested`.
    ///
    /// # Errors
    /// [`IamError::NotIndependent`] with the time from which requests can be confirmed.
    pub(super) fn check(&self, name: &str, first: &ActorId, requested: Timestamp) -> Result<(), IamError> {
        let refused = |reason, from| {
            Err(IamError::NotIndependent {
                name: name.to_owned(),
                first: first.clone(),
                reason,
                from,
            })
        };
        if self.roles_since > requested {
            return refused(Dependence::NewRoles, self.roles_since);
        }
        if self.roles_by.as_ref() == Some(first) && requested.since(self.roles_since) < APART_MS {
            return refused(Dependence::RolesByFirst, self.roles_since.plus_millis(APART_MS));
        }
        let Some(set) = &self.password_set else {
            return Ok(());
        };
        // A password that another person has set opens no session in which anything could be confirmed.
        let since = self.own_password_since.unwrap_or(requested.plus_millis(1));
        if since > requested {
            return refused(Dependence::NewPassword, since);
        }
        if set.by == *first && requested.since(set.at) < APART_MS {
            return refused(Dependence::PasswordByFirst, set.at.plus_millis(APART_MS));
        }
        Ok(())
    }
}
