//! May this question be answered now? Asked before the first byte, and again whenever something changed.

use concordat_protocol::ids::{DatasetRef, Digest32, GrantId, QueryId};
use concordat_protocol::query::{ActorAssertion, ValidQuery};
use concordat_protocol::scope::{Purpose, Scope};
use concordat_protocol::text;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Reason, Refusal, RefusalCode};
use concordat_protocol::{audit::EntryBody, schema::VersionNumber};
use concordat_storage::{
    engine::Holder,
    ledger::{Attribution, LedgerReceipt},
};

use super::Sharing;
use crate::evidence::EvidencePeer;
use crate::iam::Actor;
use crate::negotiation::{ChunkGuard, Lease, dataset_facts, party, speaks};
use crate::policy::{self, Explanation, LocalInput, Policy, QueryDecision, QueryInput};

/// A question and by what right it is asked.
#[derive(Debug)]
pub(super) enum Case {
    /// Another institution asks under a grant.
    Peer {
        /// The question.
        query: Box<ValidQuery>,
        /// The version of the dataset that it names, if it does.
        version: Option<VersionNumber>,
        /// The live permission under its grant.
        lease: Lease,
        /// The peer, asking for the person of the assertion.
        by: Attribution,
        /// The same as evidence names it.
        peer: Box<EvidencePeer>,
    },
    /// One of our own people asks about our own dataset.
    Own {
        /// Who asks.
        actor: Box<Actor>,
        /// The same as a statement for this question.
        assertion: Box<ActorAssertion>,
        /// What for.
        purpose: Purpose,
        /// About what.
        dataset: DatasetRef,
        /// The question's text.
        sql: String,
        /// The version of the dataset that it names, if it does.
        version: Option<VersionNumber>,
    },
}

impl Case {
    pub(super) fn query(&self) -> QueryId {
        self.assertion().query
    }

    pub(super) fn assertion(&self) -> &ActorAssertion {
        match self {
            Self::Peer { query, .. } => query.assertion(),
            Self::Own { assertion, .. } => assertion,
        }
    }

    pub(super) fn sql(&self) -> &str {
        match self {
            Self::Peer { query, .. } => &query.envelope().sql,
            Self::Own { sql, .. } => sql,
        }
    }

    /// The version of the dataset that is asked; nothing for the current one.
    pub(super) fn version(&self) -> Option<VersionNumber> {
        match self {
            Self::Peer { version, .. } | Self::Own { version, .. } => *version,
        }
    }

    pub(super) fn grant(&self) -> Option<GrantId> {
        match self {
            Self::Peer { lease, .. } => Some(lease.terms().grant),
            Self::Own { .. } => None,
        }
    }

    pub(super) fn holder(&self) -> Holder {
        self.grant().map_or(Holder::Local, Holder::Grant)
    }

    /// On whose account it is answered.
    pub(super) fn attribution(&self) -> Attribution {
        match self {
            Self::Peer { by, .. } => by.clone(),
            Self::Own { actor, .. } => actor.attribution(),
        }
    }

    fn dataset(&self) -> &DatasetRef {
        match self {
            Self::Peer { lease, .. } => &lease.terms().scope.dataset,
            Self::Own { dataset, .. } => dataset,
        }
    }

    /// Permission to let one chunk leave; a grant does not change while it is held.
    pub(super) async fn guard(&self, now: Timestamp) -> Result<Option<ChunkGuard>, Refusal> {
        match self {
            Self::Peer { lease, .. } => lease.guard(now).await.map(Some),
            Self::Own { .. } => Ok(None),
        }
    }
}

impl Sharing {
    /// The policy set in force. A decision and its entry in the ledger take the same one.
    pub(super) fn policy(&self) -> Policy {
        self.0.parts.policy.current()
    }

    /// What of the dataset may be shown for this question at this moment.
    pub(super) async fn decide(&self, case: &Case, policy: &Policy) -> Result<Scope, Refusal> {
        match self.weigh(case, policy).await?.0 {
            QueryDecision::Permit(scope) => Ok(*scope),
            QueryDecision::Deny { reasons } => Err(denied(reasons)),
        }
    }

