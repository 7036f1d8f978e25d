//! What a query, its receipt and its countersignature must satisfy so that they can be shown as evidence.
//!
//! Both sides check each part here before they act on it, with the parts that they have recorded before; a reader of the evidence runs
//! the same functions. What a node has accepted is therefore valid evidence, whatever the other side sends.
//!
//! 1. The provider checks the query and both certificates before it decides, the consumer before it sends the query.
//! 2. The provider checks its receipt before it sends it, the consumer before it countersigns.
//! 3. Each side checks the countersigned receipt, with the head of the consumer's ledger, before it stores it.

use super::error::EvidenceError;
use super::limits::{MAX_CERTIFICATE_DELAY_MS, MAX_HEAD_DELAY_MS, MAX_QUERY_DELAY_MS};
use crate::audit::LedgerHead;
use crate::membership::NodeCertificate;
use crate::query::{ActorAssertion, QueryEnvelope, Receipt, Received};
use crate::signed::{CoSigned, SignatureError, Signed};
use crate::time::Timestamp;

/// A query with the certificates of both nodes, all of which belong together.
#[derive(Clone, Debug)]
pub struct AttestedQuery {
    consumer: NodeCertificate,
    provider: NodeCertificate,
    query: QueryEnvelope,
    assertion: ActorAssertion,
}

/// A receipt of an [`AttestedQuery`].
#[derive(Clone, Debug)]
pub struct AttestedReceipt {
    /// What the provider's node has signed.
    pub receipt: Receipt,
    /// The head of the consumer's ledger; `None` if the consumer's node has not signed.
    pub consumer_ledger: Option<LedgerHead>,
}

impl AttestedQuery {
    /// Checks everything that can be checked before there is a receipt: that each certificate is signed by the key that it names and
    /// was valid at the time, that the consumer's node has signed query and assertion, and that the parties are those of the two
    /// certificates.
    ///
    /// # Errors
    /// [`EvidenceError`] names the first check that fails.
    pub fn check(
        [consumer, provider]: [Signed<NodeCertificate>; 2],
        query: Signed<QueryEnvelope>,
    ) -> Result<Self, EvidenceError> {
        let consumer = certified(consumer, "consumer")?;
        let provider = certified(provider, "provider")?;
        let query = query.verify(consumer.node).map_err(EvidenceError::Query)?;
        let query = query.document().clone();
        let assertion = query.actor.clone().verify(consumer.node);
        let assertion = assertion.map_err(EvidenceError::Query)?.document().clone();
        let attested = Self {
            consumer,
            provider,
            query,
            assertion,
        };
        attested.consistent()?;
        for (certificate, of) in [(&attested.consumer, "consumer"), (&attested.provider, "provider")] {
            in_time(certificate, of, attested.query.sent_at)?;
        }
        Ok(attested)
    }

    /// Checks a receipt: signed by the provider's node, about this query, with a head of that node's ledger. The consumer's signature
    /// and the head of its ledger are valid only together, and only if the node that sent the query has signed both. Neither head is older than
    /// the receipt, up to the difference of clocks; what the consumer's head contains is not shown here.
    ///
    /// # Errors
    /// [`EvidenceError`] names the first check that fails.
    pub fn check_receipt(
        &self,
        receipt: &CoSigned<Receipt>,
        consumer_ledger: Option<&Signed<LedgerHead>>,
    ) -> Result<AttestedReceipt, EvidenceError> {
        let consumer = &self.consumer;
        let provider = &self.provider;
        let (receipt, countersigned) = match receipt.clone().verify(&[provider.node, consumer.node]) {
            Ok(both) => (both.document().clone(), true),
            Err(SignatureError::MissingSignature) => {
                let verified = receipt.clone().verify(&[provider.node]);
                (verified.map_err(EvidenceError::Receipt)?.document().clone(), false)
            }
            Err(other) => return Err(EvidenceError::Receipt(other)),
        };
        self.about(&receipt)?;
        let head = receipt.ledger.head_of(provider.node, &provider.institution);
        let head = head.map_err(EvidenceError::Head)?;
        if is_before(&head, receipt.at) {
            return Err(EvidenceError::HeadTime);
        }
        let consumer_ledger = consumer_ledger.map(|head| head.head_of(consumer.node, &consumer.institution));
        let consumer_ledger = consumer_ledger.transpose().map_err(EvidenceError::ConsumerHead)?;
        if consumer_ledger.as_ref().is_some_and(|head| is_before(head, receipt.at)) {
            return Err(EvidenceError::ConsumerHeadTime);
        }
        if consumer_ledger.is_some() != countersigned {
            return Err(EvidenceError::Inconsistent {
                what: "a countersignature and the head of the consumer's ledger are valid only together",
            });
        }
        Ok(AttestedReceipt {
            receipt,
            consumer_ledger,
        })
    }

