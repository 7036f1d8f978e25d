//! The two institutions of a negotiation.

use serde::{Deserialize, Serialize};

use super::{
    error::Refusal,
    message::{Authentic, NegotiationMessage},
};
use crate::{grant::Party, identity::Side, signed::Signed};

/// The two institutions of a negotiation, with the keys with which they begin it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Sides")]
pub struct Parties {
    provider: Side,
    consumer: Side,
}

/// [`Parties`] as they are stored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sides {
    provider: Side,
    consumer: Side,
}

impl TryFrom<Sides> for Parties {
    type Error = Refusal;

    fn try_from(Sides { provider, consumer }: Sides) -> Result<Self, Refusal> {
        Self::new(provider, consumer)
    }
}

impl Parties {
    /// Two different institutions.
    ///
    /// # Errors
    /// [`Refusal::OneParty`] if they share an id or a key.
    pub fn new(provider: Side, consumer: Side) -> Result<Self, Refusal> {
        if provider.institution == consumer.institution || provider.key == consumer.key {
            Err(Refusal::OneParty)
        } else {
            Ok(Self { provider, consumer })
        }
    }

    /// Who holds the data.
    pub fn provider(&self) -> &Side {
        &self.provider
    }

    /// Who requests it.
    pub fn consumer(&self) -> &Side {
        &self.consumer
    }

    /// The institution on the side `party`.
    pub fn side(&self, party: Party) -> &Side {
        match party {
            Party::Provider => &self.provider,
            Party::Consumer => &self.consumer,
        }
    }

    /// Which side sent `authentic`; its recipient must be the other one, and its key the one that the negotiation began with.
    pub(super) fn author(&self, authentic: &Authentic) -> Result<Party, Refusal> {
        let message = authentic.message();
        let sent_by = |party: Party| {
            message.from == self.side(party).institution && message.to == self.side(party.other()).institution
        };
        let by = [Party::Provider, Party::Consumer]
            .into_iter()
            .find(|party| sent_by(*party))
            .ok_or_else(|| Refusal::OtherParties {
                from: message.from.clone(),
                to: message.to.clone(),
            })?;
        if authentic.key() == self.side(by).key {
            Ok(by)
        } else {
            Err(Refusal::OtherKey {
                from: message.from.clone(),
            })
        }
    }

    /// A stored message. The institution of its node was checked when the message was received; the nodes may have changed since.
    pub(super) fn authenticate_stored(&self, signed: Signed<NegotiationMessage>) -> Result<Authentic, Refusal> {
        let claimed = signed.peek_unverified().map_err(Refusal::Signature)?.node;
        let verified = signed.verify(claimed).map_err(Refusal::Signature)?;
        let from = &verified.document().from;
        let side = [&self.provider, &self.consumer]
            .into_iter()
            .find(|side| side.institution == *from);
        match side {
            Some(side) => Ok(Authentic::own(verified, side.key)),
            None => Err(Refusal::OtherParties {
                from: from.clone(),
                to: verified.document().to.clone(),
            }),
        }
    }
}
