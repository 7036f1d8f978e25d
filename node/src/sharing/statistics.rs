//! With what an answer below `records` is decided.
//!
//! 1. The rules of the collection are those of now, also for an older version: what its columns distinguish does not depend on the version
//!    that is queried.
//! 2. The memory is that of the consumer's institution, for all its people and grants. Its smallest cell is the largest of all grants
//!    that the institution can use, so that what one grant shows does not undo what another one protects.
//! 3. Loss of privacy is reserved before anything is computed. A repetition of what was answered costs nothing.
//! 4. The answer leaves at one of few times, also if nothing of it is released ([`super::time_slot`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use concordat_disclosure::{Reserved, SpaceLimits};
use concordat_engine::{
    Deciding, DisclosedAnswer, IpcAnswer, LossOfQuery, Permit, QueryError, Requester, StillPermitted,
};
use concordat_protocol::audit::EntryBody;
use concordat_protocol::collection::CollectionRules;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::grant::{Effective, Party};
use concordat_protocol::ids::{CreationId, InstitutionId};
use concordat_protocol::scope::{Loss, Protection, Scope};
use concordat_protocol::wire::messages::Refusal;
use concordat_storage::answers::MemoryOwner;
use concordat_storage::catalog::{CatalogError, Collection as _, OpenCollection};
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::case::Case;
use super::disclosure_rules::disclosure_of;
use super::grant_columns::check_declared;
use super::handle::Sharing;
use super::memory::{ChangesBefore, CollectionMemory, MemoryError, MemoryKey, OsEntropy, ReservedLoss};
use super::refusal::{failed, invalid, refusal_of};
use super::time_slot::until_slot;

/// How many sets of subjects, none of which follows from others, may be released to an owner, unless a permission has a lower limit.
pub(super) const DISTINCTIONS: u32 = 512;
/// What the bases of one memory may have, in bytes.
pub(super) const MEMORY_BYTES: usize = 64 << 20;

/// What is decided about one query.
pub(super) struct StatisticQuery<'a> {
    pub(super) case: &'a Case,
    pub(super) scope: &'a Scope,
    pub(super) version: &'a OpenCollection,
    /// When it was admitted.
    pub(super) since: Instant,
}

/// The record of the collection, as far as it decides.
struct Declared {
    rules: CollectionRules,
    created: CreationId,
}

/// Answers a query below `records` from decided cells. When it returns, the answer is durable and may leave.
///
/// # Errors
/// [`Refusal`]; nothing was released then.
pub(super) async fn answer_statistic(
    sharing: &Sharing,
    query: StatisticQuery<'_>,
    permit: Permit,
    watch: Arc<dyn StillPermitted>,
    limits: (Duration, usize),
) -> Result<IpcAnswer, Refusal> {
    let StatisticQuery {
        case,
        scope,
        version,
        since,
    } = query;
    let declared = declared(sharing, version).await?;
    check_declared(case, &declared.rules)?;
    let disclosure = disclosure_of(scope, version.cell_secret()).map_err(|error| refusal_of(&error))?;
    let memory = memory_of(sharing, (case, scope, version), declared.created).await;
    let mut entropy = OsEntropy::new().map_err(|error| unknown(&error))?;
    let loss = match scope.protection {
        Protection::Private(loss) => Some(LossOfCase {
            sharing,
            case,
            memory: &memory,
            loss,
        }),
        Protection::Exact | Protection::Perturbed(_) => None,
    };
    let noting = Noting::new(sharing, case);
    let isolated = || noting.begin();
    let changes = ChangesBefore::new(sharing.0.parts.storage.catalog().clone(), version.clone());
    let deciding = Deciding {
        disclosure: &disclosure,
        memory: &memory,
        entropy: &mut entropy,
        requester: Requester {
            person: case.assertion().actor.to_string(),
            grant: case.grant(),
        },
        changes: &changes,
        loss: loss.as_ref().map(|loss| loss as &dyn LossOfQuery),
        since,
        isolated: &isolated,
    };
    let text = (&declared.rules, (case.sql(), case.version()));
    let workers = &sharing.0.workers;
    let answer = workers.disclosed(permit, version, text, deciding, watch, limits).await;
    noting.end().await?;
    let DisclosedAnswer { answer, class } = answer.map_err(|error| refusal_of(&error))?;
    let answer = answer.into_ipc().map_err(|error| refusal_of(&error))?;
    until_slot(since, class, limits.0.min(sharing.bounds().time)).await;
    Ok(answer)
}

/// Notes that a query has an answer with a cell that is withheld for what was answered before, once for each query. It runs to its end also
/// if the answer is not awaited any more: a requester who leaves while it is decided could have it repeated.
struct Noting<'a> {
    sharing: &'a Sharing,
    case: &'a Case,
    begun: Mutex<Option<JoinHandle<Result<(), Refusal>>>>,
}

impl<'a> Noting<'a> {
    const fn new(sharing: &'a Sharing, case: &'a Case) -> Self {
        Self {
            sharing,
            case,
            begun: Mutex::new(None),
        }
    }

