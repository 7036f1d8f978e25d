//! Errors of authentication and account management.

use concordat_keys::KeyError;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    ids::{ActorId, InvalidName},
    query::Role,
    time::Timestamp,
};
use concordat_storage::meta::MetaError;

use super::Action;

/// What a query needs besides the role, so that a person does not learn it one refusal at a time.
const QUERY_NEEDS: &str = "A query also needs a training that is recorded for the person (`concordat user training`), and of your own datasets it \
                           shows the columns that have a class (`concordat dataset classify`)";

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
    /// The maximum number of passwords is being checked, and as many wait as may.
    #[error("too many passwords are being checked; try again in a few seconds")]
    TooManyLogins,
    /// The password is right, and there were too many logins.
    #[error("there were too many logins as `{name}`; use a session that is open, or log in after {until}")]
    LoggedInTooOften {
        /// The account.
        name: String,
        /// When the next login is accepted.
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
    /// The second of two people has the role or the password only since the request, or one person may have used both accounts.
    #[error(
        "`{name}` cannot confirm this request of {first}: {}; the account can confirm requests that are made after {from}",
        reason.label()
    )]
    NotIndependent {
        /// The account of the second person.
        name: String,
        /// Who made the request.
        first: ActorId,
        /// Why not.
        reason: Dependence,
        /// From when on requests of the first person can be confirmed.
        from: Timestamp,
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
    /// The account was changed between the check of the current password and the change.
    #[error("the account was changed meanwhile, so the password is not replaced; log in again")]
    ChangedMeanwhile,
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
    /// A command would read the name of the new account as an option.
    #[error("`{name}` is not a name for an account: it has to begin with a letter or a digit")]
    NameStart {
        /// The name.
        name: String,
    },
    /// Hashing failed.
    #[error("cannot hash the password")]
    Hash(#[source] KeyError),
    /// State could not be read or written.
    #[error("cannot read or write the accounts")]
    State(#[from] MetaError),
}

/// Why a person cannot confirm a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependence {
    /// The request has a time that has not come yet: the clock was ahead then, or is behind now.
    FromFuture,
    /// The roles were set after the request.
    NewRoles,
    /// The person has a password of their own only since after the request.
    NewPassword,
    /// The first person counts as the user of the second one's account.
    OnFirst,
    /// The second person counts as the user of the first one's account.
    OnSecond,
    /// Another person counts as the user of both accounts.
    OnAnother,
}

impl Dependence {
    /// The reason, after a sentence about the request and its person.
    const fn label(self) -> &'static str {
        match self {
            Self::FromFuture => "its time has not come yet by the clock of this node",
            Self::NewRoles => "the roles of the account were set after it",
            Self::NewPassword => "the account had no password that its owner had set before it",
            Self::OnFirst => {
                "less than a day before it, that person had created or enabled the account or set its roles or password, directly or through \
                 others"
            }
            Self::OnSecond => {
                "less than a day before it, the account had created or enabled that person's account or set its roles or password, directly or \
                 through others"
            }
            Self::OnAnother => {
                "less than a day before it, one person had created or enabled both accounts or set their roles or passwords, directly or through \
                 others"
            }
        }
    }
}

fn label(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ")
}

impl Explain for IamError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::WrongLogin
            | Self::LockedOut { .. }
            | Self::LoggedInTooOften { .. }
            | Self::Disabled { .. }
            | Self::OneTimeUsed { .. }
            | Self::PasswordNeeded
            | Self::ChangedMeanwhile
            | Self::NotLoggedIn => ErrorKind::Locked,
            Self::NotPermitted { .. } | Self::SamePerson { .. } | Self::NotIndependent { .. } => ErrorKind::Denied,
            Self::TooManyLogins => ErrorKind::Unreachable,
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Exists { .. }
            | Self::LastAdministrator { .. }
            | Self::WhichAdministrator { .. }
            | Self::NoRole
            | Self::ShortPassword { .. }
            | Self::LongPassword { .. }
            | Self::SamePassword
            | Self::TrainingOver { .. }
            | Self::Name(_)
            | Self::NameStart { .. } => ErrorKind::Usage,
            Self::Random => ErrorKind::Internal,
            Self::Hash(source) => source.kind(),
            Self::State(source) => source.kind(),
        }
    }

    fn help(&self) -> Option<String> {
        if let Self::NotIndependent { from, .. } = self {
            return Some(format!(
                "let another person with the role confirm it, or make the request again after {from}"
            ));
        }
        if let Self::NotPermitted { needed, action } = self {
            let roles: Vec<&str> = needed.iter().map(|role| role.as_str()).collect();
            let help = format!(
                "ask a person at this institution with the role {}; an administrator can give you the role",
                roles.join(" or ")
            );
            return Some(if *action == Action::Query {
                format!("{help}. {QUERY_NEEDS}")
            } else {
                help
            });
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
