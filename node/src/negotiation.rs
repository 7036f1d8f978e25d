//! The negotiations of this node, and the grants that result from them.
//!
//! The rules are in [`concordat_protocol::negotiation`]; this module stores, sends and reacts:
//!
//! 1. A step is written to the ledger and stored before its message is sent; what could not be delivered is sent again when
//!    the peer connects, and at intervals. A message received is stored before it is answered.
//! 2. People decide twice: the provider's steward lets the policy make an offer ([`Negotiations::offer`]), the consumer accepts
//!    it ([`Negotiations::accept`]). What follows from that (agreement, verification, confirmation) the nodes do by themselves.
//! 3. At the confirmation both sides record the grant in their register ([`Grants`]); from then on notices change it.
//! 4. What was agreed with a member does not outlast its membership or its key: a negotiation that began before is ended. Nor does it outlast
//!    its dataset, or a restore of this node from a backup.
//! 5. An offer becomes a grant only if it could be made at that moment, too.
//! 6. When the two sides of a grant connect, they compare their notices.
//! 7. What no offer may cover, the agreements of one consumer over one dataset may not cover together.
//!
//! From the bottom up: `bound_collection` distinguishes collections of one name; `grant_request`, `condition` and `restriction` read what people write; `summary` is what lists show; `facts`, `precedence`, `held_scopes` and `assess` ask the policy; `entry`,
//! `store`, `admission` and `grants` keep the records; `transition` checks what changes them, and is the only code that does; `deliver`
//! sends; `standing` and `outdated` check what steps depend on; `automatic`, `catch_up`, `compare` and `members` act by themselves; `steps` and `serve` act for people and for peers.

mod admission;
mod assess;
mod automatic;
mod bound_collection;
mod catch_up;
mod compare;
mod condition;
mod deliver;
mod entry;
mod error;
mod facts;
mod grant_request;
mod grants;
mod handle;
mod held_scopes;
mod members;
mod next_step;
mod outdated;
mod precedence;
mod restriction;
mod serve;
mod sides;
mod span;
mod standing;
mod steps;
mod store;
mod summary;
mod transition;

pub use catch_up::RETRY_INTERVAL;
pub(crate) use condition::RowCondition;
pub(crate) use entry::NegotiationView;
pub use error::NegotiationError;
pub(crate) use facts::{collection_facts, is_active_side, party};
pub(crate) use grant_request::GrantRequest;
pub(crate) use grants::{ChunkGuard, GrantView, Grants, Lease};
pub(crate) use handle::{NegotiationParts, Negotiations};
pub use restriction::Restriction;
pub(crate) use restriction::{RestrictedLimits, TransformName};
pub(crate) use summary::{ListPosition, NegotiationSummary};
