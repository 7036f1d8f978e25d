//! Attestation: a peer is served nothing but `hello` until it has shown who it is.
//!
//! The gate lets a node key in; `hello` ties that key to an institution. The exchange itself is a service like any other;
//! the network only holds the rest back until it is done:
//!
//! 1. The dialling side of a [`Session`](super::Session) opens [`HELLO`] and shows its certificate; the other side accepts.
//! 2. Each side checks what it received and calls [`Session::attest`](super::Session::attest). The accepting side does so
//!    *before* it answers, because the dialling side may use other protocols as soon as it has the answer.
//! 3. Until then incoming streams of every other protocol wait, for the attestation timeout at most, and are then reset;
//!    outgoing ones wait as part of their open timeout.

use concordat_protocol::{
    identity::{InstitutionPublicKey, Side},
    ids::InstitutionId,
    membership::NodeCertificate,
    signed::Signed,
    time::Timestamp,
};
use libp2p::StreamProtocol;

/// Mutual attestation, the only protocol served to a peer that has not been attested.
pub const HELLO: StreamProtocol = StreamProtocol::new("/concordat/hello/1");

/// What a peer has shown in `hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// Short id of the institution that certified the node key.
    pub institution: InstitutionId,
    /// The key by which it did, as the roster pins it. Rights and agreements belong to this key, not to the name.
    pub institution_key: InstitutionPublicKey,
    /// The keys before it whose rights and agreements it has.
    pub earlier_keys: Vec<InstitutionPublicKey>,
    /// Number of the roster by which the institution belongs, the last time if it was removed in between.
    pub member_since: u64,
    /// Number of the newest roster that the peer knows.
    pub roster_number: u64,
    /// When it has shown this.
    pub attested_at: Timestamp,
    /// When the node certificate ends, and what was shown with it is void.
    pub not_after: Timestamp,
    /// The certificate as it was signed, to keep as evidence of whose node it was.
    pub certificate: Signed<NodeCertificate>,
}

impl Attested {
    /// When to show each other new certificates: with a quarter of the time left, so that no session ends for want of one.
    pub fn renewal(&self) -> Timestamp {
        let lasts = self.not_after.since(self.attested_at).max(0);
        self.attested_at
            .plus_millis(lasts.saturating_sub(lasts.checked_div(4).unwrap_or(0)))
    }

    /// The institution and its key.
    pub fn side(&self) -> Side {
        Side {
            institution: self.institution.clone(),
            key: self.institution_key,
        }
    }

    /// Whether this peer speaks for `side`: the same institution by the same key, or by one that follows it.
    pub fn acts_for(&self, side: &Side) -> bool {
        let has = self.institution_key == side.key || self.earlier_keys.contains(&side.key);
        self.institution == side.institution && has
    }
}
