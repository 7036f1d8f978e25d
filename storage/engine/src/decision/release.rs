//! One answer, from a report of cells to what is released.
//!
//! 1. The same query has the same answer: it is looked up before anything is computed ([`repeated`]).
//! 2. A version that the memory does not know becomes known to it, and durable.
//! 3. The cells are decided, and their figures get their noise.
//! 4. What is released is made durable, together with what the release requires. Only then it counts, and leaves.
//!
//! A report that is not complete is released as a grid of withheld cells, and is not remembered: the next one may be complete.

use std::num::NonZeroU16;

use concordat_disclosure::{
    CellKeys, CellSecret, DecideError, Decision, DisclosureRules, Entropy, Grid, Mode, NewRecords, OwnersOf, Record,
    Released, Reserved, RowSpace, SetFigures, Spaces, StoredAnswer, TimeClass, decide, draw,
};
use concordat_protocol::{
    error_kind::ErrorKind,
    ids::{Digest32, GrantId},
    schema::VersionNumber,
    scope::{Protection, Scope},
};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    grid::{Requested, malformed},
    memory::{AnsweredVersion, LockedMemory, NewMemory, UnitMemory},
    quantiles::BandNoise,
    values,
};
use crate::{
    QueryError,
    compute::CellReport,
    statistic::{KnownCollection, Measured, Statistic},
};

/// Label of the digest that identifies a query in memory.
const QUERY: &str = "concordat/remembered query/1";

/// By what the cells of an answer are decided.
pub struct Disclosure {
    rules: DisclosureRules,
    secret: Zeroizing<[u8; 32]>,
}

/// Who is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The person, as the ledger names people.
    pub person: String,
    /// The grant; `None` for the institution's own people.
    pub grant: Option<GrantId>,
}

/// What an answer is remembered by.
#[derive(Clone, Debug)]
pub(crate) struct Remembered {
    /// See [`query_digest`].
    pub(crate) query: Digest32,
    pub(crate) requester: Requester,
    /// The version, by subjects.
    pub(crate) subjects: AnsweredVersion,
    /// The version, by the rows that are counted.
    pub(crate) rows: Option<AnsweredVersion>,
    /// When the query began.
    pub(crate) since: Instant,
}

/// What is released of a grouping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Release {
    pub(crate) released: Released,
    /// When it leaves at the earliest.
    pub(crate) class: TimeClass,
}

/// The subjects of rows, which another process returns.
pub(crate) trait RowOwners: OwnersOf + Send {
    /// Why subjects are missing, if they are: nothing that was decided with them is released.
    fn take_error(&mut self) -> Option<QueryError>;
}

/// From where a decision gets what it does not have itself.
pub(crate) struct Sources<'a> {
    pub(crate) memory: &'a mut dyn LockedMemory,
    pub(crate) owners: &'a mut dyn RowOwners,
    pub(crate) entropy: &'a mut (dyn Entropy + Send),
    /// The loss that was reserved for the query, in private mode.
    pub(crate) reserved: Option<Reserved>,
    /// Called before anything is stored of an answer in which a set is withheld because it isolates subjects, together with what was released
    /// before. What is stored can be had by a repetition, so this happens first.
    pub(crate) isolated: &'a (dyn Fn() + Send + Sync),
}

impl Disclosure {
    /// Cells of at least `k` subjects, protected in this way. `secret` is what all noise of the collection comes from.
    ///
    /// # Errors
    /// [`QueryError::NotApplied`] if there are no such rules.
    pub fn new(k: u32, protection: &Protection, secret: Zeroizing<[u8; 32]>) -> Result<Self, QueryError> {
        let rules = DisclosureRules::new(k, protection);
        let rules = rules.map_err(|error| QueryError::NotApplied {
            detail: error.to_string(),
        })?;
        Ok(Self { rules, secret })
    }

    /// Noise for what quantiles depend on besides figures, where these have noise.
    fn band_noise(&self) -> Option<BandNoise> {
        let deviation = self.rules.count_deviation()?;
        Some(BandNoise::new(&self.secret, deviation))
    }

    /// The least number of subjects of a figure.
    #[must_use]
    pub const fn k(&self) -> u32 {
        self.rules.k()
    }

