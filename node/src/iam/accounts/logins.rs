//! Logins: what a password proves, and how a person sets their own.

use concordat_keys::{Secret, verify_absent};
use concordat_protocol::ids::ActorId;
use concordat_protocol::time::Timestamp;

use super::Accounts;
use crate::iam::account::{Account, OneTime};
use crate::iam::account_change::Change;
#[cfg(test)]
use crate::iam::hash_limit::HashLimit;
use crate::iam::locked::lock;
use crate::iam::{AccountChange, IamError, passwords};

impl Accounts {
    /// Checks a password that comes from the account `os_account` of the operating system, if it came through the socket. The work is the
    /// same whether the account exists or not.
    pub(in crate::iam) fn authenticate(
        &self,
        name: &str,
        password: &Secret,
        os_account: Option<u32>,
        now: Timestamp,
    ) -> Result<(ActorId, Account), IamError> {
        // Before the attempt is counted: one that is refused because of others is not a wrong password.
        let _slot = self.0.hashes.begin()?;
        let Ok(id) = self.id(name) else {
            self.absent(password)?;
            return Err(IamError::WrongLogin);
        };
        let found = self.get(name)?;
        lock(&self.0.lockout).begin(name, found.is_some(), os_account, now)?;
        let Some(account) = found else {
            self.absent(password)?;
            return Err(IamError::WrongLogin);
        };
        if !account.password.verify(password).map_err(IamError::Hash)? {
            return Err(IamError::WrongLogin);
        }
        lock(&self.0.lockout).succeed(name, os_account)?;
        if account.disabled {
            Err(IamError::Disabled { name: name.to_owned() })
        } else {
            Ok((id, account))
        }
    }

    /// The change of a person's own password from `current` to `password`. A wrong `current` counts as a failed login. The account may be
    /// changed before the change is made, for example by a reset; then it is refused, because it was `current` that the person knew.
    ///
    /// # Errors
    /// [`IamError::WrongLogin`], or what is wrong with the new password.
    pub(in crate::iam) fn own_password(
        &self,
        name: &str,
        current: &Secret,
        password: &Secret,
        (os_account, now): (Option<u32>, Timestamp),
    ) -> Result<AccountChange, IamError> {
        passwords::check(name, password)?;
        let (_, verified) = self.authenticate(name, current, os_account, now)?;
        if current.expose() == password.expose() {
            return Err(IamError::SamePassword);
        }
        self.new_own_password(name, password, (verified.epoch, now))
    }

    fn new_own_password(
        &self,
        name: &str,
        password: &Secret,
        (verified, at): (u64, Timestamp),
    ) -> Result<AccountChange, IamError> {
        let hash = self.hash(password)?;
        self.prepared(name, Change::OwnPassword { hash, at, verified })
    }

    /// The limit of hashes at once.
    #[cfg(test)]
    pub(in crate::iam) fn hashes(&self) -> &HashLimit {
        &self.0.hashes
    }

    /// Sets a password as if the person had stated the current one.
    #[cfg(test)]
    pub(in crate::iam) fn set_own_password(
        &self,
        name: &str,
        password: &Secret,
        now: Timestamp,
    ) -> Result<(), IamError> {
        passwords::check(name, password)?;
        let verified = self.get(name)?.map(|account| account.epoch).unwrap_or_default();
        self.make(self.new_own_password(name, password, (verified, now))?)
    }

    /// Records that a password set by another person has opened its session. Of several simultaneous logins, only one succeeds, and none if
    /// the account has another epoch than `verified`: the password that was checked is then not the one that would be spent.
    pub(in crate::iam) fn spend_one_time(&self, name: &str, verified: u64) -> Result<(), IamError> {
        self.change(name, |account| {
            if account.epoch != verified {
                return Err(IamError::WrongLogin);
            }
            let spent = account.one_time == Some(OneTime::Unused);
            account.one_time = account.one_time.map(|_| OneTime::Used);
            if spent {
                Ok(())
            } else {
                Err(IamError::OneTimeUsed { name: name.to_owned() })
            }
        })
    }

    fn absent(&self, password: &Secret) -> Result<(), IamError> {
        verify_absent(password, self.0.cost).map_err(IamError::Hash)
    }
}
