//! A policy set as stored in the sealed state: numbered, signed, never changed.

use concordat_policy::{Policy, schema_digest};
use concordat_protocol::audit::{Cause, EntryBody};
use concordat_protocol::identity::{InstitutionKey, InstitutionPublicKey, PrivateKey};
use concordat_protocol::ids::{ActorId, Digest32, InstitutionId};
use concordat_protocol::policy_set::{PolicySetStatement, PolicySources};
use concordat_protocol::signed::{SignatureError, Signed};
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;
use concordat_storage::meta::TreeId;
use serde::{Deserialize, Serialize};

use super::error::PolicyStoreError;
use crate::bound_state::Bound;

/// A policy set that is or was active.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedPolicySet {
    /// Files and settings.
    pub sources: PolicySources,
    /// Who activated it.
    pub by: Cause,
    /// Digest of the schema that it was validated against.
    schema: Digest32,
    signer: InstitutionPublicKey,
    statement: Signed<PolicySetStatement>,
    number: u64,
    digest: Digest32,
}

impl SealedPolicySet {
    /// Signs a set that replaces `previous`.
    pub(super) fn sign(
        sources: PolicySources,
        policy: &Policy,
        by: &Attribution,
        previous: Option<&Self>,
        (institution, key, now): (&InstitutionId, &InstitutionKey, Timestamp),
    ) -> Result<Self, SignatureError> {
        let statement = PolicySetStatement {
            institution: institution.clone(),
            number: previous.map_or(0, Self::number).saturating_add(1),
            digest: policy.digest(),
            previous: previous.map(Self::digest),
            at: now,
        };
        Ok(Self {
            sources,
            by: by.cause().clone(),
            schema: schema_digest(),
            signer: key.public(),
            number: statement.number,
            digest: statement.digest,
            statement: Signed::sign(&statement, key)?.signed().clone(),
        })
    }

    /// The second person, if two people activated it.
    pub fn approved_by(&self) -> Option<&ActorId> {
        match &self.by {
            Cause::TwoPeople { second, .. } => Some(second),
            Cause::Person { .. } | Cause::Peer { .. } | Cause::OsAccount { .. } | Cause::Node { .. } => None,
        }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its digest over schema, rules and settings.
    pub fn digest(&self) -> Digest32 {
        self.digest
    }

    /// The verified statement, checked against the fields of this record.
    pub(super) fn checked(&self) -> Result<PolicySetStatement, PolicyStoreError> {
        let verified = self.statement.clone().verify(self.signer)?;
        let statement = verified.document();
        if statement.number == self.number && statement.digest == self.digest {
            Ok(statement.clone())
        } else {
            Err(PolicyStoreError::Changed { number: self.number })
        }
    }

    /// Whether it was validated against the schema of this program.
    pub(super) fn has_current_schema(&self) -> bool {
        self.schema == schema_digest()
    }

    pub(super) fn announcement(&self, previous: Option<&Self>) -> EntryBody {
        EntryBody::PolicyApplied {
            number: self.number,
            digest: self.digest,
            previous: previous.map(Self::digest),
        }
    }
}

impl Bound for SealedPolicySet {
    const WHAT: &'static str = "policy set";
    const TREE: TreeId = TreeId::new("policy-set");
    const HISTORY: Option<TreeId> = Some(TreeId::new("policy-history"));

    fn digest(&self) -> Digest32 {
        self.digest
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn announced(entry: &EntryBody) -> Option<Digest32> {
        if let EntryBody::PolicyApplied { digest, .. } = entry {
            Some(*digest)
        } else {
            None
        }
    }
}
