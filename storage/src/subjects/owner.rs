//! The owner of each row of a dataset.
//!
//! A row has an owner if exactly one subject is found for it. Everything else is NULL and counted by its reason, and such a row is in no
//! figure below the tier `records`. A row of a dataset with several links belongs to the subject to which all of its links lead that have
//! a value: one that leads elsewhere or to nothing leaves the row without an owner.

use std::{ops::AddAssign, sync::Arc};

use arrow::{
    array::{ArrayRef, UInt32Array},
    record_batch::RecordBatch,
};
use concordat_keys::SubjectsKey;

use super::{
    KeyMap, MAX_SUBJECTS, Registry, SubjectError, SubjectKey, SubjectOrdinal,
    column::Column,
    key::{Identity, SubjectKeys},
    key_map::Linked,
};

/// A column whose values are keys of another dataset.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The index of the column.
    pub column: usize,
    /// The owners of the rows of the other dataset.
    pub keys: &'a KeyMap,
}

/// How the rows of a dataset lead to subjects.
#[derive(Debug)]
enum Rule<'a> {
    Registering { column: usize, registry: &'a mut Registry },
    Registered { column: usize, registry: &'a Registry },
    Linked { links: Vec<Link<'a>> },
    EachRow { next: u32 },
}

/// Rows by what was found for them. Each row counts in exactly one of the first six.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerCounts {
    /// Rows with an owner.
    pub owned: u64,
    /// Rows without a value in the column of the subject, or in all columns that are linked.
    pub missing: u64,
    /// Rows whose value cannot identify a subject: a number that is not finite or not exact.
    pub unusable: u64,
    /// Rows whose subject is not registered, or whose linked row does not exist.
    pub unknown: u64,
    /// Rows whose links lead to several subjects.
    pub ambiguous: u64,
    /// Rows whose linked row has no owner itself.
    pub unowned: u64,
    /// Subjects that are new, or rows of unknown ones, whose key is that of a registered subject in another spelling: with other blanks,
    /// dashes, leading zeros or case. They are not taken to be the same.
    pub respelled: u64,
    /// Rows whose owner has an earlier row in the dataset.
    pub repeated: u64,
}

impl OwnerCounts {
    /// Rows without an owner.
    #[must_use]
    pub fn without_owner(&self) -> u64 {
        self.missing + self.unusable + self.unknown + self.ambiguous + self.unowned
    }
}

impl AddAssign for OwnerCounts {
    fn add_assign(&mut self, other: Self) {
        self.owned += other.owned;
        self.missing += other.missing;
        self.unusable += other.unusable;
        self.unknown += other.unknown;
        self.ambiguous += other.ambiguous;
        self.unowned += other.unowned;
        self.respelled += other.respelled;
        self.repeated += other.repeated;
    }
}

/// The owners of the rows of a batch.
#[derive(Clone, Debug)]
pub struct Owners {
    /// The ordinal of each row's owner; NULL if it has none, or more than one is possible.
    pub ordinals: UInt32Array,
    /// How many rows have one, and why the others have none.
    pub counts: OwnerCounts,
}

/// What was found for one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Owner(u32),
    Missing,
    Unusable,
    Unknown,
    Ambiguous,
    Unowned,
}

/// Finds the owners of the rows of one dataset, batch by batch.
#[derive(Debug)]
pub struct OwnerResolver<'a> {
    keys: SubjectKeys,
    rule: Rule<'a>,
    seen: OrdinalSet,
}

impl<'a> OwnerResolver<'a> {
    /// For a dataset with the subject's key in a column. Subjects that are not registered yet are added: the dataset of the subjects, or
    /// one that may add to them.
    #[must_use]
    pub fn registering(key: Arc<SubjectsKey>, column: usize, registry: &'a mut Registry) -> Self {
        Self::new(key, Rule::Registering { column, registry })
    }

    /// For a dataset with the subject's key in a column. Rows of subjects that are not registered have no owner.
    #[must_use]
    pub fn registered(key: Arc<SubjectsKey>, column: usize, registry: &'a Registry) -> Self {
        Self::new(key, Rule::Registered { column, registry })
    }

    /// For a dataset whose rows lead to a subject through keys of other datasets. Without links, no row has an owner.
    #[must_use]
    pub fn linked(key: Arc<SubjectsKey>, links: Vec<Link<'a>>) -> Self {
        Self::new(key, Rule::Linked { links })
    }

    /// For a dataset of which each row is a subject. `next` is the ordinal of the first row.
    #[must_use]
    pub fn each_row(key: Arc<SubjectsKey>, next: u32) -> Self {
        Self::new(key, Rule::EachRow { next })
    }

    fn new(key: Arc<SubjectsKey>, rule: Rule<'a>) -> Self {
        Self {
            keys: SubjectKeys::new(key),
            rule,
            seen: OrdinalSet::default(),
        }
    }

    /// The owners of the rows of a batch.
    ///
    /// # Errors
    /// [`SubjectError::TooManySubjects`] if no ordinal is left; [`SubjectError::NoColumn`] and [`SubjectError::Type`] for a batch that
    /// does not have the columns.
    pub fn resolve(&mut self, batch: &RecordBatch) -> Result<Owners, SubjectError> {
        let mut counts = OwnerCounts::default();
        let found = match &mut self.rule {
            Rule::Registering { column, registry } => {
                let column = column_of(batch, *column)?;
                register(&mut self.keys, &column, registry, &mut counts)?
            }
            Rule::Registered { column, registry } => {
                let column = column_of(batch, *column)?;
                look_up(&mut self.keys, &column, registry, &mut counts)
            }
            Rule::Linked { links } => follow(&mut self.keys, batch, links)?,
            Rule::EachRow { next } => number(batch.num_rows(), next)?,
        };
        for row in &found {
            self.count(*row, &mut counts);
        }
        let ordinals = found.into_iter().map(Found::owner).collect();
        Ok(Owners { ordinals, counts })
    }

