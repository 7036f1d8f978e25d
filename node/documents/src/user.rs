//! People: their accounts, roles and training.

use std::collections::BTreeSet;

use concordat_protocol::query::Role;
use concordat_protocol::text::Text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secret::SecretText;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name, without the institution.
    pub name: String,
    /// What the person does for the institution.
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
    /// The training on record, valid or expired.
    pub training: Option<Training>,
    /// Whether the account can no longer log in.
    pub disabled: bool,
    /// When it was created.
    pub created: String,
    /// Why the training that was just recorded gives no access by the policy of this institution; absent if that policy names the course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A training that a person has completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Its name.
    #[schema(value_type = String, max_length = 100)]
    pub name: Text<100>,
    /// Until when it counts: a date, which is meant whole, in UTC or with an offset (`2027-06-30+02:00`), or a time.
    pub until: String,
}

/// An account to create.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Its name, without the institution.
    pub name: String,
    /// What the person will do for the institution.
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
    /// A password that opens one session, in which the person sets their own.
    pub password: SecretText,
}

/// The roles of an account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRoles {
    /// All roles that it has from now on.
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccess {
    /// Whether it may.
    pub enabled: bool,
}

/// A password for another person.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// It opens one session, in which the person sets their own.
    pub password: SecretText,
}
