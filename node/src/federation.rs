//! Querying at home: remote datasets as tables.
//!
//! 1. The question is read ([`statement`]) and each of its tables is found a grant ([`resolve`]).
//! 2. It is decided who is asked what and what is left to do at home ([`mod@plan`], [`decompose`]).
//! 3. Each member is asked over the network ([`exchange`]); our own datasets are asked through the same permit as everybody's.
//! 4. Rows stream through the engine at home ([`home`], [`table`], [`union`]) to whoever asked, on threads of its own ([`threads`]).
//! 5. A query is in the ledger before it is signed, and its end however it comes ([`evidence`]).
//! 6. Every answer ends with a receipt that both sides sign ([`journal`]); a cut answer ends with an error, never in silence.

mod asker;
mod browse;
mod columns;
mod decompose;
mod evidence;
mod exchange;
mod fault;
mod filter;
mod home;
mod journal;
mod plan;
mod resolve;
mod run;
mod source;
mod statement;
mod table;
mod threads;
mod union;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use concordat_protocol::ids::{DatasetName, GrantId};
use concordat_protocol::scope::Purpose;
use concordat_protocol::wire::messages::Refusal;
use concordat_storage::ledger::Ledger;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tokio_util::task::TaskTracker;

use self::asker::Asker;
use self::journal::Journal;
use self::plan::{Plan, Targets, plan};
use self::resolve::{Known, target_of};
use self::source::{Batches, Right, Target};
use self::statement::{Question, TableName};
use self::threads::Threads;
use crate::clock::Clock;
use crate::evidence::Evidence;
use crate::iam::{Action, Actor};
use crate::identity::Identity;
use crate::membership::Membership;
use crate::negotiation::Grants;
use crate::network::NetworkHandle;
use crate::policy::Explanation;
use crate::sharing::{Place, Sharing};

pub use browse::RemoteDataset;
pub use fault::QueryFault;
pub use journal::{Account, Received};

/// A cloneable handle to querying.
#[derive(Clone, Debug)]
pub struct Federation(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: FederationParts,
    /// Columns of what each grant shows, as the provider told them last.
    shapes: Mutex<BTreeMap<GrantId, SchemaRef>>,
    threads: Threads,
}

/// What [`Federation`] works with.
#[derive(Debug)]
pub struct FederationParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// The network.
    pub network: NetworkHandle,
    /// The consortium.
    pub membership: Membership,
    /// The register of grants.
    pub grants: Grants,
    /// The way to our own datasets.
    pub sharing: Sharing,
    /// What is kept of queries.
    pub evidence: Evidence,
}