    /// The decision rule by rule; a refusal is one that comes before any rule.
    pub(super) async fn weigh(&self, case: &Case, policy: &Policy) -> Result<(QueryDecision, Explanation), Refusal> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let facts = dataset_facts(&parts.storage, case.dataset())
            .await
            .map_err(|_| failed("the catalogue cannot be read"))?;
        let ours = &parts.identity.institution;
        Ok(match case {
            Case::Peer { query, lease, .. } => {
                let no_roster = |_| failed("there is no roster in force at the holder");
                let roster = parts.membership.in_force(now).map_err(no_roster)?;
                let member = |id| party(&roster, id).ok_or_else(|| failed("a party is not on the roster"));
                // The name may stand on the roster with another key, or no longer be active, since the question came.
                if !speaks(&roster, lease.peer()) {
                    return Err(Refusal::because(
                        RefusalCode::Denied,
                        "the institution that asks is no active member with the key that it has shown",
                    ));
                }
                policy.explain(
                    &QueryInput {
                        granted: &lease.terms().scope,
                        asker: query.assertion(),
                        purpose: &query.envelope().purpose,
                        as_of: case.version().is_some(),
                        consumer: &member(&lease.terms().consumer)?,
                        provider: &member(ours)?,
                        dataset: facts.as_ref(),
                    },
                    now,
                )
            }
            Case::Own {
                actor,
                assertion,
                purpose,
                ..
            } => {
                let known = parts.sessions.recheck(actor, now);
                known.map_err(|gone| Refusal::because(RefusalCode::Denied, gone.to_string()))?;
                let home = self.home(now);
                let input = LocalInput {
                    asker: assertion,
                    purpose,
                    as_of: case.version().is_some(),
                    home: &home,
                    dataset: facts.as_ref(),
                };
                policy.decide_local(&input, now)
            }
        })
    }

    /// This institution as the policy knows it; before it has joined a consortium, by its own word.
    pub(super) fn home(&self, now: Timestamp) -> policy::Party {
        let parts = &self.0.parts;
        let identity = &parts.identity;
        let listed = parts
            .membership
            .newest()
            .filter(|roster| roster.in_force(now).is_ok())
            .and_then(|roster| party(&roster, &identity.institution));
        listed.unwrap_or_else(|| policy::Party {
            institution: identity.institution.clone(),
            jurisdiction: identity.jurisdiction.clone(),
            status: None,
        })
    }

    /// What a decision is made under: the policy set, and what the steward has set for the dataset.
    async fn policy_digest(&self, case: &Case, policy: &Policy) -> Digest32 {
        let parts = &self.0.parts;
        let facts = dataset_facts(&parts.storage, case.dataset()).await;
        let release = facts.ok().flatten().map(|facts| facts.release).unwrap_or_default();
        policy.digest_with(&release)
    }

    /// Most queries of the grant in 24 hours: as agreed, or as the dataset's steward has set it since, whichever are fewer.
    pub(super) async fn queries_per_day(&self, scope: &Scope) -> Option<u32> {
        let parts = &self.0.parts;
        let facts = dataset_facts(&parts.storage, &scope.dataset).await;
        let release = facts.ok().flatten().map(|facts| facts.release).unwrap_or_default();
        let today = parts.policy.current().limits(&release, scope.tier).max_queries_per_day;
        Some(
            scope
                .limits
                .max_queries_per_day
                .map_or(today, |agreed| agreed.min(today)),
        )
    }

    /// Writes the decision down; only what the ledger holds may be acted upon.
    pub(super) async fn record(
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
                .map(|r| text::Reason::fitted(&r.text))
                .collect(),
            policy: self.policy_digest(case, policy).await,
            sql: Some(sql_digest(case.sql())),
        };
        parts
            .ledger
            .append_async(entry, &case.attribution(), parts.clock.now())
            .await
            .map_err(|error| {
                tracing::error!(%error, "the ledger cannot be written, so nothing is served");
                failed("the holder cannot write its ledger and therefore serves nothing")
            })
    }
}

/// Names the SQL text in ledgers, the same way as in receipts.
fn sql_digest(sql: &str) -> Digest32 {
    Digest32::sha256(concordat_protocol::labels::SQL_HASH, sql.as_bytes())
}

pub(super) fn failed(text: &str) -> Refusal {
    Refusal::because(RefusalCode::Failed, text)
}

fn denied(reasons: Vec<policy::Reason>) -> Refusal {
    let told = |reason: policy::Reason| Reason {
        text: reason.text,
        remedy: reason.remedy,
        rule: Some(reason.rule),
    };
    Refusal {
        code: RefusalCode::Denied,
        reasons: reasons.into_iter().map(told).collect(),
    }
}
