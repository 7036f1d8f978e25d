//! What a statistic means, by reading plain rows one by one. It is slow, and has no code in common with what it is compared with but the
//! atoms of levels.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::{
    collection::{AtomId, AtomSet, Datum},
    ids::DatasetName,
    scope::{Rows, Scope, Subjects, Value},
};

use super::collection::{CONCEPT, DATASETS, Item, Record, World, at, position};
use crate::statistic::{
    CellAggregate, ColumnPath, Condition, Day, EventSet, Group, KeyList, KnownCollection, Measured, Quantity,
    ReferenceTest, Row, Statistic, Step, SubjectValue,
};

/// Rows as the interpreter sees them.
pub(super) struct Reference<'a> {
    world: &'a World,
    scope: &'a Scope,
    known: &'a KnownCollection,
    /// The rows of each dataset that count, with their numbers.
    visible: Vec<Vec<(u32, Context<'a>)>>,
}

/// A row, or a subject alone.
#[derive(Clone, Copy)]
struct Context<'a> {
    row: Option<(usize, &'a Record)>,
    owner: Option<u32>,
}

/// What an aggregate of a cell is computed from.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) subjects: BTreeSet<u32>,
    /// Each row with its number, its owner and its values.
    pub(super) rows: Vec<(u32, u32, Vec<f64>)>,
}

impl<'a> Reference<'a> {
    pub(super) fn new(world: &'a World, scope: &'a Scope, known: &'a KnownCollection) -> Self {
        let mut reference = Self {
            world,
            scope,
            known,
            visible: Vec::new(),
        };
        reference.visible = (0..DATASETS.len()).map(|of| reference.counted(of)).collect();
        reference
    }

    /// The subjects of each cell, and what each aggregate is computed from.
    pub(super) fn cells(&self, statistic: &Statistic) -> BTreeMap<usize, (BTreeSet<u32>, Vec<Expected>)> {
        let sizes: Vec<usize> = statistic.sizes(self.known).collect();
        let mut cells: BTreeMap<usize, (BTreeSet<u32>, Vec<Expected>)> = BTreeMap::new();
        for (number, context) in self.measured(statistic.measured()) {
            let Some(owner) = context.owner else { continue };
            if self.truth(statistic.rows(), context, None) != Some(true) {
                continue;
            }
            let classes = statistic.groups().iter().zip(&sizes);
            let cell = classes.fold(0_usize, |cell, (group, size)| {
                cell * size + self.class(group, *size, context)
            });
            let new = || {
                let aggregates = statistic.cells().iter().map(|_| Expected::default());
                (BTreeSet::new(), aggregates.collect())
            };
            let (subjects, aggregates) = cells.entry(cell).or_insert_with(new);
            subjects.insert(owner);
            for (aggregate, expected) in statistic.cells().iter().zip(aggregates) {
                if let Some(values) = self.values(aggregate, context) {
                    expected.subjects.insert(owner);
                    expected.rows.push((number, owner, values));
                }
            }
        }
        cells
    }

    fn measured(&self, measured: &Measured) -> Vec<(u32, Context<'a>)> {
        match measured {
            Measured::Rows(name) => self.visible[position(name)].clone(),
            Measured::Subjects => {
                let all = (0..self.world.subjects).filter(|owner| self.is_covered(*owner));
                let alone = |owner| Context {
                    row: None,
                    owner: Some(owner),
                };
                all.map(|owner| (owner, alone(owner))).collect()
            }
        }
    }

    fn counted(&self, of: usize) -> Vec<(u32, Context<'a>)> {
        let name = DatasetName::new(DATASETS[of].0).unwrap();
        let filter = &self.scope.datasets.get(&name).unwrap().rows;
        let numbered = (0..).zip(&self.world.rows[of]);
        let counted = numbered.filter(|(_, record)| {
            let is_owned = of == CONCEPT || record.owner.is_some_and(|owner| self.is_covered(owner));
            is_owned && admits(filter, of, record)
        });
        counted
            .map(|(number, record)| {
                let owner = record.owner.filter(|_| of != CONCEPT);
                let row = Some((of, record));
                (number, Context { row, owner })
            })
            .collect()
    }