    fn count(&mut self, row: Found, counts: &mut OwnerCounts) {
        match row {
            Found::Owner(ordinal) => {
                counts.owned += 1;
                counts.repeated += u64::from(!self.seen.insert(ordinal));
            }
            Found::Missing => counts.missing += 1,
            Found::Unusable => counts.unusable += 1,
            Found::Unknown => counts.unknown += 1,
            Found::Ambiguous => counts.ambiguous += 1,
            Found::Unowned => counts.unowned += 1,
        }
    }
}

fn column_of(batch: &RecordBatch, column: usize) -> Result<Column, SubjectError> {
    let array: &ArrayRef = batch.columns().get(column).ok_or(SubjectError::NoColumn { column })?;
    let schema = batch.schema_ref();
    let name = schema.fields().get(column).map_or("", |field| field.name());
    Column::of(name, array)
}

fn register(
    keys: &mut SubjectKeys,
    column: &Column,
    registry: &mut Registry,
    counts: &mut OwnerCounts,
) -> Result<Vec<Found>, SubjectError> {
    let identities = keys.identities(column).into_iter().enumerate();
    let rows = identities.map(|(row, identity)| {
        let key = match identity {
            Identity::Missing => return Ok(Found::Missing),
            Identity::Unusable => return Ok(Found::Unusable),
            Identity::Key(key) => key,
        };
        if let Some(ordinal) = registry.ordinal(key) {
            return Ok(Found::Owner(ordinal.get()));
        }
        let loose = keys.loose(column, row);
        counts.respelled += u64::from(registry.is_respelled(key, loose));
        add(registry, key, loose).map(|ordinal| Found::Owner(ordinal.get()))
    });
    rows.collect()
}

fn add(registry: &mut Registry, key: SubjectKey, loose: Option<SubjectKey>) -> Result<SubjectOrdinal, SubjectError> {
    let ordinal = registry.insert(key)?.ordinal;
    if let Some(loose) = loose {
        registry.note_loose(loose, ordinal);
    }
    Ok(ordinal)
}

fn look_up(keys: &mut SubjectKeys, column: &Column, registry: &Registry, counts: &mut OwnerCounts) -> Vec<Found> {
    let identities = keys.identities(column).into_iter().enumerate();
    let rows = identities.map(|(row, identity)| match identity {
        Identity::Missing => Found::Missing,
        Identity::Unusable => Found::Unusable,
        Identity::Key(key) => {
            let ordinal = registry.ordinal(key);
            if ordinal.is_none() {
                let loose = keys.loose(column, row);
                counts.respelled += u64::from(registry.is_respelled(key, loose));
            }
            ordinal.map_or(Found::Unknown, |ordinal| Found::Owner(ordinal.get()))
        }
    });
    rows.collect()
}

fn follow(keys: &mut SubjectKeys, batch: &RecordBatch, links: &[Link<'_>]) -> Result<Vec<Found>, SubjectError> {
    let mut found = vec![Found::Missing; batch.num_rows()];
    for link in links {
        let column = column_of(batch, link.column)?;
        for (row, identity) in found.iter_mut().zip(keys.identities(&column)) {
            *row = row.and(match identity {
                Identity::Missing => continue,
                Identity::Unusable => Found::Unusable,
                Identity::Key(key) => match link.keys.find(key) {
                    Linked::Owner(owner) => Found::Owner(owner),
                    Linked::Unknown => Found::Unknown,
                    Linked::Ambiguous => Found::Ambiguous,
                    Linked::Unowned => Found::Unowned,
                },
            });
        }
    }
    Ok(found)
}

fn number(rows: usize, next: &mut u32) -> Result<Vec<Found>, SubjectError> {
    let too_many = SubjectError::TooManySubjects { limit: MAX_SUBJECTS };
    let after = u32::try_from(rows).ok().and_then(|rows| next.checked_add(rows));
    let Some(after) = after.filter(|after| *after <= MAX_SUBJECTS) else {
        return Err(too_many);
    };
    let found = (*next..after).map(Found::Owner).collect();
    *next = after;
    Ok(found)
}

impl Found {
    fn owner(self) -> Option<u32> {
        match self {
            Self::Owner(ordinal) => Some(ordinal),
            Self::Missing | Self::Unusable | Self::Unknown | Self::Ambiguous | Self::Unowned => None,
        }
    }

    /// What is found by two links: only if both lead to the same owner, there is one.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missing, found) | (found, Self::Missing) => found,
            (Self::Owner(one), Self::Owner(two)) if one != two => Self::Ambiguous,
            (Self::Owner(_), found) => found,
            (found, _) => found,
        }
    }
}

/// A set of ordinals, one bit for each.
#[derive(Debug, Default)]
struct OrdinalSet(Vec<u64>);

impl OrdinalSet {
    /// Whether the ordinal was not in the set.
    fn insert(&mut self, ordinal: u32) -> bool {
        let at = usize::try_from(ordinal / 64).unwrap_or(usize::MAX);
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        let bit = 1 << (ordinal % 64);
        self.0.get_mut(at).is_some_and(|bits| {
            let is_new = *bits & bit == 0;
            *bits |= bit;
            is_new
        })
    }
}
