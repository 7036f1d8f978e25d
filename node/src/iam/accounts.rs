//! Accounts, sealed in the state database under their names.

mod logins;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use concordat_keys::{Argon2Cost, PasswordHash, Secret};
use concordat_protocol::{
    ids::{ActorId, InstitutionId},
    query::Role,
    time::Timestamp,
};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree};
use serde::Serialize;
use tokio::sync::watch;

use crate::changes::ACCOUNTS;

use super::{
    AccountChange, Action, IamError,
    account::{Account, OneTime, PasswordReset, RolesSet, Training},
    account_change::Change,
    hash_limit::HashLimit,
    independence::People,
    locked::lock,
    lockout::Lockout,
    passwords, permitted_roles,
};

/// An account as it may be shown.
#[derive(Clone, Debug, Serialize)]
pub struct AccountView {
    /// The name before the `@`.
    pub name: String,
    /// What the person does for the institution.
    pub roles: BTreeSet<Role>,
    /// The last training that was recorded.
    pub training: Option<Training>,
    /// Whether logins are disabled.
    pub disabled: bool,
    /// When it was created.
    pub created: Timestamp,
}

/// A person whose account permits an action now, checked without a session of theirs ([`Accounts::permitted_now`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermittedPerson {
    id: ActorId,
    action: Action,
}

impl PermittedPerson {
    /// The person.
    pub fn id(&self) -> &ActorId {
        &self.id
    }

    /// What the account permits.
    pub fn action(&self) -> Action {
        self.action
    }
}

/// The accounts of one institution; clones share them.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    institution: InstitutionId,
    cost: Argon2Cost,
    tree: SealedTree<Account>,
    hashes: HashLimit,
    lockout: Mutex<Lockout>,
    /// Held while an account is read, changed and written.
    changing: Mutex<()>,
    changes: watch::Sender<u64>,
}

impl Accounts {
    /// Opens the accounts in `db`; new passwords are hashed at `cost`.
    ///
    /// # Errors
    /// [`IamError::State`] if the database fails.
    pub fn open(db: &SealedDb, institution: InstitutionId, cost: Argon2Cost) -> Result<Self, IamError> {
        Ok(Self(Arc::new(Inner {
            institution,
            cost,
            tree: db.tree(ACCOUNTS)?,
            hashes: HashLimit::default(),
            lockout: Mutex::new(Lockout::open(db)?),
            changing: Mutex::new(()),
            changes: watch::Sender::new(0),
        })))
    }

    /// Creates an account whose password was set by the person it belongs to.
    ///
    /// # Errors
    /// [`IamError::Exists`], or what is wrong with name, roles or password.
    pub fn add(
        &self,
        name: &str,
        roles: BTreeSet<Role>,
        password: &Secret,
        now: Timestamp,
    ) -> Result<ActorId, IamError> {
        self.make(self.new_account(name, roles, password, None, now)?)?;
        self.id(name)
    }

    /// A new account that `by` creates for another person: its password opens one session, in which that person sets their own.
    ///
    /// # Errors
    /// As for [`Self::add`].
    pub fn new_account_for(
        &self,
        name: &str,
        roles: BTreeSet<Role>,
        password: &Secret,
        (by, now): (&ActorId, Timestamp),
    ) -> Result<AccountChange, IamError> {
        self.new_account(name, roles, password, Some(by), now)
    }

