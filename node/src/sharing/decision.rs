//! Decides whether a query may be answered now: before the first byte, and again whenever something has changed.

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::Digest32;
use concordat_protocol::policy_set::Settings;
use concordat_protocol::query::ActorAssertion;
use concordat_protocol::release::ReleaseRules;
use concordat_protocol::scope::{Purpose, Scope, Tier};
use concordat_protocol::text;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_storage::ledger::{LedgerError, LedgerReceipt};

use super::case::Case;
use super::handle::Sharing;
use super::limits_below_records::CountedQuery;
use super::refusal::{denied, failed};
use crate::negotiation::{Lease, collection_facts, is_active_side, party};
use concordat_policy::{self, CollectionFacts, Explanation, LocalInput, Policy, QueryDecision, QueryInput};

/// What a query under a grant is decided by, besides the facts about its collection.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderGrant<'a> {
    /// The live permission.
    pub(super) lease: &'a Lease,
    /// The person, as the consumer states it.
    pub(super) requester: &'a ActorAssertion,
    /// What for.
    pub(super) purpose: &'a Purpose,
    /// Whether it names a version of the dataset.
    pub(super) as_of: bool,
}

impl Sharing {
    /// The active policy set. A decision and its entry in the ledger use the same one.
    pub(super) fn policy(&self) -> Policy {
        self.0.parts.policy.current()
    }

    /// The scope of the dataset that may be released for this query now.
    pub(super) async fn decide(&self, case: &Case, policy: &Policy) -> Result<Scope, Refusal> {
        let facts = self.facts(case).await?;
        self.decide_on(case, policy, facts.as_ref())
    }

    /// The same, and the digest of what the decision is based on: the policy set, and the release rules that the steward has set for the
    /// dataset. A query that is permitted below `records` is counted, by the limits of this moment: one that a steward has made narrower
    /// applies to the next query.
    pub(super) async fn decide_and_count(&self, case: &Case, policy: &Policy) -> (Result<Scope, Refusal>, Digest32) {
        let facts = match self.facts(case).await {
            Ok(facts) => facts,
            Err(unread) => return (Err(unread), policy.digest_with(&ReleaseRules::default())),
        };
        let release = facts.as_ref().map(|facts| facts.release.clone()).unwrap_or_default();
        let basis = policy.digest_with(&release);
        let scope = match self.decide_on(case, policy, facts.as_ref()) {
            Ok(scope) => scope,
            Err(denied) => return (Err(denied), basis),
        };
        let counted = self.count_below_records(case, &scope, (policy, &release)).await;
        (counted.map(|()| scope), basis)
    }

    /// The same, by what was read from the catalog.
    pub(super) fn decide_on(
        &self,
        case: &Case,
        policy: &Policy,
        facts: Option<&CollectionFacts>,
    ) -> Result<Scope, Refusal> {
        let under_grant = |input: &QueryInput<'_>, now| policy.decide(input, now);
        let own = |input: &LocalInput<'_>, now| policy.decide_local(input, now);
        match self.evaluate_on(case, facts, under_grant, own)? {
            QueryDecision::Permit(scope) => Ok(*scope),
            QueryDecision::Deny { reasons } => Err(denied(reasons)),
        }
    }

    /// The decision, rule by rule. A refusal is returned if a check before the rules fails.
    pub(super) async fn evaluate(&self, case: &Case, policy: &Policy) -> Result<(QueryDecision, Explanation), Refusal> {
        let facts = self.facts(case).await?;
        let under_grant = |input: &QueryInput<'_>, now| policy.explain(input, now);
        let own = |input: &LocalInput<'_>, now| policy.explain_local(input, now);
        self.evaluate_on(case, facts.as_ref(), under_grant, own)
    }

    /// What the catalog records about the collection that is queried; `None` if it does not exist.
    async fn facts(&self, case: &Case) -> Result<Option<CollectionFacts>, Refusal> {
        let storage = &self.0.parts.storage;
        let facts = match case {
            // Another collection of the same name is not the one that was granted.
            Case::Peer { lease, .. } => lease.dataset().facts(storage).await,
            Case::Local { .. } => collection_facts(storage, &case.collection()).await,
        };
        facts.map_err(|_| failed("the catalog cannot be read"))
    }

