//! What an attacker knows of the people, and the conditions that queries have.

use crate::{Condition, UnitSet};

use super::people::SECRETS;

/// A column with the people of each value.
#[derive(Debug)]
pub(super) struct Column {
    name: &'static str,
    pub(super) values: Vec<u32>,
    people: Vec<UnitSet>,
}

impl Column {
    pub(super) fn new(name: &'static str, atoms: u32, values: Vec<u32>) -> Self {
        let mut people = vec![Vec::new(); atoms as usize];
        for (person, value) in (0_u32..).zip(&values) {
            people[*value as usize].push(person);
        }
        let people = people.into_iter().map(UnitSet::from_iter).collect();
        Self { name, values, people }
    }

    pub(super) fn atoms(&self) -> u32 {
        u32::try_from(self.people.len()).unwrap()
    }

    pub(super) fn with(&self, value: u32) -> &UnitSet {
        &self.people[value as usize]
    }

    /// The column has one of these values.
    pub(super) fn is(&self, values: impl IntoIterator<Item = u32>) -> Condition {
        Condition::Atoms {
            path: self.name.to_owned(),
            of: self.atoms(),
            atoms: values.into_iter().collect(),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }
}

/// A group, a column in which the person is alone in it, and people who are not in it.
#[derive(Debug)]
pub(super) struct Padding {
    pub(super) group: Condition,
    pub(super) column: usize,
    pub(super) known: Condition,
}

/// Columns by which a person is alone among many.
#[derive(Debug)]
pub(super) struct Pivot {
    /// In which many are like the person.
    pub(super) like: Vec<usize>,
    /// In which none of them is.
    pub(super) column: usize,
}

/// The people with the columns by which they are found.
#[derive(Debug)]
pub(super) struct Register {
    pub(super) size: u32,
    pub(super) columns: Vec<Column>,
    /// Numbers of each person, by column.
    pub(super) known: Vec<Vec<u32>>,
}

impl Register {
    /// The people with the same value in a column.
    pub(super) fn like(&self, column: usize, person: u32) -> &UnitSet {
        let column = &self.columns[column];
        column.with(column.values[person as usize])
    }

    /// The condition that they meet.
    pub(super) fn equal(&self, column: usize, person: u32) -> Condition {
        let column = &self.columns[column];
        column.is([column.values[person as usize]])
    }

    /// The fewest columns whose values only this person has, those with rare values first.
    pub(super) fn key(&self, person: u32) -> Option<Vec<usize>> {
        self.wide_key(person, 0)
    }

    /// The same, without columns in which fewer than `least` people have the person's value.
    pub(super) fn wide_key(&self, person: u32, least: u64) -> Option<Vec<usize>> {
        let mut columns: Vec<usize> = (0..self.columns.len()).collect();
        columns.retain(|column| self.like(*column, person).len() >= least);
        columns.sort_by_key(|column| self.like(*column, person).len());
        let mut people = UnitSet::all(self.size);
        for (at, column) in columns.iter().enumerate() {
            people = people.intersection(self.like(*column, person));
            if people.len() == 1 {
                return Some(columns[..=at].to_vec());
            }
        }
        None
    }

    /// The condition that only this person meets, who is unique.
    pub(super) fn only(&self, person: u32) -> Condition {
        let key = self.key(person).unwrap();
        all(key.iter().map(|column| self.equal(*column, person)))
    }

    pub(super) fn is_unique(&self, person: u32) -> bool {
        self.key(person).is_some()
    }

    /// Everyone who is unique but for one person.
    pub(super) fn others(&self, person: u32) -> Vec<u32> {
        let others = (0..self.size).filter(|other| *other != person);
        others.filter(|other| self.is_unique(*other)).collect()
    }

    /// Columns in which many people are like this person, with another column in which none of them has the person's value.
    pub(super) fn pivots(&self, person: u32) -> Vec<Pivot> {
        const MANY: u64 = 150;
        let columns = 0..self.columns.len();
        let mut found = Vec::new();
        for (first, second) in columns
            .clone()
            .flat_map(|first| (first..self.columns.len()).map(move |second| (first, second)))
        {
            let like = self.like(first, person).intersection(self.like(second, person));
            if like.len() < MANY {
                continue;
            }
            let others = columns.clone().filter(|column| *column != first && *column != second);
            let alone = others.filter(|column| like.intersection(self.like(*column, person)).len() == 1);
            let mut columns = vec![first, second];
            columns.dedup();
            found.extend(alone.map(|column| Pivot {
                like: columns.clone(),
                column,
            }));
        }
        found
    }