impl Federation {
    /// Makes the service.
    pub fn new(parts: FederationParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            shapes: Mutex::default(),
            threads: Threads::default(),
        }))
    }

    /// Answers one `SELECT` over `institution.dataset` and `consortium.dataset` for `actor`; without a purpose, the only one
    /// that a grant allows is taken. Returns once the first answer has begun.
    ///
    /// # Errors
    /// [`QueryFault`]; faults after the first row come at the end of the stream.
    pub async fn query(&self, actor: &Actor, sql: &str, purpose: Option<Purpose>) -> Result<AnswerStream, QueryFault> {
        actor.require(Action::Query)?;
        let question = Question::parse(sql)?;
        let journal = Journal::default();
        let targets = self.targets(&question, actor, purpose.as_ref(), &journal).await?;
        let plan = plan(question, &targets)?;
        let tasks = TaskTracker::new();
        let asker = Asker::new(self.clone(), actor.clone(), journal.clone(), tasks.clone());
        let sharing = &self.0.parts.sharing;
        let place = match &plan {
            Plan::Whole { .. } => None,
            Plan::Home { .. } => {
                let place = sharing.place_at_home(actor).await;
                Some(place.map_err(|refusal| self.refused_here(refusal))?)
            }
        };
        let part = run::run(plan, Arc::new(asker), &self.0.threads, sharing.bounds().memory).await?;
        Ok(AnswerStream {
            _place: place,
            schema: part.schema,
            batches: Some(part.batches),
            journal,
            tasks,
        })
    }

    /// Who would be asked what for `sql`, in sentences; nobody is asked.
    ///
    /// # Errors
    /// [`QueryFault`] that the query would end with before it begins.
    pub async fn explain(&self, actor: &Actor, sql: &str, purpose: Option<Purpose>) -> Result<Vec<String>, QueryFault> {
        actor.require(Action::Query)?;
        let question = Question::parse(sql)?;
        let journal = Journal::default();
        let targets = self.targets(&question, actor, purpose.as_ref(), &journal).await?;
        let mut steps = match plan(question, &targets)? {
            Plan::Whole { target, sql } => vec![asks(&target, &sql)],
            Plan::Home { query, pieces, tables } => {
                let mut steps: Vec<_> = pieces
                    .iter()
                    .flat_map(|piece| &piece.asks)
                    .map(|(target, sql)| asks(target, sql))
                    .collect();
                for (table, targets) in tables {
                    let from: Vec<_> = targets.iter().map(|target| target.dataset.to_string()).collect();
                    steps.push(format!("the records of `{table}` come home from {}", from.join(", ")));
                }
                steps.push(format!("at home: {query}"));
                steps
            }
        };
        steps.extend(journal.account().notes);
        Ok(steps)
    }

    /// What our own policy says, rule by rule, of those tables of `sql` that are ours; each holder has its own for the rest.
    ///
    /// # Errors
    /// [`QueryFault`] if the actor may not ask or the text is no question.
    pub async fn explain_own(
        &self,
        actor: &Actor,
        sql: &str,
        purpose: Option<&Purpose>,
    ) -> Result<Explanation, QueryFault> {
        actor.require(Action::Query)?;
        let parts = &self.0.parts;
        let purpose = purpose.cloned().unwrap_or(Purpose::HealthResearch);
        let ours = |table: &&TableName| {
            table
                .institution
                .as_ref()
                .is_none_or(|id| *id == parts.identity.institution)
        };
        let mut explanation = Explanation::default();
        for table in Question::parse(sql)?.tables.iter().filter(ours) {
            let own = parts.sharing.explain_own(actor, &purpose, &table.dataset).await;
            explanation.steps.extend(own.steps);
        }
        Ok(explanation)
    }

    async fn targets(
        &self,
        question: &Question,
        actor: &Actor,
        purpose: Option<&Purpose>,
        journal: &Journal,
    ) -> Result<Targets, QueryFault> {
        let parts = &self.0.parts;
        let grants = parts.grants.list().await;
        let known = Known {
            grants: &grants,
            ours: &parts.identity.institution,
            purpose,
            now: parts.clock.now(),
        };
        let mut targets = Targets::new();
        for table in &question.tables {
            let found = match &table.institution {
                Some(institution) if institution == known.ours => {
                    self.own(actor, purpose, &table.dataset).await?.into_iter().collect()
                }
                Some(institution) => {
                    let dataset = table.dataset.clone();
                    vec![known.remote(&concordat_protocol::ids::DatasetRef {
                        institution: institution.clone(),
                        dataset,
                    })?]
                }
                None => self.everybody(&known, table, actor, journal).await?,
            };
            if found.is_empty() {
                return Err(known.nobody(table));
            }
            let version = table.version;
            let found = found.into_iter().map(|target| Target { version, ..target });
            targets.insert(table.clone(), found.collect());
        }
        Ok(targets)
    }

    /// All who share `consortium.dataset`, ourselves among them if we have one of that name.
    async fn everybody(
        &self,
        known: &Known<'_>,
        table: &TableName,
        actor: &Actor,
        journal: &Journal,
    ) -> Result<Vec<Target>, QueryFault> {
        let mut targets = known.everybody(&table.dataset, journal)?;
        let purpose = known
            .purpose
            .cloned()
            .or_else(|| targets.first().map(|target| target.purpose.clone()));
        match self.own(actor, purpose.as_ref(), &table.dataset).await {
            Ok(own) => targets.extend(own),
            Err(QueryFault::Refused { refusal, .. }) => {
                let reasons: Vec<_> = refusal.reasons.into_iter().map(|reason| reason.text).collect();
                journal.note(format!(
                    "our own `{}` is not part of the answer: {}",
                    table.dataset,
                    reasons.join("; ")
                ));
            }
            Err(other) => return Err(other),
        }
        targets.sort_by(|a, b| a.dataset.cmp(&b.dataset));
        Ok(targets)
    }

    fn refused_here(&self, refusal: Refusal) -> QueryFault {
        QueryFault::Refused {
            provider: self.0.parts.identity.institution.clone(),
            refusal,
        }
    }

    /// Our own dataset, if there is one of that name.
    async fn own(
        &self,
        actor: &Actor,
        purpose: Option<&Purpose>,
        dataset: &DatasetName,
    ) -> Result<Option<Target>, QueryFault> {
        let purpose = purpose.cloned().unwrap_or(Purpose::HealthResearch);
        let scope = self.0.parts.sharing.own_scope(actor, &purpose, dataset).await;
        let scope = scope.map_err(|refusal| self.refused_here(refusal))?;
        Ok(scope.map(|scope| target_of(&scope, Right::Own, purpose)))
    }
}

fn asks(target: &Target, sql: &str) -> String {
    let right = match target.right {
        Right::Grant(grant) => format!("under grant {} at tier `{}`", grant.short(), target.tier),
        Right::Own => "as our own".to_owned(),
    };
    format!("`{}` is asked {right} for `{}`: {sql}", target.dataset, target.purpose)
}

/// An answer: columns, rows as they come, and at the end the account of where they came from.
pub struct AnswerStream {
    schema: SchemaRef,
    batches: Option<Batches>,
    journal: Journal,
    tasks: TaskTracker,
    /// What is computed at home takes up room, as long as it is read.
    _place: Option<Place>,
}

impl AnswerStream {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next rows; nothing at the end. After an error nothing follows: the rows before it are genuine but not all.
    ///
    /// # Errors
    /// [`QueryFault`] that ended the answer early.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryFault>> {
        let batches = self.batches.as_mut()?;
        let next = batches.next().await;
        if !matches!(next, Some(Ok(_))) {
            // The exchanges that were not read to their end stop when their reader goes.
            self.batches = None;
            self.tasks.close();
            self.tasks.wait().await;
        }
        next
    }

    /// Receipts and notes; complete once [`Self::next`] has returned nothing or an error.
    pub fn account(&self) -> Account {
        self.journal.account()
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
