//! The signed query.

use serde::{Deserialize, Serialize};

use super::ActorAssertion;
use crate::ids::{Digest32, GrantId, InstitutionId, NodeId, QueryId};
use crate::labels::{self, DomainLabel};
use crate::schema::VersionNumber;
use crate::scope::Purpose;
use crate::signed::{Document, SignatureError, Signed};
use crate::time::{Staleness, Timestamp};

/// Longest SQL text, in bytes.
pub const MAX_SQL: usize = 64 * 1024;
/// How old a query may be when it arrives, in milliseconds; the allowed clock skew is added.
pub const MAX_QUERY_AGE_MS: i64 = 60_000;

/// One query under one grant, signed by the consumer's node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryEnvelope {
    /// Chosen at random by the consumer; makes the envelope unique.
    pub query: QueryId,
    /// The grant under which it is sent.
    pub grant: GrantId,
    /// The institution that sends the query.
    pub from: InstitutionId,
    /// The institution that is to answer it.
    pub to: InstitutionId,
    /// The assertion about the person; nested bytes as signed.
    pub actor: Signed<ActorAssertion>,
    /// What for.
    pub purpose: Purpose,
    /// The SQL text: one `SELECT`.
    pub sql: String,
    /// The version of the dataset that the text names with `VERSION AS OF`; `None` for the current one. The provider decides by this
    /// field, and its engine refuses a text that names another version.
    pub version: Option<VersionNumber>,
    /// The digest of the declarations on which the text was planned, for a query below tier `records`. A provider that declares others by
    /// then refuses it, because the same text would distinguish other values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Digest32>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When the consumer stops waiting.
    pub deadline: Timestamp,
}

impl Document for QueryEnvelope {
    const LABEL: DomainLabel = labels::QUERY;
}

/// Sender and recipient of a query, according to the connection and the roster.
#[derive(Clone, Debug)]
pub struct Parties {
    /// The node at the other end of the connection.
    pub peer: NodeId,
    /// The institution of that node, according to the roster.
    pub consumer: InstitutionId,
    /// This institution.
    pub provider: InstitutionId,
}

/// A query whose signatures, parties and times have been checked.
#[derive(Clone, Debug)]
pub struct ValidQuery {
    envelope: QueryEnvelope,
    assertion: ActorAssertion,
    signed: Signed<QueryEnvelope>,
}

impl ValidQuery {
    /// Checks everything about a query that can be checked without the grant: both signatures by the peer's node key, sender
    /// and recipient, the person belonging to the sender, the assertion made for this query, the times and the length.
    ///
    /// # Errors
    /// [`InvalidQuery`] names the check that fails.
    pub fn check(signed: Signed<QueryEnvelope>, parties: &Parties, now: Timestamp) -> Result<Self, InvalidQuery> {
        let verified = signed.verify(parties.peer)?;
        let envelope = verified.document().clone();
        let assertion = envelope.actor.clone().verify(parties.peer)?.document().clone();
        if envelope.from != parties.consumer || !assertion.actor.belongs_to(&parties.consumer) {
            return Err(InvalidQuery::ForeignSender);
        }
        if envelope.to != parties.provider || assertion.audience != parties.provider {
            return Err(InvalidQuery::WrongRecipient);
        }
        if assertion.query != envelope.query {
            return Err(InvalidQuery::AssertionForOtherQuery);
        }
        if envelope.sql.len() > MAX_SQL {
            return Err(InvalidQuery::TooLong);
        }
        envelope.sent_at.fresh_at(now, MAX_QUERY_AGE_MS)?;
        if assertion.expires <= now {
            return Err(InvalidQuery::AssertionExpired);
        }
        if envelope.deadline <= now {
            return Err(InvalidQuery::DeadlinePassed);
        }
        Ok(Self {
            envelope,
            assertion,
            signed: verified.signed().clone(),
        })
    }

    /// The envelope.
    pub fn envelope(&self) -> &QueryEnvelope {
        &self.envelope
    }

    /// The assertion about the person.
    pub fn assertion(&self) -> &ActorAssertion {
        &self.assertion
    }

    /// Digest of the signed envelope.
    pub fn digest(&self) -> Digest32 {
        self.signed.digest()
    }

    /// The bytes as signed, to store.
    pub fn signed(&self) -> &Signed<QueryEnvelope> {
        &self.signed
    }

    /// Digest of the SQL text, for receipts and ledgers.
    pub fn sql_digest(&self) -> Digest32 {
        self.envelope.sql_digest()
    }
}

impl QueryEnvelope {
    /// Digest of the SQL text, for receipts and ledgers.
    pub fn sql_digest(&self) -> Digest32 {
        Digest32::sha256(labels::SQL_HASH, self.sql.as_bytes())
    }
}

/// Why a query is refused before anything is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// A signature is wrong or the bytes are not a query.
    #[error("the query is not signed by the node that sent it")]
    Signature(#[from] SignatureError),
    /// Sent in the name of another institution.
    #[error("the query names another institution as its sender than the one that sent it")]
    ForeignSender,
    /// Addressed to another institution.
    #[error("the query is addressed to another institution")]
    WrongRecipient,
    /// The statement about the person was made for another query.
    #[error("the statement about the person was made for another query")]
    AssertionForOtherQuery,
    /// More than [`MAX_SQL`] bytes.
    #[error("the SQL text is longer than {MAX_SQL} bytes")]
    TooLong,
    /// Sent too long ago or in the future.
    #[error("the query is not fresh")]
    NotFresh(#[from] Staleness),
    /// The statement about the person has expired.
    #[error("the statement about the person has expired")]
    AssertionExpired,
    /// The consumer no longer waits for the answer.
    #[error("the deadline of the query has passed")]
    DeadlinePassed,
}

impl InvalidQuery {
    /// The name of the broken rule, as peers are sent it.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Signature(_) => "query-signature",
            Self::ForeignSender => "query-sender",
            Self::WrongRecipient => "query-recipient",
            Self::AssertionForOtherQuery => "assertion-of-query",
            Self::TooLong => "query-length",
            Self::NotFresh(_) => "query-time",
            Self::AssertionExpired => "assertion-time",
            Self::DeadlinePassed => "query-deadline",
        }
    }
}
