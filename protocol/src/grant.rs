//! Grants: the terms both sides signed and the life they lead afterwards.
//!
//! 1. A negotiation ends with [`GrantTerms`] that both institutions signed over the same bytes. Only [`ValidGrant::check`]
//!    turns such bytes into terms that may be relied on.
//! 2. From then on the grant has a [`GrantState`]: the provider suspends, resumes and revokes it, the consumer gives it back,
//!    and time ends it. [`GrantState::effective`] tells what holds at a given moment.
//! 3. Each change is told to the other side in a [`Notice`], numbered per grant, and answered with an [`Acknowledgement`].

mod lifecycle;
mod notice;
mod party;
mod terms;

pub use lifecycle::{Effective, GrantEvent, GrantState, LifecycleError, Standing};
pub use notice::{Acknowledgement, MAX_RESUME_AGE_MS, Notice, NoticeError, ValidAcknowledgement, ValidNotice};
pub use party::Party;
pub use terms::{GrantError, GrantTerms, ValidGrant};

#[cfg(test)]
pub(crate) mod testing;
