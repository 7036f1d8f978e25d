//! People: their accounts, roles and training.

use std::collections::BTreeSet;

use concordat_protocol::query::Role;
use concordat_protocol::text::Text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secret::SecretText;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Its name, without the institution.
    pub name: String,
    /// Its roles.
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
    /// The training that is recorded; `null` if none is.
    pub training: Option<Training>,
    /// Whether it is disabled.
    pub disabled: bool,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created: String,
}

/// A training that a person has completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Its name.
    #[schema(value_type = String, max_length = 100)]
    pub name: Text<100>,
    /// Until when it counts: a date or a time.
    pub until: String,
}

/// A new account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Its name, without the institution.
    pub name: String,
    /// Its roles.
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
    /// A password that opens one session, in which the person sets their own.
    pub password: SecretText,
}

/// The roles of an account from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// The roles.
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
}

/// Whether an account can be used from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enabled {
    /// Whether it can.
    pub enabled: bool,
}

/// A password that an administrator sets for somebody.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// A password that opens one session, in which the person sets their own.
    pub password: SecretText,
}
