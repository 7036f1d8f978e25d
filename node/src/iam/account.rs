//! An account as it is stored in the sealed state.

use std::collections::{BTreeMap, BTreeSet};

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
    /// The other people who have set the roles or the password of the account or have enabled it, and when each did so last.
    #[serde(default)]
    pub(super) controlled: BTreeMap<ActorId, Timestamp>,
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

    /// Since when the account has its roles.
    pub(super) fn roles_since(&self) -> Timestamp {
        self.roles_set.as_ref().map_or(self.created, |set| set.at)
    }

    /// Since when the account has a password that its owner has set; `None` if another person has set the present one, or a restore has made
    /// it unusable.
    pub(super) fn owned_since(&self) -> Option<Timestamp> {
        if self.one_time.is_some() {
            return None;
        }
        let first = self.passwords_set().is_empty().then_some(self.created);
        self.own_password_since.or(first)
    }

    /// Records that `by` controlled the account at `at`: set its roles or its password, or enabled it.
    pub(super) fn note_control(&mut self, by: &ActorId, at: Timestamp) {
        note_latest(&mut self.controlled, by, at);
    }

    /// The people who have controlled the account, the one who created it for another person included, and when each did so last.
    pub(super) fn controllers(&self) -> BTreeMap<ActorId, Timestamp> {
        let mut controllers = self.controlled.clone();
        for PasswordReset { by, at } in self.passwords_set() {
            note_latest(&mut controllers, &by, at);
        }
        if let Some(RolesSet { by, at }) = &self.roles_set {
            note_latest(&mut controllers, by, *at);
        }
        controllers
    }
}

fn note_latest(latest: &mut BTreeMap<ActorId, Timestamp>, by: &ActorId, at: Timestamp) {
    let found = latest.entry(by.clone()).or_insert(at);
    *found = at.max(*found);
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
