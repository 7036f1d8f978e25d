//! The counts and locks in the sealed state, and the only code that counts a query.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{ActorId, CollectionName, CollectionRef, InstitutionId};
use concordat_protocol::policy_set::Settings;
use concordat_protocol::text;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::Refusal;
use concordat_storage::ledger::{Attribution, Ledger};
use concordat_storage::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};

use super::counts::{Counted, ISOLATING, InstitutionCounts, Most, TIMES};
use super::locks::{Locks, UnlockProposal, institution_key, named_by};
use super::refusal;
use crate::changes::{ChangeEntryError, Changes, RELEASE_LOCKS, Subject};
use crate::sharing::hour_counts::HourCounts;
use crate::sharing::refusal::failed;

/// A query below `records`, which is counted.
#[derive(Clone, Debug)]
pub(in crate::sharing) struct CountedQuery {
    /// The collection that is queried.
    pub(in crate::sharing) collection: CollectionRef,
    /// The institution that queries it.
    pub(in crate::sharing) institution: InstitutionId,
    /// The person.
    pub(in crate::sharing) person: ActorId,
}

/// The limits of queries below `records`; clones share all state.
#[derive(Clone, Debug)]
pub(in crate::sharing) struct LimitsBelowRecords(Arc<Store>);

/// What all clones share.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) meta: SealedDb,
    pub(super) ledger: Ledger,
    pub(super) changes: Changes,
    pub(super) institutions: SealedTree<InstitutionCounts>,
    pub(super) locks: SealedTree<Locks>,
    pub(super) proposals: SealedTree<UnlockProposal>,
    /// The queries of all institutions, by collection.
    collections: SealedTree<HourCounts>,
    /// Held while a query is counted and while people are locked or unlocked; always before a change of [`Changes`].
    counting: Mutex<()>,
}

/// A person who receives many answers with cells that are withheld for what was answered before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Searching {
    /// The collection that the queries are about.
    pub(crate) collection: CollectionName,
    /// The institution.
    pub(crate) institution: InstitutionId,
    /// The person.
    pub(crate) person: ActorId,
}

impl LimitsBelowRecords {
    /// Opens counts and locks.
    ///
    /// # Errors
    /// [`MetaError`] if the state cannot be opened.
    pub(in crate::sharing) fn open(meta: &SealedDb, ledger: Ledger, changes: Changes) -> Result<Self, MetaError> {
        Ok(Self(Arc::new(Store {
            institutions: meta.tree(TreeId::new("institution-queries"))?,
            collections: meta.tree(TreeId::new("collection-queries"))?,
            locks: meta.tree(RELEASE_LOCKS)?,
            proposals: meta.tree(TreeId::new("release-unlocks"))?,
            meta: meta.clone(),
            ledger,
            changes,
            counting: Mutex::default(),
        })))
    }

    /// Counts a query that the policy permits, before anything is computed. The count is durable once the record of the query is, and stays
    /// whatever becomes of the query.
    ///
    /// Counting runs to its end also if the caller stops waiting.
    ///
    /// # Errors
    /// A denial if a limit has been reached or the person is locked; a failure if state or ledger cannot be read or written.
    pub(in crate::sharing) async fn count(
        &self,
        query: CountedQuery,
        limits: Settings,
        by: Attribution,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let store = Arc::clone(&self.0);
        let counted = tokio::task::spawn_blocking(move || store.count(&query, limits.into(), (&by, now))).await;
        match counted {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(refusal))) => Err(refusal),
            Ok(Err(error)) => {
                tracing::error!(%error, "a query below records cannot be counted");
                Err(failed("the number of queries could not be counted"))
            }
            Err(error) => {
                tracing::error!(%error, "counting a query below records was interrupted");
                Err(failed("the number of queries could not be counted"))
            }
        }
    }

    /// Notes that a person receives an answer with a cell that was withheld for what was answered before. Durable when it returns, and noted also if
    /// the caller stops waiting.
    ///
    /// # Errors
    /// A failure if the state cannot be read or written.
    pub(in crate::sharing) async fn note_isolating(&self, query: CountedQuery, now: Timestamp) -> Result<(), Refusal> {
        let store = Arc::clone(&self.0);
        let noted = tokio::task::spawn_blocking(move || store.note_isolating(&query, now)).await;
        match noted {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(%error, "an answer below records cannot be noted");
                Err(failed("the answer could not be noted"))
            }
            Err(error) => {
                tracing::error!(%error, "noting an answer below records was interrupted");
                Err(failed("the answer could not be noted"))
            }
        }
    }

    /// How many more queries of this person are within the limits of the person and of the institution. None is counted, and that a limit has
    /// been reached is not held against the person.
    ///
    /// # Errors
    /// The denial of [`Self::count`]; a failure if the state cannot be read.
    pub(in crate::sharing) async fn left(
        &self,
        query: CountedQuery,
        limits: Settings,
        now: Timestamp,
    ) -> Result<u32, Refusal> {
        let store = Arc::clone(&self.0);
        let left = tokio::task::spawn_blocking(move || store.left(&query, limits.into(), now)).await;
        match left {
            Ok(Ok(left)) => left,
            Ok(Err(error)) => {
                tracing::error!(%error, "the number of queries below records cannot be read");
                Err(failed("the number of queries could not be read"))
            }
            Err(error) => {
                tracing::error!(%error, "reading the number of queries below records was interrupted");
                Err(failed("the number of queries could not be read"))
            }
        }
    }

    /// The people who have received so many answers with a cell that was withheld for what was answered before that a steward has to look at their
    /// queries. Blocks.
    ///
    /// # Errors
    /// [`MetaError`] if the state cannot be read.
    pub(in crate::sharing) fn searching(&self, now: Timestamp) -> Result<Vec<Searching>, MetaError> {
        let mut found = Vec::new();
        for (key, counts) in self.0.institutions.iter()? {
            let Some((collection, institution)) = named_by(&key) else {
                continue;
            };
            found.extend(counts.isolated(now).map(|person| Searching {
                collection: collection.clone(),
                institution: institution.clone(),
                person: person.clone(),
            }));
        }
        found.sort();
        Ok(found)
    }

    /// What all clones share, for the functions that unlock.
    pub(super) fn store(&self) -> &Store {
        &self.0
    }
}

