//! Who this node is: its institution's particulars and the two keys.

use concordat_protocol::identity::{InstitutionKey, InstitutionPublicKey, NodeKey, PrivateKey};
use concordat_protocol::ids::{InstitutionId, Jurisdiction, NodeId};
use concordat_protocol::membership::NodeCertificate;
use concordat_protocol::signed::{SignatureError, Signed};
use concordat_protocol::text::LegalName;
use concordat_protocol::time::Timestamp;

/// How long a node certificate holds: it is made anew at each start and each hello, so a day is plenty.
const CERTIFICATE_SECONDS: i64 = 86_400;

/// The institution and node that this process speaks for.
#[derive(Debug)]
pub struct Identity {
    /// The institution's short id.
    pub institution: InstitutionId,
    /// Its legal name.
    pub name: LegalName,
    /// Whose law binds it.
    pub jurisdiction: Jurisdiction,
    /// The key that speaks for the house.
    pub institution_key: InstitutionKey,
    /// The key of this node.
    pub node_key: NodeKey,
}

impl Identity {
    /// This node's id.
    pub fn node(&self) -> NodeId {
        self.node_key.public()
    }

    /// The public half of the institution's key.
    pub fn institution_public(&self) -> InstitutionPublicKey {
        self.institution_key.public()
    }

    /// The institution's word for this node, from `now` on for a day.
    ///
    /// # Errors
    /// [`SignatureError`] when it cannot be encoded.
    pub fn certificate(&self, now: Timestamp) -> Result<Signed<NodeCertificate>, SignatureError> {
        let certificate = NodeCertificate {
            institution: self.institution.clone(),
            node: self.node(),
            institution_key: self.institution_public(),
            issued_at: now,
            not_after: now.plus_seconds(CERTIFICATE_SECONDS),
        };
        Ok(Signed::sign(&certificate, &self.institution_key)?.signed().clone())
    }
}