    /// What of a report is released, after it is durable.
    ///
    /// # Errors
    /// [`QueryError`]; nothing was released then, and the memory is not used again unless the error is a refusal.
    pub(crate) async fn release(
        &self,
        (requested, report): (&Requested<'_>, &CellReport),
        remembered: Remembered,
        sources: Sources<'_>,
    ) -> Result<Release, QueryError> {
        let noise = self.band_noise();
        let by = (&self.rules, noise.as_ref());
        let grid = requested.grid(report, by)?;
        if !report.is_complete {
            return self.withheld((requested, report), remembered.since);
        }
        let Sources {
            memory,
            owners,
            entropy,
            reserved,
            isolated,
        } = sources;
        memory.changing();
        let begun = begin(&mut *memory, &remembered, &mut *owners, &mut *entropy)?;
        known_owners(&mut *owners)?;
        if begun != NewMemory::default() {
            memory.store(begun).await?;
        }
        memory.complete();
        let answered = match reserved {
            Some(reserved) => self.private(&grid, reserved, &mut *entropy)?,
            None => self.decided(&grid, requested, &mut *memory, (&mut *owners, &mut *entropy))?,
        };
        known_owners(&mut *owners)?;
        let released = values::released(requested, report, &answered.figures, by)?;
        let release = Release {
            released,
            class: TimeClass::of_decision(remembered.since.elapsed()),
        };
        if answered.decision.as_ref().is_some_and(Decision::isolates) {
            isolated();
        }
        let added = answered.added(requested.counts_rows, &remembered, (&release, self.rules.variance()));
        memory.store(added.encoded()).await?;
        let (subjects, rows) = answered.offers();
        let (of_subjects, of_rows) = memory.memories();
        of_subjects.commit(subjects, added.subjects)?;
        if let Some(of_rows) = of_rows {
            of_rows.commit(rows, added.rows)?;
        }
        memory.complete();
        Ok(release)
    }

    /// The grid with nothing in it: what is released of a report that is not complete. It is not remembered, because the next one may be.
    ///
    /// # Errors
    /// [`QueryError::Engine`] if the report has another form.
    pub(crate) fn withheld(
        &self,
        (requested, report): (&Requested<'_>, &CellReport),
        since: Instant,
    ) -> Result<Release, QueryError> {
        let nothing = requested.sets.iter().map(|set| SetFigures::withheld(&set.figures));
        let nothing: Vec<SetFigures> = nothing.collect();
        let figures = vec![nothing; report.cells.len()];
        Ok(Release {
            released: values::released(requested, report, &figures, (&self.rules, self.band_noise().as_ref()))?,
            class: TimeClass::of_decision(since.elapsed()),
        })
    }

    fn private(&self, grid: &Grid<'_>, reserved: Reserved, entropy: &mut dyn Entropy) -> Result<Answered, QueryError> {
        if self.rules.mode() != Mode::Private {
            return Err(malformed());
        }
        let figures = draw(grid, reserved, entropy).map_err(|error| refused(&error))?;
        Ok(Answered {
            figures,
            decision: None,
        })
    }

    fn decided(
        &self,
        grid: &Grid<'_>,
        requested: &Requested<'_>,
        memory: &mut dyn LockedMemory,
        (owners, entropy): (&mut dyn OwnersOf, &mut dyn Entropy),
    ) -> Result<Answered, QueryError> {
        let (subjects, rows) = memory.memories();
        let columns = u64::try_from(requested.statistic.cells().len()).unwrap_or(u64::MAX);
        let within = self.rules.within_answers(subjects.known().answered(), columns);
        within.map_err(|error| refused(&error))?;
        let rows = rows.filter(|_| requested.counts_rows);
        let sums = rows
            .as_ref()
            .map_or_else(|| subjects.known(), |rows| rows.known())
            .sums();
        let row_space = match &rows {
            Some(rows) => Some(RowSpace {
                space: rows.space().ok_or(malformed())?,
                owners,
            }),
            None => None,
        };
        let spaces = Spaces {
            subjects: subjects.space().ok_or(malformed())?,
            rows: row_space,
        };
        let keys = self.keys(requested.statistic);
        let decision = decide(grid, &self.rules, spaces, sums, &keys, entropy).map_err(|error| refused(&error))?;
        let figures = decision.figures(grid, &self.rules).map_err(|error| refused(&error))?;
        Ok(Answered {
            figures,
            decision: Some(decision),
        })
    }

    fn keys(&self, statistic: &Statistic) -> CellKeys {
        let rows_of = match statistic.measured() {
            Measured::Rows(dataset) => dataset.as_str(),
            Measured::Subjects => "",
        };
        CellKeys::new(CellSecret::new(*self.secret), rows_of)
    }
}

impl std::fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disclosure")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

fn known_owners(owners: &mut dyn RowOwners) -> Result<(), QueryError> {
    owners.take_error().map_or(Ok(()), Err)
}

/// What was released for a query before, bit for bit, and when it leaves: as the first time.
pub(crate) fn repeated(memory: &UnitMemory, query: &Digest32) -> Option<Release> {
    let known = memory.known();
    Some(Release {
        released: known.answer(query)?.clone(),
        class: known.class(query)?,
    })
}

/// What identifies a query: the statistic under the declarations, the version, and the parts of the permission on which an answer depends.
pub(crate) fn query_digest(
    statistic: &Statistic,
    known: &KnownCollection,
    scope: &Scope,
    (version, k): (VersionNumber, u32),
) -> Digest32 {
    let rows = scope.datasets.iter().map(|(name, dataset)| (name, &dataset.rows));
    let rows: Vec<_> = rows.collect();
    let part = (
        statistic.digest(known),
        version.get(),
        k,
        &scope.protection,
        &scope.subjects,
        rows,
        scope.window.oldest_year(),
    );
    let mut bytes = Vec::new();
    // Writing to memory does not fail, and no part has a type that cannot be encoded.
    let _ = ciborium::into_writer(&part, &mut bytes);
    Digest32::sha256(QUERY, &bytes)
}

/// Makes the version known to the memories. Returns what has to be stored for that.
fn begin(
    memory: &mut dyn LockedMemory,
    remembered: &Remembered,
    owners: &mut dyn OwnersOf,
    entropy: &mut dyn Entropy,
) -> Result<NewMemory, QueryError> {
    let (subjects, rows) = memory.memories();
    let mut begun = Records {
        subjects: subjects.begin(&remembered.subjects, &mut concordat_disclosure::Themselves, entropy)?,
        rows: Vec::new(),
    };
    if let (Some(memory), Some(version)) = (rows, &remembered.rows) {
        begun.rows = memory.begin(version, owners, entropy)?;
    }
    Ok(begun.encoded())
}

/// The figures of an answer, and the decision that led to them.
struct Answered {
    figures: Vec<Vec<SetFigures>>,
    /// `None` in private mode.
    decision: Option<Decision>,
}

/// Records of both memories.
struct Records {
    subjects: Vec<Record>,
    rows: Vec<Record>,
}

impl Answered {
    /// The records of the sets, the sums and the answer with the variance of its noise. Sums are in the memory of the units that they are over.
    fn added(
        &self,
        counts_rows: bool,
        remembered: &Remembered,
        (release, variance): (&Release, Option<NonZeroU16>),
    ) -> Records {
        let mut added = Records {
            subjects: Vec::new(),
            rows: Vec::new(),
        };
        if let Some(NewRecords { subjects, rows, sums }) = self.decision.as_ref().map(Decision::records) {
            added.subjects.extend(subjects.iter().cloned().map(Record::Set));
            added.rows.extend(rows.iter().cloned().map(Record::Set));
            let sums = sums.iter().map(|(set, figures)| Record::Sums {
                set: *set,
                figures: figures.clone(),
            });
            if counts_rows {
                added.rows.extend(sums);
            } else {
                added.subjects.extend(sums);
            }
        }
        added.subjects.push(Record::Answer(StoredAnswer {
            query: remembered.query,
            released: release.released.clone(),
            variance,
            person: remembered.requester.person.clone(),
            grant: remembered.requester.grant,
            class: release.class,
        }));
        added
    }

    fn offers(self) -> (Option<concordat_disclosure::Offer>, Option<concordat_disclosure::Offer>) {
        match self.decision.map(Decision::into_offers) {
            Some((subjects, rows)) => (Some(subjects), rows),
            None => (None, None),
        }
    }
}

impl Records {
    fn encoded(&self) -> NewMemory {
        let encoded = |records: &[Record]| records.iter().map(Record::to_bytes).collect();
        NewMemory {
            subjects: encoded(&self.subjects),
            rows: encoded(&self.rows),
        }
    }
}

/// A refusal that may be stated: it depends on how much was answered and on the form of the query, and not on a cell.
fn refused(error: &DecideError) -> QueryError {
    match error {
        DecideError::NoDistinctions { .. }
        | DecideError::NoAnswers { .. }
        | DecideError::Unbounded
        | DecideError::Gaussian(_)
        | DecideError::Scale(_) => QueryError::Reported {
            kind: ErrorKind::Denied,
            text: error.to_string(),
        },
        DecideError::Threshold(_)
        | DecideError::Noise(_)
        | DecideError::Shape
        | DecideError::Space(_)
        | DecideError::OtherMode => malformed(),
    }
}
