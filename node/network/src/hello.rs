//! Attestation: a peer is served only `hello` until it has proved its identity.
//!
//! The gate admits a node key; `hello` binds that key to an institution. The exchange itself is a service like any other;
//! the network only delays all other protocols until it is done:
//!
//! 1. The dialing side of a [`Session`](crate::Session) opens [`HELLO`](concordat_protocol::wire::streams::HELLO) and presents its certificate; the other side accepts.
//! 2. Each side checks what it received and calls [`Session::attest`](crate::Session::attest). The accepting side does so
//!    *before* it answers, because the dialing side may use other protocols as soon as it has the answer.
//! 3. Until then incoming streams of every other protocol wait, for the attestation timeout at most, and are then reset;
//!    outgoing ones wait as part of their open timeout.

use concordat_protocol::{
    identity::{InstitutionPublicKey, Side},
    ids::InstitutionId,
    membership::{NodeCertificate, NodeStart},
    signed::Signed,
    time::Timestamp,
};

/// What a peer has proved in `hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// Short id of the institution that certified the node key.
    pub institution: InstitutionId,
    /// The key that signed the certificate, as listed on the roster. Rights and agreements belong to this key, not to the name.
    pub institution_key: InstitutionPublicKey,
    /// The earlier keys whose rights and agreements it has.
    pub earlier_keys: Vec<InstitutionPublicKey>,
    /// Number of the roster that admitted the institution; of the last admission if it was removed in between.
    pub member_since: u64,
    /// The start of the node that it states.
    pub start: NodeStart,
    /// Number of the newest roster that the peer knows.
    pub roster_number: u64,
    /// When it was attested.
    pub attested_at: Timestamp,
    /// When the node certificate expires, and with it the attestation.
    pub not_after: Timestamp,
    /// The signed certificate, stored as evidence of which institution the node belonged to.
    pub certificate: Signed<NodeCertificate>,
}

impl Attested {
    /// When to exchange new certificates: with a quarter of the time left, so that no session ends because one expires.
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

    /// Whether this peer acts for `side`: the same institution with the same key, or with a successor of that key.
    pub fn acts_for(&self, side: &Side) -> bool {
        let has = self.institution_key == side.key || self.earlier_keys.contains(&side.key);
        self.institution == side.institution && has
    }
}
