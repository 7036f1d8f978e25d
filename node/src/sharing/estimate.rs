//! What would be decided about a query, before it is sent.
//!
//! 1. The same checks as of a query, in the same order, as far as they need no text: the statement about the person is valid, there is a lease
//!    under the grant, neither the queries nor the texts of the day are used up, the policy permits it, and below `records` the limits of the
//!    person and of the institution have not been reached.
//! 2. None of them uses anything up: no query and no text is counted, no decision is entered, and that a limit has been reached is not held
//!    against the person. There is no permit, so nothing can open the engine.
//! 3. No version is opened. The reply has terms, counts of queries and what earlier answers used of the noise ([`super::noise_budget`]), and no figure
//!    that depends on data.
//!
//! A refusal of a peer is entered in the ledger in limited number ([`super::early`]), so that a member that tries out what it could get is
//! seen. An institution gets one decision at a time, as for its queries.

use std::collections::BTreeMap;

use concordat_network::hello::Attested;
use concordat_network::{FramedStream, NetworkError, Session};
use concordat_protocol::ids::{ActorId, CollectionName, DatasetName, InstitutionId};
use concordat_protocol::policy_set::Settings;
use concordat_protocol::query::{Parties, ValidAssertion};
use concordat_protocol::scope::{Purpose, Scope, Tier};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{
    EstimateReply, EstimateRequest, EstimatedTerms, NoiseBudget, Reason, Refusal,
};
use concordat_storage::catalog::{CatalogError, CollectionManifest};

use super::catalog::two_digits;
use super::decision::UnderGrant;
use super::handle::Sharing;
use super::limits_below_records::CountedQuery;
use super::party_limits::Party;
use super::refusal::{failed, invalid};
use super::requester::Requester;
use super::text_budget::TextSender;
use super::wait_deadline::WaitDeadline;
use crate::negotiation::{Lease, collection_facts};

impl Sharing {
    /// Answers estimates, one at a time for each institution.
    pub(super) async fn send_estimates(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let session = stream.session().clone();
        let consumer = session.until_attested().await?;
        while let Some(request) = stream.recv::<EstimateRequest>().await? {
            let reply = match self.estimate(request, &consumer, &session).await {
                Ok(terms) => EstimateReply::Permitted(terms),
                Err(refusal) => {
                    self.refused_early(&session, &of_estimate(&refusal)).await;
                    EstimateReply::Refused(refusal)
                }
            };
            stream.send(&reply).await?;
        }
        stream.close().await
    }

    async fn estimate(
        &self,
        request: EstimateRequest,
        consumer: &Attested,
        session: &Session,
    ) -> Result<EstimatedTerms, Refusal> {
        let EstimateRequest {
            grant,
            actor,
            purpose,
            version,
            sql_bytes,
        } = request;
        let parts = &self.0.parts;
        let party = Party::Institution(consumer.institution.clone());
        let _slot = self.0.limits.decision_slot(&party, WaitDeadline::start()).await?;
        let now = parts.clock.now();
        let parties = Parties {
            peer: session.peer(),
            consumer: consumer.institution.clone(),
            provider: parts.identity.institution.clone(),
        };
        let person = ValidAssertion::check(actor, &parties, now);
        let person = person.map_err(|error| invalid(error.rule(), error.to_string()))?;
        let lease = parts.grants.lease(&grant, consumer, now).await?;
        let under_grant = self.left_under_grant(&lease, now).await?;
        let sender = TextSender::Institution(&consumer.institution);
        let length = usize::try_from(sql_bytes).unwrap_or(usize::MAX);
        self.0.texts.check(sender, length, now).await?;
        let query = UnderGrant {
            lease: &lease,
            requester: person.assertion(),
            purpose: &purpose,
            as_of: version.is_some(),
        };
        let (scope, limits) = self.decide_estimate(&query).await?;
        let who = (&lease.terms().consumer, &person.assertion().actor);
        let below_records = self.left_below_records((&scope, limits), who, now);
        let left = fewest(Some(under_grant), below_records.await?);
        let noise = self.noise_budget(&scope, &lease.terms().consumer).await;
        Ok(terms(&scope, left, noise))
    }

