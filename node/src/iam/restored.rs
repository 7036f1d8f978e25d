//! Accounts that a restore brings back.
//!
//! A snapshot contains the accounts as they were: with passwords that were changed since because somebody knew them, roles that were taken
//! away, trainings that have ended, and accounts that were disabled. So after a restore no account can be used as it was. The password of one
//! administrator opens one session, in which it is changed; all others get a new password from an administrator, who decides for each
//! whether and with which roles.

use concordat_storage::meta::{SealedDb, SealedTree};

use super::IamError;
use super::account::{Account, OneTime};
use super::accounts::manages;
use crate::changes::ACCOUNTS;

/// What became of the accounts of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoredAccounts {
    /// Whose password opens one session; `None` if there are no accounts.
    pub administrator: Option<String>,
    /// Those that need a new password from an administrator, in the order of their names.
    pub locked: Vec<String>,
}

/// Makes all passwords unusable, except for one session of one administrator: the one that is named, or the only one. Trainings have to be
/// recorded again. Blocks.
///
/// # Errors
/// [`IamError::WhichAdministrator`] if the named account is not one of an administrator, or if there are several and none is named;
/// [`IamError::State`] if the database fails.
pub(crate) fn void_passwords(db: &SealedDb, named: Option<&str>) -> Result<RestoredAccounts, IamError> {
    let tree: SealedTree<Account> = db.tree(ACCOUNTS)?;
    let accounts: Vec<(String, Account)> = tree.iter()?.collect();
    if accounts.is_empty() {
        return Ok(RestoredAccounts::default());
    }
    let administrator = choose(&accounts, named)?;
    let mut locked = Vec::new();
    for (name, mut account) in accounts {
        account.epoch = account.epoch.saturating_add(1);
        account.training = None;
        account.one_time = Some(if name == administrator {
            OneTime::Unused
        } else {
            OneTime::Used
        });
        tree.put(&name, &account)?;
        if name != administrator {
            locked.push(name);
        }
    }
    locked.sort();
    Ok(RestoredAccounts {
        administrator: Some(administrator),
        locked,
    })
}

fn choose(accounts: &[(String, Account)], named: Option<&str>) -> Result<String, IamError> {
    let managing = accounts.iter().filter(|(_, account)| manages(account));
    let names: Vec<&str> = managing.map(|(name, _)| name.as_str()).collect();
    let chosen = match (named, names.as_slice()) {
        (Some(named), names) => names.iter().find(|name| **name == named),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    chosen
        .map(|name| (*name).to_owned())
        .ok_or_else(|| IamError::WhichAdministrator {
            names: names.join(", "),
        })
}
