//! What can go wrong with people.

use concordat_protocol::{ids::InvalidName, query::Role, time::Timestamp};
use concordat_storage::{error_kind::ErrorKind, keys::KeyError, meta::MetaError};

use super::Action;
use crate::fault::{Code, Explain};

/// Why somebody is not let in, or an account cannot be changed so.
#[derive(Debug, thiserror::Error)]
pub enum IamError {
    /// Name and password do not belong together; whether the name exists is not said.
    #[error("name or password is wrong")]
    WrongLogin,
    /// Too many wrong passwords.
    #[error("too many wrong passwords for `{name}`; try again after {until}")]
    LockedOut {
        /// The account.
        name: String,
        /// When the next try is taken.
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
    #[error("`{action}` needs the role {}", words(needed))]
    NotPermitted {
        /// What was tried.
        action: Action,
        /// The roles that permit it.
        needed: &'static [Role],
    },
    /// One person has spoken twice where two are needed.
    #[error("`{name}` cannot confirm what `{name}` has asked for; a second person has to")]
    SamePerson {
        /// The account.
        name: String,
    },
    /// A password that somebody else has set opens one session, and that was opened.
    #[error("the password of `{name}` was set by somebody else and has been used; ask an administrator for another")]
    OneTimeUsed {
        /// The account.
        name: String,
    },
    /// The session is there for one thing only.
    #[error("the password was set by somebody else; set your own first: `concordat passwd`")]
    PasswordNeeded,
    /// The new password is the old one.
    #[error("the new password is the old one")]
    SamePassword,
    /// There is no such account.
    #[error("there is no account `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// There is such an account already.
    #[error("there is an account `{name}` already")]
    Exists {
        /// The name.
        name: String,
    },
    /// The change would leave nobody who can manage people.
    #[error("`{name}` is the last administrator; give another account that role first")]
    LastAdministrator {
        /// The account.
        name: String,
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
    #[error("the password is no text of at most {max} bytes")]
    LongPassword {
        /// Most bytes.
        max: usize,
    },
    /// The training record cannot be used.
    #[error("the training ends at {until}, which is over")]
    TrainingOver {
        /// When it ends.
        until: Timestamp,
    },
    /// The machine gave no random numbers.
    #[error("the machine gives no random numbers")]
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

impl IamError {
    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
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
            | Self::NoRole
            | Self::ShortPassword { .. }
            | Self::LongPassword { .. }
            | Self::SamePassword
            | Self::TrainingOver { .. }
            | Self::Name(_) => ErrorKind::Usage,
            Self::Random => ErrorKind::Machine,
            Self::Hash(source) => source.kind(),
            Self::State(source) => source.kind(),
        }
    }
}

fn words(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ")
}

impl Explain for IamError {
    fn code(&self) -> Code {
        self.kind().into()
    }

    fn help(&self) -> Option<String> {
        if let Self::NotPermitted { needed, .. } = self {
            let roles: Vec<&str> = needed.iter().map(|role| role.as_str()).collect();
            return Some(format!(
                "ask somebody here with the role {}; an administrator can give it to you",
                roles.join(" or ")
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Problem;
    use crate::iam::permitted_roles;

    #[test]
    fn a_missing_role_says_who_can_help() {
        let action = Action::ManageUsers;
        let problem = Problem::from(IamError::NotPermitted {
            action,
            needed: permitted_roles(action),
        });
        assert_eq!(problem.code, Code::Denied);
        assert!(problem.help.unwrap().contains("with the role administrator"));
    }
}
