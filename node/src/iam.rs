//! People: who they are, what they may do, and the proof that goes with everything they ask.
//!
//! 1. An account ([`Accounts`]) has roles, a password hash, training and an *epoch* that grows with every change.
//! 2. [`Sessions::login`] checks the password and gives a short-lived [`SessionToken`], of which only the hash is kept.
//! 3. [`Sessions::lookup`] turns a token into an [`Actor`], the only proof of who asks that the rest of the node accepts. It
//!    compares epochs, so a session ends with the change of the account and not some minutes later.
//! 4. [`Actor::require`] holds an [`Action`] against the one permission matrix, `iam/roles.golden`.
//!
//! All of it blocks (password hashing, durable state): call it off the async threads. Time is an argument.

mod accounts;
mod actor;
mod error;
mod lockout;
mod passwords;
mod roles;
mod sessions;

pub use accounts::{AccountView, Accounts, PasswordReset};
pub use actor::{Actor, Training};
pub use error::IamError;
pub use passwords::MIN_PASSWORD_CHARS;
pub use roles::{Action, permitted_roles};
pub use sessions::{ABSOLUTE_MS, IDLE_MS, Login, SessionToken, Sessions};

#[cfg(test)]
mod tests;
