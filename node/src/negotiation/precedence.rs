//! The order of the agreements of one institution over one dataset: of two that do not go together, the first keeps what it covers.

use concordat_policy::{HeldScope, HeldUnder};
use concordat_protocol::grant::GrantTerms;
use concordat_protocol::ids::NegotiationId;
use concordat_protocol::negotiation::{Authentic, Body, State, Transcript};
use concordat_protocol::time::Timestamp;

/// The place of an agreement. What comes first is not narrowed by what comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
    /// The provider signed its terms at this time.
    Signed(Timestamp, NegotiationId),
    /// The provider made the newest offer at this time.
    Offered(Timestamp, NegotiationId),
    /// There is no offer.
    Requested,
}

impl Precedence {
    /// The place of a negotiation.
    pub(super) fn of(transcript: &Transcript) -> Self {
        match transcript.state() {
            State::Requested(_) | State::Terminated(_) => Self::Requested,
            State::Offered(_) | State::Accepted(_) => Self::Offered(offered_at(transcript), transcript.negotiation()),
            State::Agreed(agreed) => Self::of_terms(&agreed.terms),
            State::Verified(verified) => Self::of_terms(verified.grant.terms()),
            State::Finalized(finalized) => Self::of_terms(finalized.grant.terms()),
        }
    }

    /// The place of terms that the provider has signed.
    pub(super) fn of_terms(terms: &GrantTerms) -> Self {
        Self::Signed(terms.agreed_at, NegotiationId::from(terms.grant))
    }
}

/// When the newest offer was made.
fn offered_at(transcript: &Transcript) -> Timestamp {
    let mut newest_first = transcript.messages().iter().rev().map(Authentic::message);
    let offer = newest_first.find(|message| matches!(message.body, Body::Offer { .. }));
    offer.map_or(Timestamp::from_millis(0), |offer| offer.sent_at)
}

/// A scope that is held, with the place of its agreement.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) place: Precedence,
    pub(super) scope: HeldScope,
}

/// Those that come before `own`, in their order. While a negotiation becomes a grant, it is both; it then counts once, as the grant.
pub(super) fn before(own: Precedence, held: impl Iterator<Item = Held>) -> Vec<HeldScope> {
    let mut before: Vec<Held> = held.filter(|held| held.place < own).collect();
    before.sort_by_key(|held| (held.place, matches!(held.scope.under, HeldUnder::Negotiation(_))));
    before.dedup_by_key(|held| held.place);
    before.into_iter().map(|held| held.scope).collect()
}

#[cfg(test)]
mod tests {
    use concordat_protocol::ids::GrantId;
    use concordat_protocol::scope::{
        Columns, Datasets, Limits, People, Places, Protection, Purpose, Purposes, Rows, Scope, Subjects, Tier, Window,
    };

    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + 1000 * seconds)
    }

    fn id(number: u8) -> NegotiationId {
        NegotiationId::from_bytes([number; 16])
    }

    fn held(place: Precedence, under: HeldUnder) -> Held {
        let scope = Scope {
            collection: "cleveland.heart".parse().unwrap(),
            tier: Tier::Records,
            protection: Protection::Exact,
            subjects: Subjects::Any,
            datasets: Datasets::one("heart".parse().unwrap(), Columns::default(), Rows::all()),
            purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
            people: People::Any,
            places: Places::Any,
            limits: Limits::WIDEST,
            window: Window::new(at(0), at(60)).unwrap(),
        };
        Held {
            place,
            scope: HeldScope { under, scope },
        }
    }

    #[test]
    fn held_scopes_count_in_the_order_in_which_they_were_agreed() {
        let offered = Precedence::Offered(at(0), id(1));
        let late = Precedence::Signed(at(9), id(2));
        let early = Precedence::Signed(at(5), id(4));
        let same_time = Precedence::Signed(at(5), id(3));
        let all = || {
            [offered, late, early, same_time].map(|place| {
                let (Precedence::Signed(_, id) | Precedence::Offered(_, id)) = place else {
                    panic!("without an offer")
                };
                held(place, HeldUnder::Negotiation(id))
            })
        };
        let names = |own| -> Vec<HeldUnder> { before(own, all().into_iter()).iter().map(|held| held.under).collect() };
        let under = |numbers: &[u8]| -> Vec<HeldUnder> {
            numbers
                .iter()
                .map(|number| HeldUnder::Negotiation(id(*number)))
                .collect()
        };
        assert_eq!(
            names(Precedence::Requested),
            under(&[3, 4, 2, 1]),
            "a new offer counts all"
        );
        assert_eq!(
            names(offered),
            under(&[3, 4, 2]),
            "what is signed counts more than what is offered"
        );
        assert_eq!(names(Precedence::Offered(at(1), id(9))), under(&[3, 4, 2, 1]));
        assert_eq!(names(early), under(&[3]), "its own and later ones do not count");
        assert_eq!(names(same_time), []);
    }

    #[test]
    fn held_scope_of_a_negotiation_that_becomes_a_grant_counts_once() {
        let place = Precedence::Signed(at(5), id(3));
        let grant = HeldUnder::Grant(GrantId::from(id(3)));
        let both = [held(place, HeldUnder::Negotiation(id(3))), held(place, grant)];
        let counted = before(Precedence::Requested, both.into_iter());
        assert_eq!(counted.iter().map(|held| held.under).collect::<Vec<_>>(), [grant]);
    }
}