    fn begin(&self) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.is_none() {
            let noted = self.sharing.note_isolating(self.case);
            *begun = Some(self.sharing.0.parts.stage.spawn(noted));
        }
    }

    /// Waits until it is durable.
    async fn end(self) -> Result<(), Refusal> {
        let begun = self.begun.into_inner().unwrap_or_else(PoisonError::into_inner);
        match begun {
            Some(noted) => noted
                .await
                .unwrap_or_else(|_| Err(failed("the answer could not be noted"))),
            None => Ok(()),
        }
    }
}

/// The loss of privacy of a query.
struct LossOfCase<'a> {
    sharing: &'a Sharing,
    case: &'a Case,
    memory: &'a CollectionMemory,
    loss: Loss,
}

impl LossOfQuery for LossOfCase<'_> {
    fn reserve(&self) -> BoxFuture<'_, Result<Reserved, QueryError>> {
        Box::pin(self.reserved())
    }
}

impl LossOfCase<'_> {
    /// Reserves it: durable, and in the ledger, when this returns. If the node stops in between, the loss is reserved without an entry:
    /// what is left is never more than the ledger states.
    async fn reserved(&self) -> Result<Reserved, QueryError> {
        let Self {
            sharing,
            case,
            memory,
            loss,
        } = self;
        let reserved = memory.reserve(*loss, loss.query()).await;
        let ReservedLoss { reserved, left } = reserved.map_err(|error| error.to_query_error())?;
        let entry = EntryBody::BudgetReserved {
            query: case.query(),
            collection: case.collection().collection,
            micro_rho: loss.query().get(),
            left,
        };
        let parts = &sharing.0.parts;
        let by = case.attribution().for_outcome();
        let entered = parts.ledger.append_async(entry, &by, parts.clock.now()).await;
        let entered = entered.map_err(|error| {
            tracing::error!(%error, "the loss of privacy of a query is not in the ledger, so it is not answered");
            QueryError::Reported {
                kind: ErrorKind::Internal,
                text: "the holder cannot write its ledger and therefore answers no queries".to_owned(),
            }
        })?;
        tracing::debug!(entry = entered.sequence(), "the loss of privacy of a query is reserved");
        Ok(reserved)
    }
}

/// The error of a memory, as the requester receives it.
fn unknown(error: &MemoryError) -> Refusal {
    refusal_of(&error.to_query_error())
}

/// The rules of the collection, and its creation. A collection that was imported before creations were recorded has no memory.
async fn declared(sharing: &Sharing, version: &OpenCollection) -> Result<Declared, Refusal> {
    let catalog = sharing.0.parts.storage.catalog().clone();
    let name = version.name().clone();
    let read = move || {
        let record = catalog.datasets().collection(&name)?;
        let rules = catalog.datasets().rules(&record)?;
        Ok::<_, CatalogError>((rules, record.created))
    };
    let found = tokio::task::spawn_blocking(read).await;
    let (rules, created) = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::error!(%error, "the rules of a collection cannot be read");
            return Err(refusal_of(&QueryError::Stored { kind: error.kind() }));
        }
        Err(_) => return Err(failed("the stored data cannot be read")),
    };
    let created = created.ok_or_else(|| {
        invalid(
            "creation-recorded",
            format!(
                "`{}` was imported by a version that did not record it, and answers only at `records`",
                version.name()
            ),
        )
    })?;
    Ok(Declared { rules, created })
}

/// The memory of the consumer's institution.
async fn memory_of(
    sharing: &Sharing,
    (case, scope, version): (&Case, &Scope, &OpenCollection),
    created: CreationId,
) -> CollectionMemory {
    let limits = limits_of(sharing, case.consumer(), scope).await;
    let key = MemoryKey {
        name: version.manifest().collection().into(),
        created,
        owner: MemoryOwner::Institution(case.consumer().clone()),
    };
    sharing.0.memories.of(key, version.manifest().version(), limits)
}

/// The limits of all answers to the institution about the collection.
pub(super) async fn limits_of(sharing: &Sharing, consumer: &InstitutionId, scope: &Scope) -> SpaceLimits {
    let granted = granted_limits(sharing, consumer, scope).await;
    let least = |cells: u32, (min_cell, _): &(u32, u32)| cells.max(*min_cell);
    let fewest = |sets: u32, (_, distinctions): &(u32, u32)| sets.min(*distinctions);
    SpaceLimits {
        k: granted.iter().fold(scope.limits.min_cell, least),
        distinctions: granted.iter().fold(distinctions_of(scope), fewest),
        bytes: MEMORY_BYTES,
    }
}

/// Smallest cell and distinctions of each grant by which the institution can query the collection now.
async fn granted_limits(sharing: &Sharing, consumer: &InstitutionId, scope: &Scope) -> Vec<(u32, u32)> {
    let parts = &sharing.0.parts;
    let now = parts.clock.now();
    let granted = parts.grants.list().await.into_iter().filter(|view| {
        let terms = &view.terms;
        view.party == Party::Provider
            && view.effective(now) == Effective::Active
            && terms.consumer == *consumer
            && terms.scope.collection == scope.collection
    });
    granted
        .map(|view| (view.terms.scope.limits.min_cell, distinctions_of(&view.terms.scope)))
        .collect()
}

fn distinctions_of(scope: &Scope) -> u32 {
    scope.limits.distinctions.unwrap_or(DISTINCTIONS).min(DISTINCTIONS)
}
