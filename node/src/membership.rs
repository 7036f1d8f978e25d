//! The consortium as known to this node: the roster, how it changes, and how peers learn about changes.
//!
//! 1. The founder creates the first roster; its institution key becomes the charter key, which every member pins when it joins
//!    ([`joining`]). A coordinator admits and removes members ([`admission`]); holders of the charter sign rosters ([`holders`]) after
//!    they have seen what changes ([`review`]).
//! 2. A roster is accepted ([`acceptance`]) only through [`ValidRoster::check`]: signed by the pinned key, not expired, not older than
//!    the known one.
//! 3. It is in the sealed state and in the ledger before the gate applies it ([`crate::bound_state`]); then the epoch is raised,
//!    so that running answers are evaluated again. A start never reads a roster from a file.
//! 4. Sessions end when the roster or the certificate behind them is no longer valid ([`sessions`], [`expiry`]).
//! 5. Addresses that change between two rosters reach members as signed records, through any other member ([`addresses`]).
//! 6. Peers exchange newer rosters over `/concordat/roster/1`, when they connect ([`hello`]) and when a roster changes
//!    ([`roster_sync`]).
//!
//! [`ValidRoster::check`]: concordat_protocol::membership::ValidRoster::check

mod acceptance;
mod address_book;
mod addresses;
mod admission;
mod allowed_hosts;
mod confirmations;
mod dialing;
mod enrollment;
mod error;
mod expiry;
mod handle;
mod hello;
mod holders;
mod joining;
mod keys;
mod new_records;
mod not_dialed;
mod refusals;
mod refused;
mod rejected_peers;
mod review;
mod roster_sync;
mod sealed;
mod sessions;
mod span;

pub use admission::Admission;
pub use error::MembershipError;
pub(crate) use handle::{Membership, MembershipParts};
pub(crate) use holders::Issued;
pub(crate) use keys::{NextKey, UnconfirmedKey};
pub(crate) use new_records::NewRecords;
pub(crate) use not_dialed::NotDialed;
pub(crate) use rejected_peers::Rejection;
pub(crate) use review::Review;
pub(crate) use sealed::SealedRoster;
pub(crate) use span::session_span;

impl Membership {
    /// Loads the roster that was current when the node stopped. An expired roster is loaded for its members' keys, but no
    /// request is served under it.
    ///
    /// # Errors
    /// [`MembershipError`] when it is damaged or not signed by the key that was pinned.
    pub async fn open(parts: MembershipParts) -> Result<Self, MembershipError> {
        let membership = Self::without_roster(parts)?;
        if let Some(pinned) = membership.pinned_charter()? {
            membership.reload(pinned).await?;
        }
        Ok(membership)
    }
}
