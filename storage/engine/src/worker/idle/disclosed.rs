//! Answers below tier `records`: cells that a process computes, decided here, and what a fresh process computes from the released ones.

use std::{sync::Arc, time::Duration};

use concordat_disclosure::{Entropy, Released, Reserved, TimeClass, UnitSet};
use concordat_protocol::{
    collection::CollectionRules,
    error_kind::ErrorKind,
    ids::{DatasetName, Digest32},
    schema::VersionNumber,
    scope::{Protection, Scope},
};
use concordat_storage::catalog::Collection;
use futures::future::BoxFuture;
use object_store::{ObjectStore, memory::InMemory};
use tokio::{sync::oneshot, time::Instant};

use super::{
    Workers,
    answered::{Answered, AnsweredScope},
};
use crate::{
    AnswerMemory, AnsweredVersion, Bounds, Disclosure, Permit, QueryError, ReleasedAnswer, Requester, StillPermitted,
    compute::{self, CellReport},
    decision::{
        CodeLists, LockedMemory, Release, Remembered, Requested, RowOwners as _, Sources, query_digest, repeated,
    },
    disclosure::RawAnswer,
    run::with_deadline,
    statistic::{KnownCollection, Statistic},
    worker::{
        cells::Expected,
        frames::Kind,
        messages::{encode, failed},
        process::steps_of,
        pump::{Pump, statistics::OwnersOfRows},
        statistics::{AboveTask, CellsTask, ListsTask, Planning, check_tier, decoded_statistics},
    },
};

/// With what the node decides about one answer.
pub struct Deciding<'a> {
    /// The rules, and the secret of the noise.
    pub disclosure: &'a Disclosure,
    /// What was answered before.
    pub memory: &'a dyn AnswerMemory,
    /// Where randomness comes from.
    pub entropy: &'a mut (dyn Entropy + Send),
    /// Who is answered.
    pub requester: Requester,
    /// What has changed since earlier versions.
    pub changes: &'a dyn Changes,
    /// Where the loss of the query is taken from, in private mode.
    pub loss: Option<&'a dyn LossOfQuery>,
    /// When the query began.
    pub since: Instant,
    /// Called before anything is stored of an answer of which a cell is withheld because a figure about few subjects would follow from it
    /// and from what was released before. It depends on data, and is for the holder only.
    pub isolated: &'a (dyn Fn() + Send + Sync),
}

/// Where the loss of privacy of a query is taken from.
pub trait LossOfQuery: Send + Sync {
    /// Reserves it, before anything is computed. It counts whatever becomes of the query.
    ///
    /// The future fails if there is less left, or if that cannot be stored: nothing is answered then.
    fn reserve(&self) -> BoxFuture<'_, Result<Reserved, QueryError>>;
}

/// An answer from decided cells.
#[derive(Debug)]
pub struct DisclosedAnswer {
    /// The answer.
    pub answer: ReleasedAnswer,
    /// When it may leave at the earliest, since the query began: that of its first time, if it is a repetition.
    pub class: TimeClass,
}

impl std::fmt::Debug for Deciding<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deciding")
            .field("disclosure", self.disclosure)
            .field("requester", &self.requester)
            .finish_non_exhaustive()
    }
}

/// Which units of the answered version differ from an earlier one, or are new. `None` if that is not known: then all differ.
pub trait Changes: Send + Sync {
    /// Subjects.
    ///
    /// # Errors
    /// [`QueryError`] if it cannot be read: nothing is answered then.
    fn subjects(&self, since: VersionNumber) -> Result<Option<UnitSet>, QueryError>;

    /// Rows of a dataset.
    ///
    /// # Errors
    /// As [`Self::subjects`].
    fn rows(&self, dataset: &DatasetName, since: VersionNumber) -> Result<Option<UnitSet>, QueryError>;
}

impl Workers {
    /// Answers a statement over a version of a collection within `permit`, below tier `records`: only cells that are released, and what is
    /// computed from them. A statement that names another version is refused. It needs a runtime with several threads.
    ///
    /// The more queries of the same party are already running, the lower the priority of the processes.
    ///
    /// # Errors
    /// [`QueryError`]; nothing was released then.
    pub async fn disclosed(
        &self,
        permit: Permit,
        collection: &dyn Collection,
        (rules, statement): (&CollectionRules, (&str, Option<VersionNumber>)),
        mut deciding: Deciding<'_>,
        watch: Arc<dyn StillPermitted>,
        (time, running): (Duration, usize),
    ) -> Result<DisclosedAnswer, QueryError> {
        let (holder, scope, receipt) = permit.open();
        let bounds = self.bounds_within(time);
        let sleep = tokio::time::sleep(bounds.time);
        let statement = Statement {
            collection,
            rules,
            scope: &scope,
            text: statement,
            answered: Answered::Scope(Box::new(AnsweredScope {
                holder,
                scope: scope.clone(),
            })),
            steps: steps_of(running),
        };
        let work = self.decided(statement, &bounds, &mut deciding);
        let (Decided { raw, class }, deadline) = with_deadline(sleep, work).await?;
        Ok(DisclosedAnswer {
            answer: ReleasedAnswer::new(raw, None, receipt, watch, deadline),
            class,
        })
    }