    fn new_account(
        &self,
        name: &str,
        roles: BTreeSet<Role>,
        password: &Secret,
        created_by: Option<&ActorId>,
        now: Timestamp,
    ) -> Result<AccountChange, IamError> {
        self.id(name)?;
        // Existing accounts are still found by such a name, so that they can be disabled.
        if !name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            let name = name.to_owned();
            return Err(IamError::NameStart { name });
        }
        if roles.is_empty() {
            return Err(IamError::NoRole);
        }
        if self.get(name)?.is_some() {
            return Err(exists(name));
        }
        passwords::check(name, password)?;
        let password = self.hash(password)?;
        let account = Account {
            password,
            roles,
            training: None,
            one_time: created_by.map(|_| OneTime::Unused),
            resets: Vec::new(),
            own_password_since: None,
            roles_set: None,
            controlled: BTreeMap::new(),
            disabled: false,
            created: now,
            created_by: created_by.cloned(),
            epoch: 0,
        };
        Ok(AccountChange::new(name, Change::Create(Box::new(account))))
    }

    /// Makes a change. It is checked again, because accounts may have changed since.
    ///
    /// # Errors
    /// As the method that prepared it; [`IamError::State`] if the database fails.
    pub fn make(&self, change: AccountChange) -> Result<(), IamError> {
        let (name, change) = change.into_parts();
        let ends_lockout = change.ends_lockout();
        {
            let _changing = lock(&self.0.changing);
            if let Change::Create(account) = change {
                return if self.0.tree.compare_and_swap(&name, None, Some(&account))? {
                    Ok(())
                } else {
                    Err(exists(&name))
                };
            }
            let ends_sessions = change.ends_sessions();
            let account = self.changed(&name, |account| change.apply(account))?;
            self.store(&name, account, ends_sessions)?;
        }
        if ends_lockout {
            lock(&self.0.lockout).clear(&name)?;
        }
        Ok(())
    }

    fn prepared(&self, name: &str, change: Change) -> Result<AccountChange, IamError> {
        self.changed(name, |account| change.clone().apply(account))?;
        Ok(AccountChange::new(name, change))
    }

    /// All accounts in the order of their names.
    ///
    /// # Errors
    /// [`IamError::State`] if the database fails.
    pub fn list(&self) -> Result<Vec<AccountView>, IamError> {
        Ok(self.0.tree.iter()?.map(|(name, account)| view(name, account)).collect())
    }

    /// One account.
    ///
    /// # Errors
    /// [`IamError::Unknown`] if there is none of that name.
    pub fn show(&self, name: &str) -> Result<AccountView, IamError> {
        self.get(name)?
            .map(|account| view(name.to_owned(), account))
            .ok_or_else(|| unknown(name))
    }

    /// Checks that the account of `person`, who requested something earlier, still exists, is enabled and has a role that permits
    /// `action`.
    ///
    /// # Errors
    /// [`IamError::Unknown`], [`IamError::Disabled`] or [`IamError::NotPermitted`].
    pub fn permitted_now(&self, person: &ActorId, action: Action) -> Result<PermittedPerson, IamError> {
        let name = person.name();
        let account = self.get(name)?.filter(|_| self.id(name).is_ok_and(|id| id == *person));
        let account = account.ok_or_else(|| unknown(name))?;
        let needed = permitted_roles(action);
        if account.disabled {
            Err(IamError::Disabled { name: name.to_owned() })
        } else if needed.iter().any(|role| account.roles.contains(role)) {
            Ok(PermittedPerson {
                id: person.clone(),
                action,
            })
        } else {
            Err(IamError::NotPermitted { action, needed })
        }
    }

    /// All accounts at one instant: changes wait until they are read.
    pub(super) fn people(&self) -> Result<People, IamError> {
        let _changing = lock(&self.0.changing);
        let accounts = self.0.tree.iter()?;
        let by_id = accounts.map(|(name, account)| self.id(&name).map(|id| (id, account)));
        by_id.collect::<Result<BTreeMap<_, _>, IamError>>().map(People::new)
    }

    /// Whether there is no account yet.
    ///
    /// # Errors
    /// [`IamError::State`] if the database fails.
    pub fn is_empty(&self) -> Result<bool, IamError> {
        Ok(self.0.tree.iter()?.len() == 0)
    }

    /// Other roles for an account, which `by` gives; its sessions end.
    ///
    /// # Errors
    /// [`IamError::LastAdministrator`] if no account could manage people afterwards.
    pub fn other_roles(
        &self,
        name: &str,
        roles: BTreeSet<Role>,
        (by, now): (&ActorId, Timestamp),
    ) -> Result<AccountChange, IamError> {
        self.show(name)?;
        if roles.is_empty() {
            return Err(IamError::NoRole);
        }
        let set = RolesSet {
            by: by.clone(),
            at: now,
        };
        self.prepared(name, Change::Roles { roles, set })
    }

    /// An account without logins; its sessions end.
    ///
    /// # Errors
    /// [`IamError::LastAdministrator`] if no account could manage people afterwards.
    pub fn disabled(&self, name: &str) -> Result<AccountChange, IamError> {
        self.prepared(name, Change::Disable)
    }

    /// An account that `by` enables: with logins again, and without a lockout.
    ///
    /// # Errors
    /// [`IamError::Unknown`] if there is none of that name.
    pub fn enabled(&self, name: &str, (by, now): (&ActorId, Timestamp)) -> Result<AccountChange, IamError> {
        let by = by.clone();
        self.prepared(name, Change::Enable { by, at: now })
    }

    /// A password that opens one session, in which the person sets their own; the account's sessions and a lockout end.
    ///
    /// # Errors
    /// What is wrong with the password, or [`IamError::Unknown`].
    pub fn other_password(
        &self,
        name: &str,
        password: &Secret,
        by: &ActorId,
        now: Timestamp,
    ) -> Result<AccountChange, IamError> {
        self.show(name)?;
        passwords::check(name, password)?;
        let reset = PasswordReset {
            by: by.clone(),
            at: now,
        };
        let hash = self.hash(password)?;
        self.prepared(name, Change::ResetPassword { hash, reset })
    }

    /// A training; sessions continue and see it immediately.
    ///
    /// # Errors
    /// [`IamError::TrainingOver`] if it has ended already.
    pub fn training(&self, name: &str, training: Training, now: Timestamp) -> Result<AccountChange, IamError> {
        self.show(name)?;
        if training.until <= now {
            return Err(IamError::TrainingOver { until: training.until });
        }
        self.prepared(name, Change::Training(training))
    }

    /// A counter that changes with every change of an account and when a session is ended: earlier decisions have to be made again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Has decisions about people made again.
    pub(super) fn announce_change(&self) {
        self.0.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The epoch of an account; `None` if it is disabled or there is none of that name.
    pub(super) fn enabled_epoch(&self, name: &str) -> Result<Option<u64>, MetaError> {
        let account = self.0.tree.get(name)?;
        Ok(account.filter(|account| !account.disabled).map(|account| account.epoch))
    }

    pub(super) fn get(&self, name: &str) -> Result<Option<Account>, IamError> {
        Ok(self.0.tree.get(name)?)
    }

    fn id(&self, name: &str) -> Result<ActorId, IamError> {
        Ok(ActorId::at(name, &self.0.institution)?)
    }

    fn hash(&self, password: &Secret) -> Result<PasswordHash, IamError> {
        let _slot = self.0.hashes.begin()?;
        PasswordHash::create(password, self.0.cost).map_err(IamError::Hash)
    }

    /// Changes an account; its sessions go on.
    fn change(&self, name: &str, change: impl FnOnce(&mut Account) -> Result<(), IamError>) -> Result<(), IamError> {
        let _changing = lock(&self.0.changing);
        let account = self.changed(name, change)?;
        self.store(name, account, false)
    }

    /// The account as it would be after `change`, if that is allowed.
    fn changed(
        &self,
        name: &str,
        change: impl FnOnce(&mut Account) -> Result<(), IamError>,
    ) -> Result<Account, IamError> {
        let mut account = self.get(name)?.ok_or_else(|| unknown(name))?;
        let managed = manages(&account);
        change(&mut account)?;
        if managed && !manages(&account) && !self.another_manages(name)? {
            Err(IamError::LastAdministrator { name: name.to_owned() })
        } else {
            Ok(account)
        }
    }

    /// Stores a changed account; `changing` is locked since it was read.
    fn store(&self, name: &str, mut account: Account, ends_sessions: bool) -> Result<(), IamError> {
        if ends_sessions {
            account.epoch = account.epoch.saturating_add(1);
        }
        self.0.tree.put(name, &account)?;
        self.announce_change();
        Ok(())
    }

    fn another_manages(&self, name: &str) -> Result<bool, IamError> {
        Ok(self
            .0
            .tree
            .iter()?
            .any(|(other, account)| other != name && manages(&account)))
    }
}

pub(super) fn manages(account: &Account) -> bool {
    !account.disabled && account.roles.contains(&Role::Administrator)
}

fn exists(name: &str) -> IamError {
    IamError::Exists { name: name.to_owned() }
}

fn unknown(name: &str) -> IamError {
    IamError::Unknown {
        name: name.chars().take(64).collect(),
    }
}

fn view(name: String, account: Account) -> AccountView {
    let Account {
        roles,
        training,
        disabled,
        created,
        ..
    } = account;
    AccountView {
        name,
        roles,
        training,
        disabled,
        created,
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("institution", &self.0.institution)
            .finish_non_exhaustive()
    }
}
