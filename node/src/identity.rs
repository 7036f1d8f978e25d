//! The identity of this node: the details of its institution and the two keys.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use concordat_protocol::identity::{InstitutionKey, InstitutionPublicKey, NodeKey, PrivateKey};
use concordat_protocol::ids::{InstitutionId, Jurisdiction, NodeId};
use concordat_protocol::membership::NodeCertificate;
use concordat_protocol::signed::{SignatureError, Signed};
use concordat_protocol::text::LegalName;
use concordat_protocol::time::Timestamp;

/// How long a node certificate is valid: a new one is created at each start and each hello, so a day is sufficient.
const CERTIFICATE_SECONDS: i64 = 86_400;
/// How long a certificate is used for the evidence of queries, in milliseconds. Signing one for each query, and checking it, takes as long as
/// signing and checking the query.
const RECENT_MS: i64 = 60_000;

/// The institution and node that this process acts for.
#[derive(Debug)]
pub struct Identity {
    /// The institution's short id.
    pub institution: InstitutionId,
    /// Its legal name.
    pub name: LegalName,
    /// The country whose law applies to it.
    pub jurisdiction: Jurisdiction,
    /// The key of this node.
    pub node_key: NodeKey,
    /// The key that signs for the institution; replaced while the node runs when the consortium has accepted the next one.
    institution_key: RwLock<Arc<InstitutionKey>>,
    next_key: RwLock<Option<Arc<InstitutionKey>>>,
    recent: Mutex<Option<RecentCertificate>>,
}

/// A certificate that was created a moment ago.
#[derive(Debug)]
struct RecentCertificate {
    key: InstitutionPublicKey,
    issued_at: Timestamp,
    signed: Signed<NodeCertificate>,
}

impl RecentCertificate {
    /// Whether a certificate of `key` would be the same, but for at most [`RECENT_MS`]. One from after `now` is not used: the clock was set.
    fn is_recent(&self, key: InstitutionPublicKey, now: Timestamp) -> bool {
        self.key == key && (0..=RECENT_MS).contains(&now.since(self.issued_at))
    }
}

impl Identity {
    /// An identity of these parts.
    pub fn new(
        (institution, name, jurisdiction): (InstitutionId, LegalName, Jurisdiction),
        institution_key: InstitutionKey,
        node_key: NodeKey,
    ) -> Self {
        Self {
            institution,
            name,
            jurisdiction,
            node_key,
            institution_key: RwLock::new(Arc::new(institution_key)),
            next_key: RwLock::default(),
            recent: Mutex::default(),
        }
    }

    /// The same with the next institution key, which is used once the consortium has accepted it.
    #[must_use]
    pub fn with_next_key(self, next: Option<InstitutionKey>) -> Self {
        Self {
            next_key: RwLock::new(next.map(Arc::new)),
            ..self
        }
    }

    /// The next institution key, if one was created.
    pub fn next_key(&self) -> Option<Arc<InstitutionKey>> {
        self.next_key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_next_key(&self, key: InstitutionKey) -> Arc<InstitutionKey> {
        let key = Arc::new(key);
        *self.next_key.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&key));
        key
    }

    /// The key that signs for the institution now.
    pub fn institution_key(&self) -> Arc<InstitutionKey> {
        Arc::clone(&self.institution_key.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, `key` signs for the institution, and there is no next key.
    pub(crate) fn replace_key(&self, key: InstitutionKey) {
        *self.institution_key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
        *self.next_key.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// This node's id.
    pub fn node(&self) -> NodeId {
        self.node_key.public()
    }

    /// The public half of the institution's key.
    pub fn institution_public(&self) -> InstitutionPublicKey {
        self.institution_key().public()
    }

    /// A certificate of the institution for this node, valid for a day from `now`.
    ///
    /// # Errors
    /// [`SignatureError`] when it cannot be encoded.
    pub fn certificate(&self, now: Timestamp) -> Result<Signed<NodeCertificate>, SignatureError> {
        self.certified_by(&self.institution_key(), now)
    }

    /// The same for the evidence of a query: one that was created within the last minute is used again.
    ///
    /// # Errors
    /// As [`Identity::certificate`].
    pub fn recent_certificate(&self, now: Timestamp) -> Result<Signed<NodeCertificate>, SignatureError> {
        let key = self.institution_key();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = recent.as_ref().filter(|known| known.is_recent(key.public(), now)) {
            return Ok(known.signed.clone());
        }
        let signed = self.certified_by(&key, now)?;
        *recent = Some(RecentCertificate {
            key: key.public(),
            issued_at: now,
            signed: signed.clone(),
        });
        Ok(signed)
    }

    /// The same as [`Identity::certificate`], signed by the next key, for a peer whose roster names that key already.
    ///
    /// # Errors
    /// As [`Identity::certificate`].
    pub fn next_certificate(&self, now: Timestamp) -> Result<Option<Signed<NodeCertificate>>, SignatureError> {
        self.next_key().map(|next| self.certified_by(&next, now)).transpose()
    }

    fn certified_by(&self, key: &InstitutionKey, now: Timestamp) -> Result<Signed<NodeCertificate>, SignatureError> {
        let certificate = NodeCertificate {
            institution: self.institution.clone(),
            node: self.node(),
            institution_key: key.public(),
            issued_at: now,
            not_after: now.plus_seconds(CERTIFICATE_SECONDS),
        };
        Ok(Signed::sign(&certificate, key)?.signed().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn certificate_is_used_again_for_a_minute() {
        let institution = (
            "budapest".parse().unwrap(),
            LegalName::new("B").unwrap(),
            Jurisdiction::new("HU").unwrap(),
        );
        let key = |seed: u8| InstitutionKey::from_seed(&[seed; 32].into());
        let identity = Identity::new(institution, key(1), NodeKey::from_seed(&[2; 32].into()));
        let issued = |at: Timestamp| {
            let signed = identity.recent_certificate(at).unwrap();
            let verified = signed.verify(identity.institution_public()).unwrap();
            assert_eq!(verified.document().institution_key, identity.institution_public());
            verified.document().issued_at
        };
        assert_eq!(issued(NOW), NOW);
        assert_eq!(issued(NOW.plus_millis(RECENT_MS)), NOW);
        let later = NOW.plus_millis(RECENT_MS + 1);
        assert_eq!(issued(later), later);
        assert_eq!(issued(NOW), NOW, "the clock was set back");
        identity.replace_key(key(3));
        let after = NOW.plus_millis(1);
        assert_eq!(issued(after), after, "another key");
    }
}
