//! Logins: what a password proves, and how a person sets their own.

use concordat_keys::{Secret, verify_absent};
use concordat_protocol::ids::ActorId;
use concordat_protocol::time::Timestamp;

use super::{Accounts, lock};
use crate::iam::account::{Account, OneTime};
use crate::iam::{IamError, passwords};

impl Accounts {
    /// Checks a password. The work is the same whether the account exists or not.
    pub(in crate::iam) fn authenticate(
        &self,
        name: &str,
        password: &Secret,
        now: Timestamp,
    ) -> Result<(ActorId, Account), IamError> {
        let Ok(id) = self.id(name) else {
            self.absent(password)?;
            return Err(IamError::WrongLogin);
        };
        let found = self.get(name)?;
        lock(&self.0.lockout).begin(name, found.is_some(), now)?;
        let Some(account) = found else {
            self.absent(password)?;
            return Err(IamError::WrongLogin);
        };
        if !account.password.verify(password).map_err(IamError::Hash)? {
            return Err(IamError::WrongLogin);
        }
        lock(&self.0.lockout).clear(name)?;
        if account.disabled {
            Err(IamError::Disabled { name: name.to_owned() })
        } else {
            Ok((id, account))
        }
    }

    /// Checks that `password` may replace `current` as the password of `name`. A wrong `current` counts as a failed login.
    ///
    /// # Errors
    /// [`IamError::WrongLogin`], or what is wrong with the new password.
    pub(in crate::iam) fn check_own_password(
        &self,
        name: &str,
        current: &Secret,
        password: &Secret,
        now: Timestamp,
    ) -> Result<(), IamError> {
        passwords::check(name, password)?;
        self.authenticate(name, current, now)?;
        if current.expose() == password.expose() {
            return Err(IamError::SamePassword);
        }
        Ok(())
    }

    /// Sets the password that the person has chosen for their own account; its sessions end.
    ///
    /// # Errors
    /// What is wrong with the password, or [`IamError::Unknown`].
    pub fn set_own_password(&self, name: &str, password: &Secret, now: Timestamp) -> Result<(), IamError> {
        passwords::check(name, password)?;
        let hash = self.hash(password)?;
        self.change(name, true, |account| {
            account.password = hash;
            if account.one_time.take().is_some() {
                account.own_password_since = Some(now);
            }
        })
    }

    /// Records that a password set by another person has opened its session. Of several simultaneous logins, only one succeeds.
    pub(in crate::iam) fn spend_one_time(&self, name: &str) -> Result<(), IamError> {
        let mut spent = false;
        self.change(name, false, |account| {
            spent = account.one_time == Some(OneTime::Unused);
            account.one_time = account.one_time.map(|_| OneTime::Used);
        })?;
        if spent {
            Ok(())
        } else {
            Err(IamError::OneTimeUsed { name: name.to_owned() })
        }
    }

    fn absent(&self, password: &Secret) -> Result<(), IamError> {
        verify_absent(password, self.0.cost).map_err(IamError::Hash)
    }
}
