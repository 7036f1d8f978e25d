//! What was read before the measured rows: rows by key and by subject, lists of keys, and events of subjects.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use concordat_protocol::{collection::Datum, scope::Value};

use super::{
    plan::{EventsUses, ValueOf, ValueRef},
    values::{Row, Rows},
};

/// The position of no row, also where several rows have one key.
const NO_ROW: u32 = u32::MAX;

/// Everything that conditions and values look up.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) lookups: Vec<Lookup>,
    pub(super) lists: Vec<Keys>,
    pub(super) events: Vec<Events>,
}

impl Tables {
    /// A value of a subject.
    pub(super) fn value(&self, of: ValueRef, owner: Option<u32>) -> Datum<'_> {
        let found = self.events.get(of.events).zip(owner);
        let value = found.and_then(|(events, owner)| match of.of {
            ValueOf::Count => events.count(owner),
            ValueOf::First(at) => events.firsts.get(at)?.get(owner),
            ValueOf::Last(at) => events.lasts.get(at)?.get(owner),
        });
        value.unwrap_or(Datum::Null)
    }
}

/// A set of ordinals.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn none(subjects: u32) -> Self {
        Self(vec![0; words(subjects)])
    }

    pub(super) fn add(&mut self, ordinal: u32) {
        if let Some(word) = self.0.get_mut(word_of(ordinal)) {
            *word |= mask(ordinal);
        }
    }

    pub(super) fn has(&self, ordinal: u32) -> bool {
        self.0
            .get(word_of(ordinal))
            .is_some_and(|word| word & mask(ordinal) != 0)
    }
}

/// The 64-bit words for ordinals below `subjects`.
pub(super) fn words(subjects: u32) -> usize {
    word_of(subjects).saturating_add(1)
}

pub(super) fn word_of(ordinal: u32) -> usize {
    usize::try_from(ordinal / u64::BITS).unwrap_or(usize::MAX)
}

pub(super) const fn mask(ordinal: u32) -> u64 {
    1 << (ordinal % u64::BITS)
}

/// Keys, each with the position of a row. A text of digits and a whole number are one key.
#[derive(Debug, Default)]
pub(super) struct KeyMap {
    whole: HashMap<i64, u32>,
    texts: HashMap<String, u32>,
}

impl KeyMap {
    /// Adds the key of a row. A key with several rows leads to none of them, in whichever order they are added.
    pub(super) fn add(&mut self, key: Datum<'_>, row: u32) {
        match key {
            Datum::Int(number) => {
                self.whole
                    .entry(number)
                    .and_modify(|known| *known = NO_ROW)
                    .or_insert(row);
            }
            Datum::Text(text) => match self.texts.get_mut(text) {
                Some(known) => *known = NO_ROW,
                None => {
                    self.texts.insert(text.to_owned(), row);
                }
            },
            Datum::Null | Datum::Truth(_) | Datum::Float(_) | Datum::Date(_) | Datum::Millis(_) => {}
        }
    }

    fn get(&self, key: Datum<'_>) -> Option<u32> {
        let found = match key {
            Datum::Int(number) if !self.texts.is_empty() => self.texts.get(&number.to_string()),
            Datum::Int(number) => self.whole.get(&number),
            Datum::Text(text) if !self.whole.is_empty() => self.whole.get(&text.parse::<i64>().ok()?),
            Datum::Text(text) => self.texts.get(text),
            Datum::Null | Datum::Truth(_) | Datum::Float(_) | Datum::Date(_) | Datum::Millis(_) => None,
        };
        found.copied()
    }
}

/// Rows that are reached.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) rows: Rows,
    pub(super) index: Index,
}

#[derive(Debug)]
pub(super) enum Index {
    Key(KeyMap),
    /// The position of the row of each subject.
    Subject(Vec<u32>),
}

impl Index {
    /// The positions of the rows of subjects. A subject with several rows has none.
    pub(super) fn of_subjects(rows: &Rows, subjects: u32) -> Self {
        let mut positions = vec![NO_ROW; usize::try_from(subjects).unwrap_or(usize::MAX)];
        let mut repeated = Vec::new();
        for (row, owner) in (0_u32..).zip(&rows.owners) {
            let Some(position) = positions.get_mut(usize::try_from(*owner).unwrap_or(usize::MAX)) else {
                continue;
            };
            if *position == NO_ROW {
                *position = row;
            } else {
                repeated.push(*owner);
            }
        }
        for owner in repeated {
            if let Some(position) = positions.get_mut(usize::try_from(owner).unwrap_or(usize::MAX)) {
                *position = NO_ROW;
            }
        }
        Self::Subject(positions)
    }
}

