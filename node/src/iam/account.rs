//! An account as it is stored in the sealed state.

use std::collections::BTreeSet;

use concordat_keys::PasswordHash;
use concordat_protocol::{ids::ActorId, query::Role, text::Text, time::Timestamp};
use serde::{Deserialize, Serialize};

/// A training that a person has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Training {
    /// Its name.
    pub name: Text<100>,
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
    /// Who has set the password for this person, and when; the newest last.
    pub(super) resets: Vec<PasswordReset>,
    pub(super) disabled: bool,
    pub(super) created: Timestamp,
    /// Increases with every change that ends sessions.
    pub(super) epoch: u64,
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