    fn is_covered(&self, owner: u32) -> bool {
        let Subjects::Only(filter) = &self.scope.subjects else {
            return owner < self.world.subjects;
        };
        let of = position(filter.dataset());
        let mut rows = self.world.rows[of].iter();
        rows.any(|record| record.owner == Some(owner) && admits(filter.rows(), of, record))
    }

    fn values(&self, aggregate: &CellAggregate, context: Context<'a>) -> Option<Vec<f64>> {
        if self.truth(aggregate.filter(), context, None) != Some(true) {
            return None;
        }
        let operands: Vec<&Quantity> = match aggregate {
            CellAggregate::Subjects { .. } | CellAggregate::Rows { .. } => Vec::new(),
            CellAggregate::Moments { of, with, .. } => std::iter::once(of).chain(with).collect(),
            CellAggregate::Quantile { of, .. } => vec![of],
        };
        let clipped = operands.into_iter().map(|of| {
            let range = self.known.range(of).unwrap();
            let number = number(&self.item(of, context, None))?;
            Some(number.max(range.low()).min(range.high()))
        });
        clipped.collect()
    }

    fn class(&self, group: &Group, size: usize, context: Context<'a>) -> usize {
        let rest = size - 1;
        let atom = |of: &Quantity| self.known.levels(of).atom_of(self.item(of, context, None).datum());
        match group {
            Group::Levels { of, .. } => match atom(of) {
                AtomId::Listed(atom) => usize::from(atom),
                AtomId::Null | AtomId::Code(_) => rest,
            },
            Group::Buckets { of, buckets, .. } => {
                let atom = atom(of);
                let found = buckets.iter().position(|bucket| bucket.atoms.contains(&atom));
                found.unwrap_or(rest)
            }
            Group::Codes { of, codes } => {
                let item = self.item(&Quantity::Column(of.clone()), context, None);
                let code = value(&item);
                let found = codes.iter().position(|known| Some(known) == code.as_ref());
                found.unwrap_or(rest)
            }
            Group::Cases { cases, .. } => {
                let found = cases
                    .iter()
                    .position(|(case, _)| self.truth(case, context, None) == Some(true));
                found.unwrap_or(rest)
            }
        }
    }

    fn truth(&self, condition: &Condition, context: Context<'a>, outer: Option<Context<'a>>) -> Option<bool> {
        match condition {
            Condition::All => Some(true),
            Condition::Never => Some(false),
            Condition::Test(of, test) => {
                let atom = self.known.levels(of).atom_of(self.item(of, context, outer).datum());
                let within = |set: &AtomSet| set.contains(&atom);
                within(test.passing())
                    .then_some(true)
                    .or(within(test.failing()).then_some(false))
            }
            Condition::Events { of, exist } => Some(self.events(of, context).is_empty() != *exist),
            Condition::Listed { of, list, is_in } => {
                let key = value(&self.reached(of, context, outer))?;
                Some(self.listed(list).contains(&key) == *is_in)
            }
            Condition::Reference { of, test, negated } => {
                let item = value(&self.reached(of, context, outer))?;
                let passes = match test {
                    ReferenceTest::OneOf(values) => values.contains(&item),
                    ReferenceTest::Like { pattern, .. } => {
                        let prefix = pattern.trim_end_matches('%');
                        matches!(item, Value::Text(text) if text.starts_with(prefix))
                    }
                };
                Some(passes != *negated)
            }
            Condition::OtherRow { key, is_other } => {
                let own = value(&self.reached(key, context, outer))?;
                let around = value(&self.reached(&key.outer().unwrap(), context, outer))?;
                Some((own != around) == *is_other)
            }
            Condition::And(parts) => {
                let truths: Vec<_> = parts.iter().map(|part| self.truth(part, context, outer)).collect();
                let is_known = truths.contains(&Some(false)) || !truths.contains(&None);
                is_known.then(|| !truths.contains(&Some(false)))
            }
            Condition::Or(parts) => {
                let truths: Vec<_> = parts.iter().map(|part| self.truth(part, context, outer)).collect();
                let is_known = truths.contains(&Some(true)) || !truths.contains(&None);
                is_known.then(|| truths.contains(&Some(true)))
            }
        }
    }