    /// Groups in which no one else has the person's value of another column, with known people outside.
    pub(super) fn paddings(&self, person: u32) -> Vec<Padding> {
        let pivots = self.pivots(person).into_iter().filter(|pivot| pivot.like.len() == 1);
        let mut found = Vec::new();
        for Pivot { like, column } in pivots {
            let group = self.equal(like[0], person);
            let people = self.like(like[0], person);
            let known = (12..=20).flat_map(|size| self.boxes(size, person));
            let known = known.into_iter().find(|known| self.matching(known).is_disjoint(people));
            found.extend(known.map(|known| Padding { group, column, known }));
        }
        found
    }

    /// Values of two columns that so many people have, this one not among them.
    pub(super) fn boxes(&self, people: u64, person: u32) -> Vec<Condition> {
        let mut found = Vec::new();
        for (first, second) in (0..self.columns.len()).flat_map(|first| (0..first).map(move |second| (first, second))) {
            let (first, second) = (&self.columns[first], &self.columns[second]);
            for (one, other) in (0..first.atoms()).flat_map(|one| (0..second.atoms()).map(move |other| (one, other))) {
                let both = first.with(one).intersection(second.with(other));
                if both.len() == people && !both.contains(person) {
                    found.push(all([first.is([one]), second.is([other])]));
                }
            }
        }
        found
    }

    /// The column in which most people have the person's value.
    pub(super) fn widest(&self, person: u32) -> usize {
        let columns = 0..self.columns.len();
        columns.max_by_key(|column| self.like(*column, person).len()).unwrap()
    }

    /// The one with most people after it.
    pub(super) fn second_widest(&self, person: u32) -> usize {
        let widest = self.widest(person);
        let columns = (0..self.columns.len()).filter(|column| *column != widest);
        columns.max_by_key(|column| self.like(*column, person).len()).unwrap()
    }

    /// A large group that the person is in.
    pub(super) fn group(&self, person: u32) -> Condition {
        self.equal(self.widest(person), person)
    }

    /// A column in which 15 to 60 people have the person's value.
    pub(super) fn small_group(&self, person: u32) -> Option<usize> {
        let mut columns = 0..self.columns.len();
        columns.find(|column| (15..=60).contains(&self.like(*column, person).len()))
    }

    pub(super) fn matching(&self, condition: &Condition) -> UnitSet {
        let column = |name: &str| self.columns.iter().find(|column| column.name == name);
        matching(condition, self.size, &column)
    }
}

/// The people who meet a condition on columns, which is evaluated as it is written.
pub(super) fn matching<'a>(condition: &Condition, size: u32, column: &dyn Fn(&str) -> Option<&'a Column>) -> UnitSet {
    let all_of = |parts: &[Condition]| {
        let sets = parts.iter().map(|part| matching(part, size, column));
        sets.reduce(|all, set| all.intersection(&set))
    };
    match condition {
        Condition::Everyone => UnitSet::all(size),
        Condition::Atoms { path, atoms, .. } => {
            let column = column(path).unwrap();
            let sets = atoms.iter().map(|atom| column.with(atom));
            sets.fold(UnitSet::new(), |all, set| all.union(set))
        }
        Condition::Not(part) => UnitSet::all(size).difference(&matching(part, size, column)),
        Condition::All(parts) => all_of(parts).unwrap_or_else(|| UnitSet::all(size)),
        Condition::Any(parts) => {
            let sets = parts.iter().map(|part| matching(part, size, column));
            sets.fold(UnitSet::new(), |all, set| all.union(&set))
        }
        Condition::Events { .. } => panic!("the tables have no events"),
    }
}

pub(super) fn all(parts: impl IntoIterator<Item = Condition>) -> Condition {
    Condition::All(parts.into_iter().collect())
}

pub(super) fn any(parts: impl IntoIterator<Item = Condition>) -> Condition {
    Condition::Any(parts.into_iter().collect())
}

pub(super) fn not(part: Condition) -> Condition {
    Condition::Not(Box::new(part))
}

/// The secret is one of these.
pub(super) fn secret(values: impl IntoIterator<Item = u32>) -> Condition {
    Condition::Atoms {
        path: SECRET.to_owned(),
        of: SECRETS,
        atoms: values.into_iter().collect(),
    }
}

/// The person has the secret.
pub(super) fn has_secret() -> Condition {
    secret([1])
}

/// The name of the column of the secret.
pub(super) const SECRET: &str = "secret";
