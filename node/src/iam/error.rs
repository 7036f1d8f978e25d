//! Errors of authentication and account management.

use concordat_keys::KeyError;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{ids::InvalidName, query::Role, time::Timestamp};
use concordat_storage::meta::MetaError;

use super::Action;

/// Why a login or an action is denied, or an account cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum IamError {
    /// Name and password do not match; the error does not reveal whether the name exists.
    #[error("name or password is wrong")]
    WrongLogin,
    /// Too many wrong passwords.
    #[error("too many wrong passwords for `{name}`; try again after {until}")]
    LockedOut {
        /// The account.
        name: String,
        /// When the next attempt is accepted.
        until: Timestamp,
    },
    /// The password is right and the account is disabled.
    #[error("the account `{name}` is disabled; an administrator can enable it")]
    Disabled {
        /// The account.
        name: String,
    },
    /// No session, or one that has ended.
    #[error("not logged in, or the session has ended; run `concordat login`")]
    NotLoggedIn,
    /// None of the person's roles permits the action.
    #[error("`{action}` needs the role {}", label(needed))]
    NotPermitted {
        /// The action.
        action: Action,
        /// The roles that permit it.
        needed: &'static [Role],
    },
    /// The same person acted twice where two people are needed.
    #[error("`{name}` cannot confirm their own request; a second person has to")]
    SamePerson {
        /// The account.
        name: String,
    },
    /// A password that another person has set opens one session, and that session was opened already.
    #[error(
        "the password of `{name}` was set by another person and has been used, or this node was restored from a backup; ask an administrator for a new one"
    )]
    OneTimeUsed {
        /// The account.
        name: String,
    },
    /// The session may only be used to set a password.
    #[error("the password was set by another person; set your own first: `concordat passwd`")]
    PasswordNeeded,
    /// The new password is the same as the old one.
    #[error("the new password is the same as the old one")]
    SamePassword,
    /// There is no such account.
    #[error("there is no account `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The account already exists.
    #[error("the account `{name}` already exists")]
    Exists {
        /// The name.
        name: String,
    },
    /// The change would leave no account that can manage people.
    #[error("`{name}` is the last administrator; give another account that role first")]
    LastAdministrator {
        /// The account.
        name: String,
    },
    /// A restored node needs one administrator, whose password opens one session.
    #[error(
        "say with `--administrator NAME` who is an administrator now, because accounts may have changed since the snapshot; it contains these: {names}"
    )]
    WhichAdministrator {
        /// The administrators of the snapshot.
        names: String,
    },
    /// An account without roles can do nothing.
    #[error("an account needs at least one role")]
    NoRole,
    /// The password is too short.
    #[error("the password is too short: {min} characters are needed, and the account's name does not count")]
    ShortPassword {
        /// Fewest characters.
        min: usize,
    },
    /// The password is too long to hash, or not text.
    #[error("the password is not text of at most {max} bytes")]
    LongPassword {
        /// Most bytes.
        max: usize,
    },
    /// The training record cannot be used.
    #[error("the training ended at {until}")]
    TrainingOver {
        /// When it ended.
        until: Timestamp,
    },
    /// The system provided no random numbers.
    #[error("the system provides no random numbers")]
    Random,
    /// The name does not follow the rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Hashing failed.
    #[error("cannot hash the password")]
    Hash(#[source] KeyError),
    /// State could not be read or written.
    #[error("cannot read or write the accounts")]
    State(#[from] MetaError),
}

fn label(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ")
}

impl Explain for IamError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::WrongLogin
            | Self::LockedOut { .. }
            | Self::Disabled { .. }
            | Self::OneTimeUsed { .. }
            | Self::PasswordNeeded
            | Self::NotLoggedIn => ErrorKind::Locked,
            Self::NotPermitted { .. } | Self::SamePerson { .. } => ErrorKind::Denied,
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Exists { .. }
            | Self::LastAdministrator { .. }
            | Self::WhichAdministrator { .. }
            | Self::NoRole
            | Self::ShortPassword { .. }
            | Self::LongPassword { .. }
            | Self::SamePassword
            | Self::TrainingOver { .. }
            | Self::Name(_) => ErrorKind::Usage,
            Self::Random => ErrorKind::Internal,
            Self::Hash(source) => source.kind(),
            Self::State(source) => source.kind(),
        }
    }

    fn help(&self) -> Option<String> {
        if let Self::NotPermitted { needed, .. } = self {
            let roles: Vec<&str> = needed.iter().map(|role| role.as_str()).collect();
            return Some(format!(
                "ask a person at this institution with the role {}; an administrator can give you the role",
                roles.join(" or ")
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::permitted_roles;
    use concordat_documents::problem::Problem;
    use concordat_protocol::error_kind::ErrorKind;

    #[test]
    fn iam_error_for_a_missing_role_names_who_can_help() {
        let action = Action::ManageUsers;
        let problem = Problem::from(IamError::NotPermitted {
            action,
            needed: permitted_roles(action),
        });
        assert_eq!(problem.code, ErrorKind::Denied);
        assert!(problem.help.unwrap().contains("with the role administrator"));
    }
}