impl Lookup {
    /// The row with this key, or of this subject, reached from a row of `owner`. A row about another subject is not reached: the figures of a
    /// cell are decided by the subjects that are counted in it, so its columns would be shown of someone who is not protected there. Rows of
    /// reference datasets are about no one.
    pub(super) fn find(&self, key: Datum<'_>, owner: Option<u32>) -> Option<Row<'_>> {
        let position = match &self.index {
            Index::Key(keys) => keys.get(key)?,
            Index::Subject(positions) => *positions.get(usize::try_from(owner?).ok()?)?,
        };
        let at = usize::try_from(position).ok().filter(|_| position != NO_ROW)?;
        let row = Row { rows: &self.rows, at };
        let is_own = row.owner().is_none() || row.owner() == owner;
        is_own.then_some(row)
    }
}

/// Keys that are listed.
#[derive(Debug, Default)]
pub(super) struct Keys {
    whole: HashSet<i64>,
    texts: HashSet<String>,
}

impl Keys {
    /// Adds a key; returns whether it is new.
    pub(super) fn add(&mut self, key: Datum<'_>) -> bool {
        match key {
            Datum::Int(number) => self.whole.insert(number),
            Datum::Text(text) => !self.texts.contains(text) && self.texts.insert(text.to_owned()),
            Datum::Null | Datum::Truth(_) | Datum::Float(_) | Datum::Date(_) | Datum::Millis(_) => false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.whole.len().saturating_add(self.texts.len())
    }

    /// The keys in ascending order.
    pub(super) fn values(&self) -> Vec<Value> {
        let whole = self.whole.iter().copied().map(Value::Int);
        let texts = self.texts.iter().cloned().map(Value::Text);
        let mut values: Vec<Value> = whole.chain(texts).collect();
        values.sort();
        values
    }

    pub(super) fn has(&self, key: Datum<'_>) -> bool {
        match key {
            Datum::Int(number) => {
                self.whole.contains(&number) || !self.texts.is_empty() && self.texts.contains(&number.to_string())
            }
            Datum::Text(text) => {
                let number = || text.parse::<i64>().is_ok_and(|number| self.whole.contains(&number));
                self.texts.contains(text) || !self.whole.is_empty() && number()
            }
            Datum::Null | Datum::Truth(_) | Datum::Float(_) | Datum::Date(_) | Datum::Millis(_) => false,
        }
    }
}

/// What is known of the events of each subject.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) subjects: Bits,
    /// How many there are; empty if that is not needed.
    pub(super) counts: Vec<u32>,
    pub(super) firsts: Vec<Dates>,
    pub(super) lasts: Vec<Dates>,
    rows: Rows,
    /// The positions of the rows, by subject.
    order: Vec<u32>,
    /// The days of the events, by subject and in ascending order.
    days: Vec<i64>,
    /// Where the positions or days of each subject begin, and after them where the last ones end; empty if neither is needed.
    offsets: Vec<u32>,
}

impl Events {
    /// No events, with what is needed of them.
    pub(super) fn none(subjects: u32, uses: &EventsUses) -> Self {
        let dates = |columns: &[usize], is_first| columns.iter().map(|_| Dates::new(subjects, is_first)).collect();
        let counts = if uses.counts { subjects } else { 0 };
        Self {
            subjects: Bits::none(subjects),
            counts: vec![0; usize::try_from(counts).unwrap_or(usize::MAX)],
            firsts: dates(&uses.firsts, true),
            lasts: dates(&uses.lasts, false),
            ..Self::default()
        }
    }

    fn count(&self, owner: u32) -> Option<Datum<'_>> {
        let count = *self.counts.get(usize::try_from(owner).ok()?)?;
        (count > 0).then(|| Datum::Int(i64::from(count)))
    }

