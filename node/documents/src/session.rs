//! Logging in and out.

use std::collections::BTreeSet;

use concordat_protocol::ids::ActorId;
use concordat_protocol::query::{Factor, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secret::SecretText;
use crate::user::Training;

/// A login.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The name of the account, without the institution.
    pub name: String,
    /// Its password.
    pub password: SecretText,
}

/// A person's change of their own password.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    /// The password until now.
    pub current: SecretText,
    /// The password from now on.
    pub password: SecretText,
}

/// A new session, with what the person has to know about it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The bearer token of the session.
    pub token: SecretText,
    /// The person.
    #[schema(value_type = String, example = "regula@zurich")]
    pub actor: ActorId,
    /// Their roles.
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
    /// When the session ends at the latest.
    #[schema(format = DateTime)]
    pub until: String,
    /// Whether they have to set a password of their own before anything else is possible.
    pub set_password: bool,
    /// Passwords that others have set for them; the first one included, if another person created the account.
    pub password_resets: Vec<PasswordReset>,
}

/// A password that was set by somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// By whom.
    #[schema(value_type = String)]
    pub by: ActorId,
}

/// The end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoggedOut {
    /// Always false.
    pub logged_in: bool,
}

/// The person behind a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The person.
    #[schema(value_type = String)]
    pub actor: ActorId,
    /// Their roles.
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
    /// The factors with which they were authenticated.
    #[schema(value_type = Vec<String>)]
    pub factors: BTreeSet<Factor>,
    /// When.
    #[schema(format = DateTime)]
    pub authenticated_at: String,
    /// Their training; `null` if none is recorded.
    pub training: Option<Training>,
    /// Whether they have to set a password of their own before anything else is possible.
    pub set_password: bool,
    /// Passwords that others have set for them; the first one included, if another person created the account.
    pub password_resets: Vec<PasswordReset>,
}
