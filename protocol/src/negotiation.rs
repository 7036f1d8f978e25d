//! How two institutions reach an agreement.
//!
//! The names are those of the Dataspace Protocol; C is a message of the consumer, P one of the provider.
//!
//! ```text
//! REQUESTED(C) -> OFFERED(P) -> ACCEPTED(C) -> AGREED(P) -> VERIFIED(C) -> FINALIZED(P)
//! REQUESTED -> AGREED(P) if nothing is narrowed           OFFERED -> REQUESTED(C) to request something else
//! REQUESTED, OFFERED -> TERMINATED(C or P)    ACCEPTED, VERIFIED -> TERMINATED(P)    AGREED -> TERMINATED(C)
//! ```
//!
//! 1. Bytes from a peer become an [`Authentic`] message: signed by a node of the institution that it names as its sender.
//! 2. Each message has the next number and names the digest of the one before, so both sides keep the same [`Transcript`] and
//!    no message can be omitted, repeated or moved to another negotiation.
//! 3. The rules of each [`State`] apply to received and to sent messages alike. An offer lies inside the request; the terms
//!    cover exactly what was accepted; the two institutions sign the same bytes.
//! 4. [`ProviderNegotiation`] and [`ConsumerNegotiation`] are the two views with the steps that each side can take. A step
//!    returns a new value: store it, then send the message. If it is not stored, the step did not happen.
//! 5. A lost message is sent again unchanged, however late, and its receiver answers as before. A termination that crosses another
//!    message in transit takes precedence, and the other message is withdrawn; of two terminations, the provider's is.

mod consumer;
mod error;
mod message;
mod parties;
mod provider;
mod session;
mod sign_grant;
mod state;
mod state_name;
mod transcript;

pub use crate::identity::Side;
pub use consumer::ConsumerNegotiation;
pub use error::{MAX_NARROWINGS, MAX_REQUEST, NegotiationError, Refusal};
pub use message::{Authentic, Body, Justification, Narrowing, NegotiationMessage, RuleName};
pub use parties::Parties;
pub use provider::ProviderNegotiation;
pub use session::{AsConsumer, AsProvider, Negotiation, Received, Role, Sent};
pub use state::{Accepted, Agreed, Finalized, Offered, Requested, State, Terminated, VerifiedTerms};
pub use state_name::StateName;
pub use transcript::{MAX_MESSAGES, StoredNegotiation, Transcript};

#[cfg(test)]
mod tests;