    /// What `under_grant` makes of the query of a peer, and `own` of one of this institution's own people.
    fn evaluate_on<T>(
        &self,
        case: &Case,
        facts: Option<&CollectionFacts>,
        under_grant: impl FnOnce(&QueryInput<'_>, Timestamp) -> T,
        own: impl FnOnce(&LocalInput<'_>, Timestamp) -> T,
    ) -> Result<T, Refusal> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        Ok(match case {
            Case::Peer { query, lease, .. } => {
                let query = UnderGrant {
                    lease,
                    requester: query.assertion(),
                    purpose: &query.envelope().purpose,
                    as_of: case.version().is_some(),
                };
                self.evaluate_under_grant(&query, facts, now, under_grant)?
            }
            Case::Local {
                requester,
                assertion,
                purpose,
                ..
            } => {
                let known = parts.sessions.recheck(requester.actor(), now);
                known.map_err(|error| Refusal::because(RefusalCode::Denied, error.to_string()))?;
                let holder = self.own_party(now);
                let input = LocalInput {
                    requester: assertion,
                    purpose,
                    as_of: case.version().is_some(),
                    holder: &holder,
                    collection: facts,
                };
                own(&input, now)
            }
        })
    }

    /// What `decide` makes of a query under a grant, whether it was sent or is only estimated.
    fn evaluate_under_grant<T>(
        &self,
        query: &UnderGrant<'_>,
        facts: Option<&CollectionFacts>,
        now: Timestamp,
        decide: impl FnOnce(&QueryInput<'_>, Timestamp) -> T,
    ) -> Result<T, Refusal> {
        let UnderGrant {
            lease,
            requester,
            purpose,
            as_of,
        } = *query;
        let (consumer, provider) = self.parties_of(lease, now)?;
        let input = QueryInput {
            granted: &lease.terms().scope,
            requester,
            purpose,
            as_of,
            consumer: &consumer,
            provider: &provider,
            collection: facts,
            earlier: &self.0.parts.negotiations.held_before_grant(lease, now),
        };
        Ok(decide(&input, now))
    }

    /// The scope that a query under a grant would have now, and the limits of answers at its tier. It is decided as a query that was sent, and
    /// nothing is entered or counted.
    pub(super) async fn decide_estimate(&self, query: &UnderGrant<'_>) -> Result<(Scope, Settings), Refusal> {
        let facts = query.lease.dataset().facts(&self.0.parts.storage).await;
        let facts = facts.map_err(|_| failed("the catalog cannot be read"))?;
        let policy = self.policy();
        let now = self.0.parts.clock.now();
        let decide = |input: &QueryInput<'_>, now| policy.decide(input, now);
        match self.evaluate_under_grant(query, facts.as_ref(), now, decide)? {
            QueryDecision::Permit(scope) => {
                let release = facts.map(|facts| facts.release).unwrap_or_default();
                let limits = policy.limits(&release, scope.tier);
                Ok((*scope, limits))
            }
            QueryDecision::Deny { reasons } => Err(denied(reasons)),
        }
    }

    /// Consumer and provider, as the roster lists them now.
    fn parties_of(
        &self,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<(concordat_policy::Party, concordat_policy::Party), Refusal> {
        let parts = &self.0.parts;
        let no_roster = |_| failed("the holder has no valid roster");
        let roster = parts.membership.valid_roster(now).map_err(no_roster)?;
        // Since the query arrived, the institution may have got another key on the roster or may no longer be active.
        if !is_active_side(&roster, lease.peer()) {
            return Err(Refusal::because(
                RefusalCode::Denied,
                "the requesting institution is not an active member with the key that it presented",
            ));
        }
        let member = |id| party(&roster, id).ok_or_else(|| failed("a party is not on the roster"));
        Ok((member(&lease.terms().consumer)?, member(&parts.identity.institution)?))
    }

    /// This institution as a party for the policy; before it has joined a consortium, from its own configuration.
    pub(super) fn own_party(&self, now: Timestamp) -> concordat_policy::Party {
        let parts = &self.0.parts;
        let identity = &parts.identity;
        let listed = parts
            .membership
            .newest()
            .filter(|roster| roster.check_validity(now).is_ok())
            .and_then(|roster| party(&roster, &identity.institution));
        listed.unwrap_or_else(|| concordat_policy::Party {
            institution: identity.institution.clone(),
            jurisdiction: identity.jurisdiction.clone(),
            status: None,
        })
    }

    /// Most queries under the grant in 24 hours: the agreed number, or the number that the steward of the collection has set since, whichever is
    /// lower.
    pub(super) fn queries_per_day(&self, lease: &Lease) -> u32 {
        let scope = &lease.terms().scope;
        let policy = self.0.parts.policy.current();
        let today = policy.limits(lease.release(), scope.tier).max_queries_per_day;
        scope
            .limits
            .max_queries_per_day
            .map_or(today, |agreed| agreed.min(today))
    }

    /// Counts a permitted query below `records`, before anything is computed; at `records` it is not counted here.
    async fn count_below_records(
        &self,
        case: &Case,
        scope: &Scope,
        (policy, release): (&Policy, &ReleaseRules),
    ) -> Result<(), Refusal> {
        if scope.tier >= Tier::Records {
            return Ok(());
        }
        let limits = policy.limits(release, scope.tier);
        let by = case.attribution().for_outcome();
        let now = self.0.parts.clock.now();
        self.0.below_records.count(counted(case), limits, by, now).await
    }

    /// Notes that a cell of an answer is withheld because a figure about few subjects would follow from it and from earlier ones.
    pub(super) fn note_isolating(&self, case: &Case) -> impl Future<Output = Result<(), Refusal>> + Send + use<> {
        let query = counted(case);
        let now = self.0.parts.clock.now();
        let limits = self.0.below_records.clone();
        async move { limits.note_isolating(query, now).await }
    }

    /// Records the decision and the digest of its basis; only a decision that is in the ledger may be acted upon.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn record_decision(
        &self,
        case: &Case,
        decision: Result<&Scope, &Refusal>,
        basis: Digest32,
    ) -> Result<LedgerReceipt, Refusal> {
        let parts = &self.0.parts;
        let reasons = decision
            .err()
            .map(|refusal| refusal.reasons.as_slice())
            .unwrap_or_default();
        let entry = EntryBody::DecisionMade {
            request: case.query(),
            grant: case.grant(),
            permitted: decision.is_ok(),
            reasons: reasons
                .iter()
                .take(concordat_protocol::audit::MAX_LIST)
                .map(|r| text::Reason::sanitized(&r.text))
                .collect(),
            policy: basis,
            sql: Some(sql_digest(case.sql())),
        };
        // A denial is entered for every person; a permission only for one who may still act.
        let by = match decision {
            Ok(_) => case.attribution(),
            Err(_) => case.attribution().for_outcome(),
        };
        let entered = parts.ledger.append_async(entry, &by, parts.clock.now()).await;
        entered.map_err(|error| {
            if let LedgerError::Authority(ended) = error {
                return Refusal::because(RefusalCode::Denied, ended.to_string());
            }
            tracing::error!(%error, "the ledger cannot be written, so nothing is served");
            failed("the holder cannot write its ledger and therefore answers no queries")
        })
    }
}

/// The query as it is counted below `records`.
fn counted(case: &Case) -> CountedQuery {
    CountedQuery {
        collection: case.collection(),
        institution: case.consumer().clone(),
        person: case.assertion().actor.clone(),
    }
}

/// The digest of the SQL text in ledgers, the same as in receipts.
fn sql_digest(sql: &str) -> Digest32 {
    Digest32::sha256(concordat_protocol::labels::SQL_HASH, sql.as_bytes())
}