    /// How many more queries there may be under the grant today.
    async fn left_under_grant(&self, lease: &Lease, now: Timestamp) -> Result<u32, Refusal> {
        let limit = self.queries_per_day(lease);
        self.0.quota.left(lease.terms().grant, limit, now).await
    }

    /// How many more queries of the person there may be below `records`; `None` at `records`, where they are not counted.
    async fn left_below_records(
        &self,
        (scope, limits): (&Scope, Settings),
        (institution, person): (&InstitutionId, &ActorId),
        now: Timestamp,
    ) -> Result<Option<u32>, Refusal> {
        if scope.tier >= Tier::Records {
            return Ok(None);
        }
        let query = CountedQuery {
            collection: scope.collection.clone(),
            institution: institution.clone(),
            person: person.clone(),
        };
        self.0.below_records.left(query, limits, now).await.map(Some)
    }

    /// The same for one of this institution's own people and a collection of its own, with a text of so many bytes.
    ///
    /// # Errors
    /// [`Refusal`] with every reason.
    pub(crate) async fn estimate_own(
        &self,
        requester: &Requester,
        (collection, purpose): (&CollectionName, &Purpose),
        sql_bytes: usize,
    ) -> Result<EstimatedTerms, Refusal> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let person = requester.actor().id();
        self.0
            .texts
            .check(TextSender::OwnPerson(person), sql_bytes, now)
            .await?;
        let scope = self
            .local_scope(requester, purpose, &DatasetName::from(collection))
            .await?;
        let scope = scope.ok_or_else(|| failed("the dataset does not exist any more"))?;
        let facts = collection_facts(&parts.storage, &scope.collection).await;
        let facts = facts.map_err(|_| failed("the catalog cannot be read"))?;
        let release = facts.map(|facts| facts.release).unwrap_or_default();
        let limits = self.policy().limits(&release, scope.tier);
        let who = (&parts.identity.institution, person);
        let left = self.left_below_records((&scope, limits), who, now).await?;
        let noise = self.noise_budget(&scope, &parts.identity.institution).await;
        Ok(terms(&scope, left, noise))
    }

    /// The rows of each dataset of an own collection, rounded as peers see them; none if it does not exist. Only the manifest is read.
    pub(crate) async fn own_rows(&self, collection: &CollectionName) -> BTreeMap<DatasetName, u64> {
        let catalog = self.0.parts.storage.catalog().clone();
        let collection = collection.clone();
        let read = move || {
            let datasets = catalog.datasets();
            let record = datasets.collection(&collection)?;
            datasets.current_version(&record)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(manifest)) => rows_of(&manifest),
            Ok(Err(CatalogError::NotFound { .. })) | Err(_) => BTreeMap::new(),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the rows of a collection cannot be read");
                BTreeMap::new()
            }
        }
    }
}

fn rows_of(manifest: &CollectionManifest) -> BTreeMap<DatasetName, u64> {
    let datasets = manifest.datasets().iter();
    datasets
        .map(|dataset| (dataset.name.clone(), two_digits(dataset.rows)))
        .collect()
}

/// The smaller of two numbers of queries, of which `None` is not limited.
fn fewest(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (left, None) | (None, left) => left,
    }
}

fn terms(scope: &Scope, queries_left: Option<u32>, noise: Option<NoiseBudget>) -> EstimatedTerms {
    EstimatedTerms {
        tier: scope.tier,
        protection: scope.protection,
        limits: scope.limits,
        queries_left,
        noise,
    }
}

/// The refusal as the ledger names it: nothing was queried.
fn of_estimate(refusal: &Refusal) -> Refusal {
    let reasons = refusal.reasons.iter().map(|reason| Reason {
        text: format!("an estimate: {}", reason.text),
        remedy: reason.remedy.clone(),
        rule: reason.rule.clone(),
    });
    Refusal {
        code: refusal.code,
        reasons: reasons.collect(),
    }
}