    /// The events of a subject.
    pub(super) fn of(&self, owner: u32) -> impl Iterator<Item = Row<'_>> {
        let positions = self.order.get(self.span(owner)).unwrap_or_default();
        positions.iter().map(|at| Row {
            rows: &self.rows,
            at: usize::try_from(*at).unwrap_or(usize::MAX),
        })
    }

    /// Whether a subject has an event from the first to the second of these days.
    pub(super) fn has_day(&self, owner: u32, (from, to): (i64, i64)) -> bool {
        let days = self.days.get(self.span(owner)).unwrap_or_default();
        let first = days.partition_point(|day| *day < from);
        days.get(first).is_some_and(|day| *day <= to)
    }

    /// The positions of the events of a subject.
    fn span(&self, owner: u32) -> Range<usize> {
        let owner = usize::try_from(owner).unwrap_or(usize::MAX);
        let end = |at: usize| usize::try_from(self.offsets.get(at).copied().unwrap_or_default()).unwrap_or_default();
        end(owner)..end(owner.saturating_add(1))
    }

    /// Keeps these rows, sorted by subject. The work is linear.
    pub(super) fn keep(&mut self, rows: Rows, subjects: u32) {
        let offsets = offsets(rows.owners.iter().copied(), subjects);
        let mut next = offsets.clone();
        let mut order = vec![0_u32; rows.len()];
        for (row, owner) in (0_u32..).zip(&rows.owners) {
            let Some(next) = next.get_mut(usize::try_from(*owner).unwrap_or(usize::MAX)) else {
                continue;
            };
            if let Some(position) = order.get_mut(usize::try_from(*next).unwrap_or(usize::MAX)) {
                *position = row;
            }
            *next = next.saturating_add(1);
        }
        self.order = order;
        self.offsets = offsets;
        self.rows = rows;
    }

    /// Keeps the days of events, each with its subject.
    pub(super) fn keep_days(&mut self, mut days: Vec<(u32, i64)>, subjects: u32) {
        days.sort_unstable();
        days.dedup();
        self.offsets = offsets(days.iter().map(|(owner, _)| *owner), subjects);
        self.days = days.into_iter().map(|(_, day)| day).collect();
    }
}

/// Where the events of each subject begin if they are sorted by subject, and after them where the last ones end.
fn offsets(owners: impl Iterator<Item = u32>, subjects: u32) -> Vec<u32> {
    let count = usize::try_from(subjects).unwrap_or(usize::MAX);
    let mut offsets = vec![0_u32; count.saturating_add(1)];
    for owner in owners {
        let after = usize::try_from(owner).unwrap_or(usize::MAX).saturating_add(1);
        if let Some(offset) = offsets.get_mut(after) {
            *offset = offset.saturating_add(1);
        }
    }
    let mut sum = 0_u32;
    for offset in &mut offsets {
        sum = sum.saturating_add(*offset);
        *offset = sum;
    }
    offsets
}

/// The first or the last date of each subject.
#[derive(Debug)]
pub(super) struct Dates {
    values: Vec<i64>,
    seen: Bits,
    is_time: bool,
    is_first: bool,
}

impl Dates {
    fn new(subjects: u32, is_first: bool) -> Self {
        Self {
            values: vec![0; usize::try_from(subjects).unwrap_or(usize::MAX)],
            seen: Bits::none(subjects),
            is_time: false,
            is_first,
        }
    }

    /// Adds a date of a subject.
    pub(super) fn add(&mut self, owner: u32, date: Datum<'_>) {
        let value = match date {
            Datum::Date(day) => i64::from(day),
            Datum::Millis(time) => {
                self.is_time = true;
                time
            }
            Datum::Null | Datum::Truth(_) | Datum::Int(_) | Datum::Float(_) | Datum::Text(_) => return,
        };
        let Some(known) = self.values.get_mut(usize::try_from(owner).unwrap_or(usize::MAX)) else {
            return;
        };
        *known = match (self.seen.has(owner), self.is_first) {
            (false, _) => value,
            (true, true) => value.min(*known),
            (true, false) => value.max(*known),
        };
        self.seen.add(owner);
    }

    fn get(&self, owner: u32) -> Option<Datum<'_>> {
        let value = *self.values.get(usize::try_from(owner).ok()?)?;
        if !self.seen.has(owner) {
            return None;
        }
        Some(if self.is_time {
            Datum::Millis(value)
        } else {
            Datum::Date(i32::try_from(value).ok()?)
        })
    }
}
