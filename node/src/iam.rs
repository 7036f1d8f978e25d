//! People: their identity, their permissions, and the proof of authentication that accompanies each of their requests.
//!
//! 1. An account ([`Accounts`]) has roles, a password hash, training and an *epoch* that increases with every change.
//! 2. [`Sessions::login`] checks the password and returns a short-lived [`SessionToken`], of which only the hash is stored.
//! 3. [`Sessions::lookup`] turns a token into an [`Actor`], the only proof of identity that the rest of the node accepts. It compares
//!    epochs, so a session ends immediately when the account changes.
//! 4. [`Actor::require`] checks an [`Action`] against the single permission matrix, `iam/roles.golden`.
//! 5. Each of these checks, and each entry in the ledger for the person, compares session and account again ([`standing`]): an actor of a
//!    request that takes long is no proof any more once the account was disabled or changed, or the session ended.
//!
//! All functions block (password hashing, durable state): do not call them on async threads. Time is passed as an argument.

mod account;
mod account_change;
mod accounts;
mod actor;
mod error;
mod failed_logins;
mod hash_limit;
mod independence;
mod locked;
mod lockout;
mod login_limit;
mod passwords;
mod restored;
mod roles;
mod sessions;
mod standing;

pub(crate) use account::PasswordReset;
pub use account::Training;
pub(crate) use account_change::AccountChange;
pub(crate) use accounts::{AccountView, Accounts, PermittedPerson};
pub use actor::Actor;
pub(crate) use error::IamError;
pub(crate) use failed_logins::FailedLogins;
pub(crate) use passwords::{MIN_PASSWORD_CHARS, check as check_password};
pub(crate) use restored::{RestoredAccounts, void_passwords};
pub(crate) use roles::{Action, permitted_roles};
pub use sessions::SessionToken;
pub(crate) use sessions::{Login, Sessions};

#[cfg(test)]
mod tests;