    /// What a statement computes of the cells that are released of it.
    ///
    /// # Errors
    /// As [`Self::disclosed`].
    pub(super) async fn decided(
        &self,
        statement: Statement<'_>,
        bounds: &Bounds,
        deciding: &mut Deciding<'_>,
    ) -> Result<Decided, QueryError> {
        let Statement {
            collection,
            rules,
            scope,
            text,
            answered,
            steps,
        } = statement;
        let known = compute::shown(rules, scope);
        let planning = Planning::new(collection, (scope.clone(), rules.clone()), text, bounds)?;
        let cells = Cells {
            workers: self,
            collection,
            rules,
            known: &known,
            scope,
            steps,
        };
        let decided = cells.decided(planning.clone(), answered, deciding).await?;
        let classes = decided.iter().map(|(_, release)| release.class);
        let class = classes.max().unwrap_or_default();
        let raw = self.above(AboveTask::new(planning, &released(decided))).await?;
        Ok(Decided { raw, class })
    }

    /// What a process that has received nothing else computes of released cells. It is ended with the answer.
    async fn above(&self, task: AboveTask) -> Result<RawAnswer, QueryError> {
        let process = self.fresh()?;
        let none: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        self.received(process, None, (Kind::Above, encode(&task)?), (none, Vec::new()))
            .await
    }
}

/// A statement about a collection, and what a process may have computed that answers it.
pub(super) struct Statement<'a> {
    pub(super) collection: &'a dyn Collection,
    pub(super) rules: &'a CollectionRules,
    pub(super) scope: &'a Scope,
    pub(super) text: (&'a str, Option<VersionNumber>),
    pub(super) answered: Answered,
    pub(super) steps: u8,
}

/// What a statement computes of released cells; see [`DisclosedAnswer`].
pub(super) struct Decided {
    pub(super) raw: RawAnswer,
    class: TimeClass,
}

/// What leaves of the groupings.
fn released(decided: Vec<(Statistic, Release)>) -> Vec<(Statistic, Released)> {
    let each = decided.into_iter();
    each.map(|(statistic, release)| (statistic, release.released)).collect()
}

/// A query whose cells are decided.
struct Cells<'a> {
    workers: &'a Workers,
    collection: &'a dyn Collection,
    rules: &'a CollectionRules,
    known: &'a KnownCollection,
    scope: &'a Scope,
    steps: u8,
}