    /// The events of the subject of a row.
    fn events(&self, of: &EventSet, around: Context<'a>) -> Vec<Context<'a>> {
        let all = self.visible[position(&of.dataset)].iter();
        all.map(|(_, context)| *context)
            .filter(|context| context.owner.is_some() && context.owner == around.owner)
            .filter(|context| self.truth(&of.rows, *context, Some(around)) == Some(true))
            .collect()
    }

    fn listed(&self, list: &KeyList) -> Vec<Value> {
        let of = position(&list.dataset);
        let rows = self.visible[of].iter().map(|(_, context)| *context);
        rows.filter(|context| self.truth(&list.rows, *context, None) == Some(true))
            .filter_map(|context| value(&context.row?.1.items[at(of, list.key.as_str())]))
            .collect()
    }

    fn item(&self, of: &Quantity, context: Context<'a>, outer: Option<Context<'a>>) -> Item {
        let whole = |number: Option<i64>| number.map_or(Item::Null, Item::Int);
        match of {
            Quantity::Column(path) => self.reached(path, context, outer),
            Quantity::InText(path) => {
                let Item::Text(text) = self.reached(path, context, outer) else {
                    return Item::Null;
                };
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                number.map_or(Item::Null, Item::Float)
            }
            Quantity::Seconds { from, to } => {
                let times = (self.reached(from, context, outer), self.reached(to, context, outer));
                let (Item::Millis(from), Item::Millis(to)) = times else {
                    return Item::Null;
                };
                Item::Float((to - from) as f64 / 1_000.0)
            }
            Quantity::Days { from, to } => {
                let days = (self.day(from, context, outer), self.day(to, context, outer));
                whole(days.0.zip(days.1).map(|(from, to)| to - from))
            }
            Quantity::Age { born, at } => {
                let born = self.reached(born, context, outer);
                let born = if let Item::Int(year) = born {
                    Some(year)
                } else {
                    day(&born).map(year)
                };
                let at = self.day(at, context, outer).map(year);
                whole(at.zip(born).map(|(at, born)| at.saturating_sub(born)))
            }
            Quantity::Linear { terms, plus } => {
                let mut sum = plus.get();
                for (factor, path) in terms {
                    let Some(number) = number(&self.reached(path, context, outer)) else {
                        return Item::Null;
                    };
                    let range = self.known.range(&Quantity::Column(path.clone())).unwrap();
                    sum += factor.get() * range.clip(number).unwrap();
                }
                Item::Float(sum)
            }
            Quantity::OfSubject { of, value } => self.of_subject(of, value, context),
        }
    }

    fn day(&self, of: &Day, context: Context<'a>, outer: Option<Context<'a>>) -> Option<i64> {
        day(&match of {
            Day::Column(path) => self.reached(path, context, outer),
            Day::OfSubject { of, value } => self.of_subject(of, value, context),
        })
    }

    fn of_subject(&self, of: &EventSet, value: &SubjectValue, context: Context<'a>) -> Item {
        let events = self.events(of, context);
        let column = match value {
            SubjectValue::Count if events.is_empty() => return Item::Null,
            SubjectValue::Count => return Item::Int(events.len() as i64),
            SubjectValue::First(column) | SubjectValue::Last(column) => column,
        };
        let column = at(position(&of.dataset), column.as_str());
        let items = events
            .iter()
            .filter_map(|event| event.row)
            .map(|(_, record)| &record.items[column]);
        let mut dated: Vec<(i64, Item)> = items.filter_map(|item| Some((moment(item)?, item.clone()))).collect();
        dated.sort_by_key(|(moment, _)| *moment);
        let found = if matches!(value, SubjectValue::First(_)) {
            dated.first()
        } else {
            dated.last()
        };
        found.map_or(Item::Null, |(_, item)| item.clone())
    }

    /// The value of a column that a row reaches.
    fn reached(&self, path: &ColumnPath, context: Context<'a>, outer: Option<Context<'a>>) -> Item {
        let mut context = if path.row() == Row::Outer {
            outer.unwrap()
        } else {
            context
        };
        for step in path.via() {
            let to = position(step.to());
            let rows = self.visible[to].iter().map(|(_, context)| *context);
            let found: Vec<Context<'_>> = match step {
                Step::Subject(_) => rows
                    .filter(|row| row.owner.is_some() && row.owner == context.owner)
                    .collect(),
                Step::Link(link) => {
                    let (from, record) = context.row.unwrap();
                    let key = value(&record.items[at(from, link.column.as_str())]);
                    let column = at(to, link.key.as_str());
                    let is_same = |row: &Context<'_>| key.is_some() && value(&row.row.unwrap().1.items[column]) == key;
                    rows.filter(is_same).collect()
                }
            };
            let [one] = found.as_slice() else {
                return Item::Null;
            };
            if one.owner.is_some() && one.owner != context.owner {
                return Item::Null;
            }
            context = *one;
        }
        let (of, record) = context.row.unwrap();
        record.items[at(of, path.column().as_str())].clone()
    }
}

