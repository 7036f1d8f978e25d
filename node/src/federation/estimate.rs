//! What a query would do, cost and show, before it is sent.
//!
//! 1. The query is planned as if it were sent: the same grants, columns and texts ([`mod@super::plan`]).
//! 2. The holder of each permission that it would use states how it would decide about a query of this person now
//!    (`/concordat/estimate/1`); about own datasets this node decides itself. No permission is queried, and nothing is counted.
//! 3. The rows of each dataset are those of its holder's catalog, rounded to two digits. What an answer costs, and what of it is left out by
//!    rule, follows from them and from the terms ([`cost`], [`suppressed`]).

mod cost;
mod noise;
mod suppressed;
mod would_send;

use std::collections::BTreeMap;

use concordat_documents::decision::Decision;
use concordat_documents::query::QueryEstimate;
use concordat_network::NetworkError;
use concordat_protocol::ids::{CollectionRef, DatasetName, DatasetRef, GrantId, InstitutionId, QueryId};
use concordat_protocol::signed::Signed;
use concordat_protocol::wire::messages::{EstimateReply, EstimateRequest, EstimatedTerms};
use concordat_protocol::wire::streams::ESTIMATE;
use futures::future::join_all;

use self::would_send::{Decided, Permission, WouldSend};
use super::Question;
use super::absent::Absent;
use super::error::FederationError;
use super::handle::Federation;
use super::report::QueryReport;
use super::source::{Access, Target};
use crate::iam::Actor;
use crate::sharing::Requester;

/// How long a statement about a person is valid for an estimate, in seconds: as long as a holder may take, with different clocks.
const VALID_SECONDS: i64 = 300;

impl Federation {
    /// What `question` would do, cost and show for `actor`. Each holder that it would query decides about it, and none reads a row.
    ///
    /// # Errors
    /// The [`FederationError`] that the query would fail with before it is sent.
    pub async fn estimate(&self, actor: &Actor, question: &Question) -> Result<QueryEstimate, FederationError> {
        let requester = Requester::authorize(actor)?;
        let report = QueryReport::default();
        let parsed = self.query_tables(actor, &question.sql).await?;
        let targets = self.targets(&parsed, &requester, question, &report).await?;
        let tables = self
            .tables(targets, &requester, &mut Absent::default(), &report)
            .await?;
        let planned = self.plan(actor, &question.sql, &tables, &report).await?;
        let would_send = WouldSend::of(planned, &tables, &parsed)?;
        let (rows, decided) = tokio::join!(self.rows_of(&would_send), self.decided(&requester, &would_send));
        let is_complete = question.allow_partial || report.require_complete().is_ok();
        let mut estimate = would_send.document(&decided, &rows);
        if !is_complete {
            estimate.decision = Decision::Deny;
        }
        estimate.remarks = report.summary().remarks;
        Ok(estimate)
    }

    /// How the holder of each permission would decide.
    async fn decided(&self, requester: &Requester, would_send: &WouldSend<'_>) -> Vec<Decided> {
        let mut holders: BTreeMap<InstitutionId, Vec<Permission>> = BTreeMap::new();
        for permission in would_send.permissions() {
            let holder = permission.target.dataset.institution.clone();
            holders.entry(holder).or_default().push(permission);
        }
        let holders = holders.into_values();
        let decided = holders.map(|permissions| self.decided_by_one(requester, permissions));
        join_all(decided).await.into_iter().flatten().collect()
    }

    /// The same for the permissions of one holder, one after the other: it decides one of an institution at a time, and the streams are needed for
    /// queries.
    async fn decided_by_one(&self, requester: &Requester, permissions: Vec<Permission>) -> Vec<Decided> {
        let mut decided = Vec::new();
        for permission in permissions {
            let terms = self.terms_of(requester, &permission).await;
            decided.push(Decided { permission, terms });
        }
        decided
    }

    async fn terms_of(
        &self,
        requester: &Requester,
        permission: &Permission,
    ) -> Result<EstimatedTerms, FederationError> {
        let Permission { target, sql_bytes, .. } = permission;
        let terms = match target.access {
            Access::Own => {
                let about = (&target.dataset.collection, &target.purpose);
                let own = self.0.parts.sharing.estimate_own(requester, about, *sql_bytes).await;
                return own.map_err(|refusal| self.refused_locally(refusal));
            }
            Access::Grant(grant) => self.terms_of_holder(requester, (target, grant), *sql_bytes).await?,
        };
        within(target, terms)
    }

    async fn terms_of_holder(
        &self,
        requester: &Requester,
        (target, grant): (&Target, GrantId),
        sql_bytes: usize,
    ) -> Result<EstimatedTerms, FederationError> {
        let parts = &self.0.parts;
        let provider = &target.dataset.institution;
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|error| FederationError::machine("the system provides no random numbers", error))?;
        let until = parts.clock.now().plus_seconds(VALID_SECONDS);
        let person = requester
            .actor()
            .assert_for(provider.clone(), QueryId::from_bytes(id), until)?;
        let person = Signed::sign(&person, &parts.identity.node_key)
            .map_err(|error| FederationError::machine("the estimate cannot be signed", error))?;
        let request = EstimateRequest {
            grant,
            actor: person.signed().clone(),
            purpose: target.purpose.clone(),
            version: target.version,
            sql_bytes: u32::try_from(sql_bytes).unwrap_or(u32::MAX),
        };
        let unreachable = |source: NetworkError| FederationError::Unreachable {
            provider: provider.clone(),
            source,
        };
        let (_, mut stream) = self.connect(provider, &grant, ESTIMATE).await?;
        stream.send(&request).await.map_err(unreachable)?;
        match stream.expect().await.map_err(unreachable)? {
            EstimateReply::Permitted(terms) => Ok(terms),
            EstimateReply::Refused(refusal) => Err(FederationError::Refused {
                provider: provider.clone(),
                refusal,
            }),
        }
    }

    /// The rows of the datasets that would be read, as far as their catalogs list them.
    async fn rows_of(&self, would_send: &WouldSend<'_>) -> BTreeMap<DatasetRef, u64> {
        let own = &self.0.parts.identity.institution;
        let of_collection = |collection: CollectionRef| async move {
            if collection.institution == *own {
                let rows = self.0.parts.sharing.own_rows(&collection.collection).await;
                let rows = rows.into_iter();
                return rows
                    .map(|(dataset, rows)| (named(&collection, dataset), rows))
                    .collect::<Vec<_>>();
            }
            let listed = self.collection_of(&collection).await.unwrap_or_default();
            let rows = listed.into_iter();
            rows.map(|remote| (remote.dataset, remote.listed.about_rows))
                .collect::<Vec<_>>()
        };
        let listed = join_all(would_send.collections().into_iter().map(of_collection)).await;
        listed.into_iter().flatten().collect()
    }
}

/// The terms, unless they are wider than the grant: this node would not accept such an answer.
fn within(target: &Target, terms: EstimatedTerms) -> Result<EstimatedTerms, FederationError> {
    if terms.tier > target.tier {
        return Err(FederationError::Misbehaved {
            provider: target.dataset.institution.clone(),
            detail: "it states a higher tier than that of the grant".to_owned(),
        });
    }
    Ok(terms)
}

fn named(collection: &CollectionRef, dataset: DatasetName) -> DatasetRef {
    DatasetRef {
        institution: collection.institution.clone(),
        collection: collection.collection.clone(),
        dataset,
    }
}

#[cfg(test)]
mod tests;
