//! What this node answers about a canary, so that a peer can compare it with what the node announces ([`concordat_protocol::probe`]).
//!
//! 1. The canary is generated from the peer's seed, and nothing is imported. It is a collection without rules of its own, so the policy set
//!    decides the minimum, as for the next collection that is published.
//! 2. The statements are answered by the engine's processes and decided as queries are, from a memory of their own (`memory.rs`).
//! 3. There is no permit, because the engine takes a canary and nothing else there ([`Workers::probed`](concordat_engine::Workers::probed)),
//!    and no entry in the ledger, because nothing of a person is released.
//!
//! A probe takes a slot of the institution that sent it and its engine time, and waits for none. One is answered at a time, and
//! a few of a node in a day (`limits.rs`).

mod limits;
mod memory;

use std::time::Duration;

use concordat_disclosure::{Reserved, SpaceLimits, UnitSet};
use concordat_engine::{CanaryCollection, Changes, Deciding, Disclosure, LossOfQuery, QueryError, Requester};
use concordat_network::{FramedStream, NetworkError};
use concordat_protocol::canary::CanaryFacts;
use concordat_protocol::ids::{CanarySeed, DatasetName, InstitutionId, NodeId};
use concordat_protocol::policy_set::Settings;
use concordat_protocol::probe::{ProbeAnswer, ProbeRun, ProbeStatement, ProbedCell};
use concordat_protocol::release::ReleaseRules;
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{
    DeltaExponent, InvalidScope, Loss, MicroRho, Noise, Protection, ProtectionName, Scope, Tier,
};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{ProbeReply, ProbeRequest, Refusal, RefusalCode};
use futures::future::BoxFuture;
use zeroize::Zeroizing;

use super::disclosure_rules::disclosure_of;
use super::handle::Sharing;
use super::memory::{MemoryError, OsEntropy};
use super::party_limits::Party;
use super::refusal::{failed, refusal_of};
use super::statistics::{DISTINCTIONS, MEMORY_BYTES};
use super::wait_deadline::WaitDeadline;
use crate::clock::timer_now;
use memory::CanaryMemory;

pub(super) use limits::Probes;

/// How long a probe may take, which is less than its sender waits: [`Deadlines::QUIET`](concordat_network::Deadlines::QUIET).
const PROBE_TIMEOUT: Duration = Duration::from_secs(50);
/// The noise of perturbed figures: its variance, its largest deviation, and what counts are multiples of.
const NOISE: (u16, u8, u8) = (3, 5, 5);
/// The loss of private figures: of a query and of all, in millionths of rho, and the exponent of delta. All statements are within it.
const MICRO_RHO: (u64, u64, u8) = (20_000, MicroRho::PER_RHO, 6);

impl Sharing {
    /// Answers one probe.
    pub(super) async fn answer_probe(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let session = stream.session().clone();
        let prober = session.until_attested().await?;
        let ProbeRequest { seed } = stream.expect().await?;
        let probed = self.probed((session.peer(), &prober.institution), seed).await;
        let reply = probed.map_or_else(ProbeReply::Refused, ProbeReply::Answered);
        stream.send(&reply).await?;
        stream.close().await
    }

    async fn probed(
        &self,
        (node, institution): (NodeId, &InstitutionId),
        seed: CanarySeed,
    ) -> Result<Vec<ProbeRun>, Refusal> {
        let now = self.0.parts.clock.now();
        let _only = self.0.probes.admit(node, now)?;
        let party = Party::Institution(institution.clone());
        let now_or_never = WaitDeadline::after(Duration::ZERO);
        let _slot = self.0.limits.acquire(party, now_or_never).await?;
        let canary = CanaryCollection::of(seed).await.map_err(|error| refusal_of(&error))?;
        let least = self.probed_limits().protection;
        let protections = protections(least).map_err(|_| failed("the protections of probes are invalid"))?;
        let runs = async {
            let mut runs = Vec::new();
            for protection in protections {
                runs.push(self.probe_run(&canary, protection, now).await?);
            }
            Ok::<_, Refusal>(runs)
        };
        let runs = tokio::time::timeout(PROBE_TIMEOUT, runs).await;
        runs.map_err(|_| Refusal::because(RefusalCode::Busy, "the probe takes too long now; try again later"))?
    }

    /// The limits of the next collection that is published.
    fn probed_limits(&self) -> Settings {
        let policy = self.0.parts.policy.current();
        policy.limits(&ReleaseRules::default(), Tier::Aggregate)
    }

