//! Grants: the terms that both sides signed, and their lifecycle afterward.
//!
//! 1. A negotiation ends with [`GrantTerms`] that both institutions signed over the same bytes. Only [`ValidGrant::check`]
//!    turns such bytes into terms that other code may rely on.
//! 2. From then on the grant has a [`GrantState`]: the provider suspends, resumes and revokes it, the consumer relinquishes
//!    it, and it expires. [`GrantState::effective`] gives the state at a given time.
//! 3. Each change is sent to the other side in a [`Notice`], numbered per grant, and answered with an [`Acknowledgement`].
//! 4. When the two sides connect, they compare the newest notices that they know ([`GrantHeads`]): a side that was restored from a backup
//!    learns what was done since, also by itself, from the notices that the other side has stored.

mod heads;
mod lifecycle;
mod notice;
mod party;
mod terms;

pub use heads::{GrantHeads, NewerNotices, NoticeHead};
pub use lifecycle::{Effective, GrantEvent, GrantState, GrantStatus, LifecycleError};
pub use notice::{
    Acknowledgement, Notice, NoticeEffect, NoticeError, NoticeOutcome, ValidAcknowledgement, ValidNotice,
};
pub use party::Party;
pub use terms::{GrantError, GrantTerms, ValidGrant};

#[cfg(test)]
pub(crate) mod testing;
