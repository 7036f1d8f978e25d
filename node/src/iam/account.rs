//! An account as it is stored in the sealed state.

use std::collections::BTreeSet;

use concordat_keys::PasswordHash;
use concordat_protocol::{ids::ActorId, query::Role, text::Course, time::Timestamp};
use serde::{Deserialize, Serialize};

/// A training that a person has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Training {
    /// Its name.
    pub name: Course,
    /// When it has to be renewed.
    pub until: Timestamp,
}

/// An account as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) password: PasswordHash,
    pub(super) roles: BTreeSet<Role>,
    pub(super) training: Option<Training>,
    /// Whether the password was set by another person and, if so, whether it has opened its one session.
    pub(super) one_time: Option<OneTime>,
    /// Who has set the password for this person since the account was created, and when; the newest last.
    pub(super) resets: Vec<PasswordReset>,
    /// When the person last replaced a password that another person had set.
    #[serde(default)]
    pub(super) own_password_since: Option<Timestamp>,
    /// Who set the roles last, and when; `None` if they are those with which the account was created.
    #[serde(default)]
    pub(super) roles_set: Option<RolesSet>,
    pub(super) disabled: bool,
    pub(super) created: Timestamp,
    /// The other person who created the account, with its first password; `None` if the person did so.
    #[serde(default)]
    pub(super) created_by: Option<ActorId>,
    /// Increases with every change that ends sessions.
    pub(super) epoch: u64,
}

impl Account {
    /// Who has set the password for this person, and when; the newest last. The first one came with the account, if another person created
    /// it.
    pub(super) fn passwords_set(&self) -> Vec<PasswordReset> {
        let first = self.created_by.clone().map(|by| PasswordReset { by, at: self.created });
        first.into_iter().chain(self.resets.iter().cloned()).collect()
    }
}

/// A record that the roles of a person were set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RolesSet {
    /// Who set them.
    pub(super) by: ActorId,
    /// When.
    pub(super) at: Timestamp,
}

/// A password that another person has set: valid for one session, in which it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum OneTime {
    /// It has not opened a session yet.
    Unused,
    /// It has opened its session and cannot open another.
    Used,
}

/// A record that a password was set by another person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordReset {
    /// Who set it.
    pub by: ActorId,
    /// When.
    pub at: Timestamp,
}