    /// The answers to all statements with one protection.
    async fn probe_run(
        &self,
        canary: &CanaryCollection,
        protection: Protection,
        now: Timestamp,
    ) -> Result<ProbeRun, Refusal> {
        let settings = self.probed_limits();
        let institution = &self.0.parts.identity.institution;
        let scope = canary.scope(institution, (settings.min_cell, protection), now);
        let scope = scope.map_err(|error| refusal_of(&error))?;
        let mut probing = Probing::new(self, canary, &scope).map_err(|error| refusal_of(&error))?;
        let mut answers = Vec::new();
        for statement in ProbeStatement::ALL {
            let answer = probing.answer(statement, &canary.canary().facts).await;
            if let Err(error) = &answer {
                tracing::debug!(%error, ?statement, "a statement of a probe is not answered");
            }
            answers.push(answer.map_or(ProbeAnswer::Refused, ProbeAnswer::Cells));
        }
        Ok(ProbeRun { protection, answers })
    }
}

/// Each protection that reveals no more than `least`, as a scope has it: the ones that are announced.
fn protections(least: ProtectionName) -> Result<Vec<Protection>, InvalidScope> {
    let announced = ProtectionName::ALL.into_iter().filter(|name| *name >= least);
    announced.map(protection_of).collect()
}

fn protection_of(name: ProtectionName) -> Result<Protection, InvalidScope> {
    Ok(match name {
        ProtectionName::Exact => Protection::Exact,
        ProtectionName::Perturbed => {
            let (variance, max, round) = NOISE;
            Protection::Perturbed(Noise::new(variance, max, round)?)
        }
        ProtectionName::Private => {
            let (query, total, delta) = MICRO_RHO;
            let loss = Loss::new(MicroRho::new(query)?, MicroRho::new(total)?, DeltaExponent::new(delta)?)?;
            Protection::Private(loss)
        }
    })
}

/// The statements of one run, with what they are decided by.
struct Probing<'a> {
    sharing: &'a Sharing,
    canary: &'a CanaryCollection,
    scope: &'a Scope,
    disclosure: Disclosure,
    memory: CanaryMemory,
    entropy: OsEntropy,
}

impl<'a> Probing<'a> {
    /// With a secret of its own, so that nothing about the noise of stored collections is shown.
    fn new(sharing: &'a Sharing, canary: &'a CanaryCollection, scope: &'a Scope) -> Result<Self, QueryError> {
        let unknown = |error: MemoryError| error.to_query_error();
        let mut entropy = OsEntropy::new().map_err(unknown)?;
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(|error| unknown(MemoryError::Random(error)))?;
        let limits = SpaceLimits {
            k: scope.limits.min_cell,
            distinctions: DISTINCTIONS,
            bytes: MEMORY_BYTES,
        };
        Ok(Self {
            sharing,
            canary,
            scope,
            disclosure: disclosure_of(scope, secret)?,
            memory: CanaryMemory::new(limits, &mut entropy)?,
            entropy,
        })
    }

    async fn answer(&mut self, statement: ProbeStatement, facts: &CanaryFacts) -> Result<Vec<ProbedCell>, QueryError> {
        let loss = match self.scope.protection {
            Protection::Private(loss) => Some(LossOfProbe(&self.memory, loss)),
            Protection::Exact | Protection::Perturbed(_) => None,
        };
        let deciding = Deciding {
            disclosure: &self.disclosure,
            memory: &self.memory,
            entropy: &mut self.entropy,
            requester: Requester {
                person: "probe".to_owned(),
                grant: None,
            },
            changes: &OneVersion,
            loss: loss.as_ref().map(|loss| loss as &dyn LossOfQuery),
            since: timer_now(),
            // No one is locked for a probe.
            isolated: &|| (),
        };
        let sql = statement.sql(facts);
        let workers = &self.sharing.0.workers;
        let answered = workers.probed(self.canary, self.scope, &sql, deciding, PROBE_TIMEOUT);
        answered.await
    }
}

/// The loss of one statement.
struct LossOfProbe<'a>(&'a CanaryMemory, Loss);

impl LossOfQuery for LossOfProbe<'_> {
    fn reserve(&self) -> BoxFuture<'_, Result<Reserved, QueryError>> {
        let Self(memory, loss) = self;
        Box::pin(memory.reserve(*loss))
    }
}

/// A canary has one version.
struct OneVersion;

impl Changes for OneVersion {
    fn subjects(&self, _: VersionNumber) -> Result<Option<UnitSet>, QueryError> {
        Ok(None)
    }

    fn rows(&self, _: &DatasetName, _: VersionNumber) -> Result<Option<UnitSet>, QueryError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_has_a_run_for_each_protection_that_is_announced() {
        use ProtectionName::{Exact, Perturbed, Private};
        let runs =
            |least| -> Vec<ProtectionName> { protections(least).unwrap().iter().map(Protection::name).collect() };
        assert_eq!(runs(Exact), [Exact, Perturbed, Private]);
        assert_eq!(runs(Perturbed), [Perturbed, Private]);
        assert_eq!(runs(Private), [Private]);
        for name in ProtectionName::ALL {
            assert_eq!(protection_of(name).unwrap().name(), name);
        }
    }
}