    /// The certificate of the consumer's node.
    pub fn consumer(&self) -> &NodeCertificate {
        &self.consumer
    }

    /// The certificate of the provider's node.
    pub fn provider(&self) -> &NodeCertificate {
        &self.provider
    }

    /// The query as signed by the consumer's node.
    pub fn query(&self) -> &QueryEnvelope {
        &self.query
    }

    /// What that node stated about the person.
    pub fn assertion(&self) -> &ActorAssertion {
        &self.assertion
    }

    fn consistent(&self) -> Result<(), EvidenceError> {
        let Self {
            consumer,
            provider,
            query,
            assertion,
        } = self;
        let checks = [
            ("the query names another consumer", query.from == consumer.institution),
            ("the query names another provider", query.to == provider.institution),
            (
                "both sides are the same institution",
                consumer.institution != provider.institution,
            ),
            (
                "both sides have the same key",
                consumer.institution_key != provider.institution_key,
            ),
            ("both sides are the same node", consumer.node != provider.node),
            (
                "the person belongs to another institution",
                assertion.actor.belongs_to(&consumer.institution),
            ),
            (
                "the statement about the person is for another provider",
                assertion.audience == provider.institution,
            ),
            (
                "the statement about the person is for another query",
                assertion.query == query.query,
            ),
        ];
        match checks.into_iter().find(|(_, valid)| !valid) {
            Some((what, _)) => Err(EvidenceError::Inconsistent { what }),
            None => Ok(()),
        }
    }

    /// The bytes of the answer are no longer available to a reader of the evidence; the consumer has compared them.
    fn about(&self, receipt: &Receipt) -> Result<(), EvidenceError> {
        let stated = Received {
            bytes: receipt.bytes,
            answer: receipt.answer,
        };
        let same = receipt.matches(&self.query, &self.assertion.actor, stated);
        same.map_err(|_| EvidenceError::Inconsistent {
            what: "the receipt is about another query",
        })
    }
}

/// The certificate, if the key of its own institution has signed it. The reader compares that key with the one that is known for the
/// institution; a node has compared it with the roster.
fn certified(signed: Signed<NodeCertificate>, of: &'static str) -> Result<NodeCertificate, EvidenceError> {
    let failed = |source| EvidenceError::Certificate { of, source };
    let key = signed.peek_unverified().map_err(failed)?.institution_key;
    Ok(signed.verify(key).map_err(failed)?.document().clone())
}

/// Whether a head was signed before the receipt with which it comes.
fn is_before(head: &LedgerHead, receipt: Timestamp) -> bool {
    receipt.since(head.at) > MAX_HEAD_DELAY_MS
}

fn in_time(certificate: &NodeCertificate, of: &'static str, at: Timestamp) -> Result<(), EvidenceError> {
    let begun = certificate.issued_at.since(at) <= MAX_CERTIFICATE_DELAY_MS;
    if begun && at.since(certificate.not_after) <= MAX_QUERY_DELAY_MS {
        Ok(())
    } else {
        Err(EvidenceError::OutOfTime { of })
    }
}
