//! What the two sides of a negotiation send each other.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{MAX_NARROWINGS, Refusal};
use crate::grant::GrantTerms;
use crate::identity::{InstitutionPublicKey, Side};
use crate::ids::{Digest32, InstitutionId, NegotiationId, NodeId};
use crate::labels::{self, DomainLabel};
use crate::scope::{Difference, Scope};
use crate::signed::{CoSigned, Document, Signed, Verified};
use crate::text::{Reason, Text};
use crate::time::Timestamp;

/// Why access is requested, as written by the person who requests it.
pub type Justification = Text<2000>;
/// Name of a policy rule.
pub type RuleName = Text<100>;

/// Longest description of one side of a difference, in characters; longer ones are cut.
const MAX_DESCRIPTION: usize = 1000;

/// One message of a negotiation, signed by the sender's node key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NegotiationMessage {
    /// The negotiation, chosen at random by the consumer.
    pub negotiation: NegotiationId,
    /// Counts the messages of both sides together, from 1.
    pub sequence: u32,
    /// Digest of the previous message of either side; `None` in the first.
    pub previous: Option<Digest32>,
    /// The sender.
    pub from: InstitutionId,
    /// The recipient.
    pub to: InstitutionId,
    /// The node of `from` whose key signs this message.
    pub node: NodeId,
    /// When it was signed.
    pub sent_at: Timestamp,
    /// The content.
    pub body: Body,
}

impl Document for NegotiationMessage {
    const LABEL: DomainLabel = labels::NEGOTIATION;
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Body {
    /// The consumer requests access; also as the answer to an offer, to request something else.
    Request {
        /// What is requested.
        scope: Scope,
        /// Why.
        justification: Justification,
    },
    /// The provider makes an offer, never for more than was requested.
    Offer {
        /// What is offered.
        scope: Scope,
        /// Every difference from the request, with its reason.
        narrowings: Vec<Narrowing>,
    },
    /// The consumer accepts the offer as it is.
    Accept,
    /// The provider signs the terms.
    Agreement {
        /// The terms with the provider's signature.
        terms: CoSigned<GrantTerms>,
    },
    /// The consumer signs the terms.
    Verification {
        /// The same terms with both signatures.
        terms: CoSigned<GrantTerms>,
    },
    /// The provider confirms: the grant is active.
    Finalized,
    /// Either side ends the negotiation.
    Terminate {
        /// Why.
        reason: Reason,
    },
}

impl Body {
    /// The name of the kind of message.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Offer { .. } => "offer",
            Self::Accept => "acceptance",
            Self::Agreement { .. } => "agreement",
            Self::Verification { .. } => "verification",
            Self::Finalized => "confirmation",
            Self::Terminate { .. } => "termination",
        }
    }
}

/// One difference between a request and the offer, and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Narrowing {
    /// What differs.
    pub difference: Difference,
    /// Why.
    pub reason: Reason,
    /// The policy rule behind it.
    pub rule: Option<RuleName>,
}

impl Narrowing {
    /// A narrowing for every difference between `request` and `offer`, each explained by `explain`.
    pub fn explain_all(
        request: &Scope,
        offer: &Scope,
        mut explain: impl FnMut(&Difference) -> (Reason, Option<RuleName>),
    ) -> Vec<Self> {
        let differences = request.differences(offer).into_iter();
        let explained = differences.map(|difference| {
            let (reason, rule) = explain(&difference);
            Self {
                difference: sanitized(&difference),
                reason,
                rule,
            }
        });
        explained.collect()
    }

    /// Checks that `narrowings` explain every difference between `request` and `offer` and no other.
    pub(super) fn check_all(narrowings: &[Self], request: &Scope, offer: &Scope) -> Result<(), Refusal> {
        if narrowings.len() > MAX_NARROWINGS {
            return Err(Refusal::TooManyNarrowings {
                found: narrowings.len(),
            });
        }
        let differences: Vec<_> = request.differences(offer).iter().map(sanitized).collect();
        let key = |d: &Difference| (d.part, d.requested.clone(), d.offered.clone());
        let real: BTreeSet<_> = differences.iter().map(key).collect();
        let stated: BTreeSet<_> = narrowings.iter().map(|narrowing| key(&narrowing.difference)).collect();
        if real == stated {
            Ok(())
        } else {
            Err(Refusal::NarrowingsMismatch)
        }
    }
}

/// A difference as it is sent: short, on one line, without deceptive characters.
pub(super) fn sanitized(difference: &Difference) -> Difference {
    let sanitize = |text: &str| Text::<MAX_DESCRIPTION>::sanitized(text).as_str().to_owned();
    Difference {
        part: difference.part,
        requested: sanitize(&difference.requested),
        offered: sanitize(&difference.offered),
    }
}

/// A message that is signed by a node of the institution that it names as its sender.
#[derive(Clone, Debug)]
pub struct Authentic {
    verified: Verified<NegotiationMessage, NodeId>,
    key: InstitutionPublicKey,
}

impl Authentic {
    /// Checks the signature; `owner` returns the institution of a node and its key, from the roster.
    ///
    /// # Errors
    /// [`Refusal::Signature`] or [`Refusal::ForeignNode`].
    pub fn check(
        signed: Signed<NegotiationMessage>,
        owner: impl FnOnce(&NodeId) -> Option<Side>,
    ) -> Result<Self, Refusal> {
        let claimed = signed.peek_unverified().map_err(Refusal::Signature)?.node;
        let verified = signed.verify(claimed).map_err(Refusal::Signature)?;
        match owner(&claimed) {
            Some(side) if side.institution == verified.document().from => Ok(Self {
                verified,
                key: side.key,
            }),
            Some(_) | None => Err(Refusal::ForeignNode {
                node: claimed,
                from: verified.document().from.clone(),
            }),
        }
    }

    /// The key of the institution that sent it.
    pub fn key(&self) -> InstitutionPublicKey {
        self.key
    }

    /// The message.
    pub fn message(&self) -> &NegotiationMessage {
        self.verified.document()
    }

    /// The signed bytes, to store or send.
    pub fn signed(&self) -> &Signed<NegotiationMessage> {
        self.verified.signed()
    }

    /// Digest of the message, by which the next one refers to it.
    pub fn digest(&self) -> Digest32 {
        Digest32::sha256(labels::TRANSCRIPT_HASH, self.signed().as_bytes())
    }

    /// The same message on behalf of `earlier`, a key that the sender's institution had before. The caller has checked that its
    /// present key has the rights of `earlier`.
    pub fn on_behalf_of(self, earlier: InstitutionPublicKey) -> Self {
        Self { key: earlier, ..self }
    }

    /// A message of ours, or a stored one that was checked when it was received.
    pub(super) const fn own(verified: Verified<NegotiationMessage, NodeId>, key: InstitutionPublicKey) -> Self {
        Self { verified, key }
    }
}

impl PartialEq for Authentic {
    fn eq(&self, other: &Self) -> bool {
        self.signed() == other.signed()
    }
}

impl fmt::Display for NegotiationMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} from {}", self.body.kind(), self.sequence, self.from)
    }
}