fn admits(filter: &Rows, of: usize, record: &Record) -> bool {
    filter.constraints().all(|(column, constraint)| {
        let item = &record.items[at(of, column.as_str())];
        constraint.admits(value(item).as_ref())
    })
}

/// The value of an item that can be listed.
fn value(item: &Item) -> Option<Value> {
    match item {
        Item::Int(number) => Some(Value::Int(*number)),
        Item::Text(text) => Some(Value::Text(text.clone())),
        Item::Truth(truth) => Some(Value::Bool(*truth)),
        Item::Date(day) => Some(Value::Date(*day)),
        Item::Null | Item::Float(_) | Item::Millis(_) => None,
    }
}

fn number(item: &Item) -> Option<f64> {
    match item {
        Item::Int(number) => Some(*number as f64),
        Item::Float(number) => Some(*number).filter(|number| number.is_finite()),
        Item::Null | Item::Truth(_) | Item::Date(_) | Item::Millis(_) | Item::Text(_) => None,
    }
}

fn moment(item: &Item) -> Option<i64> {
    match item {
        Item::Date(day) => Some(i64::from(*day)),
        Item::Millis(time) => Some(*time),
        Item::Null | Item::Truth(_) | Item::Int(_) | Item::Float(_) | Item::Text(_) => None,
    }
}

fn day(item: &Item) -> Option<i64> {
    match item.datum() {
        Datum::Date(day) => Some(i64::from(day)),
        Datum::Millis(time) => Some(time.div_euclid(86_400_000)),
        Datum::Null | Datum::Truth(_) | Datum::Int(_) | Datum::Float(_) | Datum::Text(_) => None,
    }
}

/// The year of a day: the last one that begins before it or on it.
fn year(day: i64) -> i64 {
    // Days from 1970-01-01 to the first day of a year.
    let first_day = |year: i64| {
        let before = year - 1;
        365 * before + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
    };
    let mut year = 1970 + day.div_euclid(366);
    while first_day(year + 1) <= day {
        year += ((day - first_day(year)) / 367).max(1);
    }
    while first_day(year) > day {
        year -= 1;
    }
    year
}