impl Cells<'_> {
    /// The groupings of the query, with what is released of each. They are decided in their order.
    async fn decided(
        &self,
        planning: Planning,
        answered: Answered,
        deciding: &mut Deciding<'_>,
    ) -> Result<Vec<(Statistic, Release)>, QueryError> {
        let most = planning.most_cells();
        let task = encode(&CellsTask::new(self.collection, planning)?)?;
        let mut pump = self.pump(&answered)?;
        let body = pump.statistics(&task).await?;
        let statistics = decoded_statistics(&body, self.known, most)?;
        check_tier(self.scope.tier, &statistics)?;
        if matches!(self.scope.protection, Protection::Private(_)) && statistics.len() > 1 {
            return Err(QueryError::Reported {
                kind: ErrorKind::Denied,
                text: "a query for private figures has one grouping; write one query for each".to_owned(),
            });
        }
        let mut decided = Vec::new();
        for (number, statistic) in (0_u32..).zip(statistics) {
            let release = self.grouping((number, &statistic), &mut pump, deciding).await?;
            decided.push((statistic, release));
        }
        // What is released is decided, so a process that has ended is no error of the answer.
        if let Ok(process) = pump.end().await {
            self.workers.keep_idle(process, Some(answered));
        }
        Ok(decided)
    }

    /// What is released of one grouping: what was released before, or what is decided now. If the process ends while it reads rows, nothing
    /// of the grouping is released: whether it does can depend on values.
    async fn grouping(
        &self,
        (number, statistic): (u32, &Statistic),
        pump: &mut Pump,
        deciding: &mut Deciding<'_>,
    ) -> Result<Release, QueryError> {
        let version = self.collection.version();
        let requested = Requested::new(statistic, self.known, self.scope)?;
        let query = query_digest(statistic, self.known, self.scope, (version, deciding.disclosure.k()));
        let mut memory = deciding.memory.locked(requested.rows_of()).await?;
        let mut known = repeated(memory.memories().0, &query);
        let mut reserved = None;
        if known.is_none()
            && let Some(loss) = deciding.loss
        {
            // It uses the memory itself. In between, the same query can be answered to another person.
            drop(memory);
            reserved = Some(loss.reserve().await?);
            memory = deciding.memory.locked(requested.rows_of()).await?;
            known = repeated(memory.memories().0, &query);
        }
        if let Some(release) = known {
            return Ok(release);
        }
        let requested = self.with_code_lists(requested).await?;
        let expected = self.expected(&requested)?;
        let failed = expected.failed();
        let since = deciding.since;
        let report = match pump.cell_report(number, expected).await {
            Ok(report) => report,
            Err(QueryError::Ended) => failed.clone(),
            Err(error) => return Err(error),
        };
        let disclosure = deciding.disclosure;
        if !report.is_complete {
            return disclosure.withheld((&requested, &report), since);
        }
        let identified = (number, query);
        let decided = self
            .released(
                (identified, &requested, &report),
                &mut *memory,
                pump,
                (deciding, reserved),
            )
            .await;
        match decided {
            Err(QueryError::Ended) => disclosure.withheld((&requested, &failed), since),
            decided => decided,
        }
    }

    /// The same with the codes of lists, which describe cells. Private figures are drawn without descriptions.
    async fn with_code_lists<'r>(&self, requested: Requested<'r>) -> Result<Requested<'r>, QueryError> {
        let lists = requested.code_lists();
        if lists.is_empty() || matches!(self.scope.protection, Protection::Private(_)) {
            return Ok(requested);
        }
        let memory = self.workers.bounds().memory;
        let named = lists.iter().map(|(_, list)| list.clone()).collect();
        let (task, objects) = ListsTask::new(self.collection, (self.rules, self.scope), named, memory)?;
        let mut process = self.workers.fresh()?;
        process.lower_priority(self.steps);
        // The process returns no rows.
        let (opened, _) = oneshot::channel();
        let pump = Pump::new(process, self.collection.object_store(), objects, opened);
        let codes = pump.code_lists(&encode(&task)?, lists.len()).await?;
        Ok(requested.with_code_lists(CodeLists::new(lists, codes, self.known)))
    }

    /// What is decided of a report, with what was released before.
    async fn released(
        &self,
        ((number, query), requested, report): ((u32, Digest32), &Requested<'_>, &CellReport),
        memory: &mut dyn LockedMemory,
        pump: &mut Pump,
        (deciding, reserved): (&mut Deciding<'_>, Option<Reserved>),
    ) -> Result<Release, QueryError> {
        let mut owners = OwnersOfRows::new(pump, number, self.collection.subjects());
        if report.rows.is_some() {
            let restored = memory.restore_rows(&mut owners, &mut *deciding.entropy);
            owners.take_error().map_or(restored, Err)?;
        }
        let remembered = Remembered {
            query,
            requester: deciding.requester.clone(),
            subjects: self.version(memory, None, deciding.changes)?,
            rows: match (requested.rows_of(), report.rows) {
                (Some(dataset), Some(rows)) => Some(self.version(memory, Some((dataset, rows)), deciding.changes)?),
                (Some(_) | None, _) => None,
            },
            since: deciding.since,
        };
        let sources = Sources {
            memory,
            owners: &mut owners,
            entropy: &mut *deciding.entropy,
            reserved,
            isolated: deciding.isolated,
        };
        let disclosure = deciding.disclosure;
        disclosure.release((requested, report), remembered, sources).await
    }

    /// The version, by subjects or by the rows of a dataset.
    fn version(
        &self,
        memory: &mut dyn LockedMemory,
        rows: Option<(&DatasetName, u32)>,
        changes: &dyn Changes,
    ) -> Result<AnsweredVersion, QueryError> {
        let (of_subjects, of_rows) = memory.memories();
        let (latest, universe) = match rows {
            None => (of_subjects.known().latest(), self.collection.subjects()),
            Some((_, universe)) => (of_rows.ok_or(failed())?.known().latest(), universe),
        };
        // Nothing is added for a version that is known, or older.
        let since = latest.filter(|latest| *latest < self.collection.version());
        let changed = match (since, rows) {
            (None, _) => None,
            (Some(since), None) => changes.subjects(since)?,
            (Some(since), Some((dataset, _))) => changes.rows(dataset, since)?,
        };
        Ok(AnsweredVersion {
            version: self.collection.version(),
            universe,
            changed,
        })
    }

    fn expected(&self, requested: &Requested<'_>) -> Result<Expected, QueryError> {
        let rows = requested.rows_of().map(|dataset| {
            let stored = self.collection.dataset(dataset).ok_or(failed())?;
            u32::try_from(stored.rows).map_err(|_| failed())
        });
        Ok(Expected {
            version: self.collection.version(),
            subjects: self.collection.subjects(),
            rows: rows.transpose()?,
            set_of: requested.set_of().to_vec(),
            outlines: requested.outlines(),
            grid: requested.cells(),
        })
    }

    fn pump(&self, answered: &Answered) -> Result<Pump, QueryError> {
        let mut process = self.workers.acquire(answered, self.steps)?;
        process.lower_priority(self.steps);
        let datasets = self.collection.datasets();
        let datasets = datasets.iter().filter_map(|name| self.collection.dataset(name));
        let objects = datasets.flat_map(|dataset| dataset.objects).map(|object| object.meta);
        // The process returns no rows.
        let (opened, _) = oneshot::channel();
        Ok(Pump::new(
            process,
            self.collection.object_store(),
            objects.collect(),
            opened,
        ))
    }
}
