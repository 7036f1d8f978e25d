//! What is checked before the policy decides about a query.

use std::sync::PoisonError;
use std::time::Duration;

use concordat_protocol::ids::{DatasetRef, QueryId};
use concordat_protocol::query::{Parties, ValidQuery};
use concordat_protocol::wire::messages::{Refusal, RefusalCode};

use super::case::{Case, LocalQuery, PeerQuery};
use super::delivery::ANSWER_TIMEOUT;
use super::handle::Sharing;
use super::party_limits::Party;
use super::pipeline::Admitted;
use super::refusal::{failed, invalid};
use super::requester::Requester;
use super::span;
use super::text_budget::TextSender;
use super::wait_deadline::WaitDeadline;
use crate::attribution::by_peer;
use crate::clock::timer_now;

impl Sharing {
    /// Durable with the record of the query: the count of queries under the grant, and that of the bytes of their texts. The replay window is
    /// locked for the lookup only.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn admit_peer(&self, query: PeerQuery) -> Result<Admitted, Refusal> {
        let PeerQuery {
            envelope,
            consumer,
            session,
            until,
        } = query;
        let parts = &self.0.parts;
        let peer = session.peer();
        let party = Party::Institution(consumer.institution.clone());
        let slot = self.0.limits.acquire(party, until).await?;
        let decision_slot = slot.decision_slot(until).await?;
        let since = timer_now();
        let now = parts.clock.now();
        let parties = Parties {
            peer,
            consumer: consumer.institution.clone(),
            provider: parts.identity.institution.clone(),
        };
        let query =
            ValidQuery::check(envelope, &parties, now).map_err(|error| invalid(error.rule(), error.to_string()))?;
        let envelope = query.envelope();
        span::identify_query(&envelope.query);
        let admitted = {
            let mut replay = self.0.replay.lock().unwrap_or_else(PoisonError::into_inner);
            replay.admit(peer, envelope.query, now)
        };
        admitted.map_err(|error| invalid(error.rule(), error.to_string()))?;
        self.check_evidence(envelope.query, &consumer.institution, now).await?;
        let lease = parts.grants.lease(&envelope.grant, &consumer, now).await?;
        let terms = lease.terms();
        let limit = self.queries_per_day(&lease);
        self.0.quota.count(terms.grant, Some(limit), now).await?;
        let sender = TextSender::Institution(&consumer.institution);
        self.0.texts.count(sender, &envelope.sql, now).await?;
        let left = Duration::from_millis(u64::try_from(envelope.deadline.since(now)).unwrap_or(0));
        let case = Case::Peer {
            by: by_peer(&session).on_behalf_of(query.assertion().actor.clone()),
            peer: Box::new(self.evidence_peer(&session, &query)?),
            query: Box::new(query),
            lease,
        };
        Ok(Admitted {
            case,
            time: left.min(ANSWER_TIMEOUT),
            since,
            slot,
            decision_slot,
        })
    }

    /// Counts the text of a query that one of our own people sends to another institution, before its record is stored. A refusal is entered.
    ///
    /// # Errors
    /// [`Refusal`] if the texts of the person, or of all own people, are too many.
    pub async fn count_sent_text(&self, requester: &Requester, subject: &str, sql: &str) -> Result<(), Refusal> {
        let sender = TextSender::OwnPerson(requester.actor().id());
        let counted = self.0.texts.count(sender, sql, self.0.parts.clock.now()).await;
        if let Err(refusal) = &counted {
            self.refused_own(requester, subject, refusal).await;
        }
        counted
    }

    /// Durable with the record of the query: the count of the bytes of the person's texts.
    pub(super) async fn admit_local(&self, query: LocalQuery) -> Result<Admitted, Refusal> {
        let case = self.local_case(query)?;
        span::identify_query(&case.query());
        let person = &case.assertion().actor;
        let until = WaitDeadline::start();
        let slot = self.0.limits.acquire(Party::Person(person.clone()), until).await?;
        let decision_slot = slot.decision_slot(until).await?;
        let since = timer_now();
        let now = self.0.parts.clock.now();
        self.0
            .texts
            .count(TextSender::OwnPerson(person), case.sql(), now)
            .await?;
        Ok(Admitted {
            case,
            time: ANSWER_TIMEOUT,
            since,
            slot,
            decision_slot,
        })
    }

    /// The case of a local query; its number is random and its assertion lasts as long as an answer may take.
    pub(super) fn local_case(&self, query: LocalQuery) -> Result<Case, Refusal> {
        let LocalQuery {
            requester,
            purpose,
            dataset,
            version,
            sql,
        } = query;
        let parts = &self.0.parts;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| failed("the operating system provides no random numbers"))?;
        let institution = parts.identity.institution.clone();
        let lifetime = i64::try_from(ANSWER_TIMEOUT.as_secs()).unwrap_or(i64::MAX);
        let expires = parts.clock.now().plus_seconds(lifetime);
        let assertion = requester
            .actor()
            .assert_for(institution.clone(), QueryId::from_bytes(id), expires)
            .map_err(|error| Refusal::because(RefusalCode::Denied, error.to_string()))?;
        Ok(Case::Local {
            requester: Box::new(requester),
            assertion: Box::new(assertion),
            purpose,
            dataset: DatasetRef::alone(institution, dataset),
            version,
            sql,
        })
    }
}