impl Store {
    /// Counts a query; a refusal if it is over a limit. Blocks.
    pub(super) fn count(
        &self,
        query: &CountedQuery,
        most: Most,
        (by, now): (&Attribution, Timestamp),
    ) -> Result<Option<Refusal>, ChangeEntryError> {
        let CountedQuery {
            collection,
            institution,
            person,
        } = query;
        let _counting = self.lock();
        let key = institution_key(&collection.collection, institution);
        let locks = self.locks.get(&key)?.unwrap_or_default();
        if locks.contains(person) {
            return Ok(Some(refusal::locked(collection, (person, institution))));
        }
        let mut counts = self.institutions.get(&key)?.unwrap_or_default();
        let mut all = self
            .collections
            .get(collection.collection.as_str())?
            .unwrap_or_default();
        match counts.count(&mut all, person, most, now) {
            Counted::Within => {
                let mut batch = Batch::new();
                batch.put(&self.institutions, &key, &counts)?.put(
                    &self.collections,
                    collection.collection.as_str(),
                    &all,
                )?;
                // On the disk with the record of the query, which is stored next.
                let _with_the_record = self.meta.apply(batch)?;
                Ok(None)
            }
            Counted::Over {
                times: Some(TIMES..), ..
            } => {
                let reason = format!("limits of queries were reached {TIMES} times in 30 days");
                self.lock_person((query, &reason), &locks.with(person, now), &counts, (by, now))?;
                Ok(Some(refusal::locked(collection, (person, institution))))
            }
            Counted::Over { reached, times } => {
                if times.is_some() {
                    self.institutions.put(&key, &counts)?;
                }
                Ok(Some(refusal::over(collection, (person, institution), &reached)))
            }
        }
    }

    /// Notes an answer with a cell that was withheld for what was answered before. The person is not locked, and learns nothing of it: why a cell is withheld
    /// can depend on one person, so that whatever follows from it must not be seen by who asks. Blocks.
    pub(super) fn note_isolating(&self, query: &CountedQuery, now: Timestamp) -> Result<(), MetaError> {
        let _counting = self.lock();
        let key = institution_key(&query.collection.collection, &query.institution);
        let mut counts = self.institutions.get(&key)?.unwrap_or_default();
        if counts.note_isolating(&query.person, now) {
            let CountedQuery {
                collection,
                institution,
                person,
            } = query;
            tracing::warn!(%collection, %institution, %person, "cells of {ISOLATING} answers in 30 days were withheld because of earlier answers");
        }
        self.institutions.put(&key, &counts)
    }

    /// How many more queries there may be, or why there may be none. Blocks.
    pub(super) fn left(
        &self,
        query: &CountedQuery,
        most: Most,
        now: Timestamp,
    ) -> Result<Result<u32, Refusal>, MetaError> {
        let CountedQuery {
            collection,
            institution,
            person,
        } = query;
        let key = institution_key(&collection.collection, institution);
        let locks = self.locks.get(&key)?.unwrap_or_default();
        let is_locked = locks.contains(person);
        if is_locked {
            return Ok(Err(refusal::locked(collection, (person, institution))));
        }
        let counts = self.institutions.get(&key)?.unwrap_or_default();
        let all = self.collections.get(collection.collection.as_str())?;
        let left = counts.left(all.unwrap_or_default(), person, most, now);
        Ok(left.map_err(|reached| refusal::over(collection, (person, institution), &reached)))
    }

    /// Enters in the ledger that a person is locked, and stores the locks of the institution together with its counts.
    fn lock_person(
        &self,
        (query, reason): (&CountedQuery, &str),
        locks: &Locks,
        counts: &InstitutionCounts,
        by: (&Attribution, Timestamp),
    ) -> Result<(), ChangeEntryError> {
        let collection = &query.collection.collection;
        let entry = EntryBody::ReleaseLocked {
            collection: collection.clone(),
            institution: query.institution.clone(),
            actor: query.person.clone(),
            reason: text::Reason::sanitized(reason),
        };
        let key = institution_key(collection, &query.institution);
        let lock = || -> Result<(), ChangeEntryError> {
            let mut batch = Batch::new();
            batch
                .put(&self.locks, &key, locks)?
                .put(&self.institutions, &key, counts)?;
            Ok(self.meta.commit(batch)?)
        };
        self.changes
            .make(Subject::ReleaseLocks(key.clone()), by, || Ok((entry, lock)))
    }

    /// Ignores poisoning: what is stored changes in single commits.
    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
