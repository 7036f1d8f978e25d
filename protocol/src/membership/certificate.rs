//! The node certificate: an institution's signed statement that a node is its own.

use serde::{Deserialize, Serialize};

use super::ValidRoster;
use crate::identity::InstitutionPublicKey;
use crate::ids::{InstitutionId, NodeId};
use crate::labels::{self, DomainLabel};
use crate::signed::{Document, SignatureError, Signed};
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

/// Binds a node to an institution; signed by the institution's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeCertificate {
    /// Whose node it is.
    pub institution: InstitutionId,
    /// The node.
    pub node: NodeId,
    /// The key that signs this certificate.
    pub institution_key: InstitutionPublicKey,
    /// From when it is valid.
    pub issued_at: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

impl Document for NodeCertificate {
    const LABEL: DomainLabel = labels::NODE_CERTIFICATE;
}

/// A certificate that was checked against the roster and the key of the connection.
#[derive(Clone, Debug)]
pub struct ValidCertificate {
    certificate: NodeCertificate,
}

impl ValidCertificate {
    /// Checks the certificate of `peer`, which is identified by the key of its connection.
    ///
    /// # Errors
    /// [`CertificateError`] states why the peer is not the node that it claims to be; the connection must be closed.
    pub fn check(
        signed: Signed<NodeCertificate>,
        roster: &ValidRoster,
        peer: NodeId,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let member = roster
            .active_node(&peer)
            .ok_or(CertificateError::NotAMember { node: peer })?;
        let verified = signed.verify(member.key).map_err(CertificateError::Signature)?;
        let certificate = verified.document();
        let binds = certificate.node == peer
            && certificate.institution == member.institution
            && certificate.institution_key == member.key;
        if !binds {
            return Err(CertificateError::OtherNode { node: peer });
        }
        if certificate.issued_at.since(now) > MAX_CLOCK_SKEW_MS {
            return Err(CertificateError::FutureDated {
                issued_at: certificate.issued_at,
            });
        }
        if now > certificate.not_after {
            return Err(CertificateError::Expired {
                not_after: certificate.not_after,
            });
        }
        Ok(Self {
            certificate: certificate.clone(),
        })
    }

    /// Whose node it is.
    pub fn institution(&self) -> &InstitutionId {
        &self.certificate.institution
    }

    /// The key that signed it: the institution's, which the roster pins.
    pub fn institution_key(&self) -> InstitutionPublicKey {
        self.certificate.institution_key
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        self.certificate.node
    }

    /// Until when the certificate is valid; the connection must not outlive it.
    pub fn not_after(&self) -> Timestamp {
        self.certificate.not_after
    }
}

/// Why a node certificate is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No active member of the roster has this node.
    #[error("the node `{node}` does not belong to an active member of the roster")]
    NotAMember {
        /// The peer.
        node: NodeId,
    },
    /// The institution that the roster names for this node did not sign the certificate.
    #[error("the node certificate is not signed by the institution that the roster names for this node")]
    Signature(#[source] SignatureError),
    /// It belongs to another node, institution or key.
    #[error("the node certificate does not belong to the node `{node}`")]
    OtherNode {
        /// The peer.
        node: NodeId,
    },
    /// Signed in the future: one of the two clocks is wrong.
    #[error("the node certificate is dated {issued_at}, which is in the future; one of the two clocks is wrong")]
    FutureDated {
        /// When it was signed, by its own statement.
        issued_at: Timestamp,
    },
    /// It has expired.
    #[error("the node certificate expired at {not_after}; the peer must issue a new one")]
    Expired {
        /// The end of its validity.
        not_after: Timestamp,
    },
}
