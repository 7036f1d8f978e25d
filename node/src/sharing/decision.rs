//! Decides whether a query may be answered now: before the first byte, and again whenever something has changed.

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::Digest32;
use concordat_protocol::scope::Scope;
use concordat_protocol::text;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};
use concordat_storage::ledger::{LedgerError, LedgerReceipt};

use super::case::Case;
use super::handle::Sharing;
use super::refusal::{denied, failed};
use crate::negotiation::{Lease, collection_facts, is_active_side, party};
use concordat_policy::{self, Explanation, LocalInput, Policy, QueryDecision, QueryInput};

impl Sharing {
    /// The active policy set. A decision and its entry in the ledger use the same one.
    pub(super) fn policy(&self) -> Policy {
        self.0.parts.policy.current()
    }

    /// The scope of the dataset that may be released for this query now.
    pub(super) async fn decide(&self, case: &Case, policy: &Policy) -> Result<Scope, Refusal> {
        match self.evaluate(case, policy).await?.0 {
            QueryDecision::Permit(scope) => Ok(*scope),
            QueryDecision::Deny { reasons } => Err(denied(reasons)),
        }
    }

    /// The decision, rule by rule. A refusal is returned if a check before the rules fails.
    pub(super) async fn evaluate(&self, case: &Case, policy: &Policy) -> Result<(QueryDecision, Explanation), Refusal> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let facts = match case {
            // Another collection of the same name is not the one that was granted.
            Case::Peer { lease, .. } => lease.dataset().facts(&parts.storage).await,
            Case::Local { .. } => collection_facts(&parts.storage, &case.collection()).await,
        };
        let facts = facts.map_err(|_| failed("the catalog cannot be read"))?;
        Ok(match case {
            Case::Peer { query, lease, .. } => {
                let (consumer, provider) = self.parties_of(lease, now)?;
                let input = QueryInput {
                    granted: &lease.terms().scope,
                    requester: query.assertion(),
                    purpose: &query.envelope().purpose,
                    as_of: case.version().is_some(),
                    consumer: &consumer,
                    provider: &provider,
                    collection: facts.as_ref(),
                    earlier: &parts.negotiations.held_before_grant(lease, now),
                };
                policy.explain(&input, now)
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
                    collection: facts.as_ref(),
                };
                policy.decide_local(&input, now)
            }
        })
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

    /// The digest of what a decision is based on: the policy set, and the release rules that the steward has set for the dataset.
    async fn policy_digest(&self, case: &Case, policy: &Policy) -> Digest32 {
        let parts = &self.0.parts;
        let facts = collection_facts(&parts.storage, &case.collection()).await;
        let release = facts.ok().flatten().map(|facts| facts.release).unwrap_or_default();
        policy.digest_with(&release)
    }

    /// Most queries under the grant in 24 hours: the agreed number, or the number that the dataset's steward has set since, whichever is
    /// lower.
    pub(super) async fn queries_per_day(&self, scope: &Scope) -> Option<u32> {
        let parts = &self.0.parts;
        let facts = collection_facts(&parts.storage, &scope.collection).await;
        let release = facts.ok().flatten().map(|facts| facts.release).unwrap_or_default();
        let today = parts.policy.current().limits(&release, scope.tier).max_queries_per_day;
        Some(
            scope
                .limits
                .max_queries_per_day
                .map_or(today, |agreed| agreed.min(today)),
        )
    }

    /// Records the decision; only a decision that is in the ledger may be acted upon.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn record_decision(
        &self,
        case: &Case,
        decision: Result<&Scope, &Refusal>,
        policy: &Policy,
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
            policy: self.policy_digest(case, policy).await,
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

/// The digest of the SQL text in ledgers, the same as in receipts.
fn sql_digest(sql: &str) -> Digest32 {
    Digest32::sha256(concordat_protocol::labels::SQL_HASH, sql.as_bytes())
}
