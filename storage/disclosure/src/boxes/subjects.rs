//! Possible subjects: representatives of the atoms that conditions distinguish.

use std::collections::BTreeMap;

use super::condition::Condition;
use super::subject::{Subject, Values, meets};
use crate::random::{below, position};
use crate::{Entropy, UnitSet};

/// Events of a kind that random subjects have beyond those that a condition requires.
const MORE_EVENTS: u32 = 4;

/// The atoms of the columns that conditions name: one representative for each class that they do not distinguish.
#[derive(Debug, Default)]
pub(super) struct Domain {
    subject: Columns,
    events: BTreeMap<String, Columns>,
}

type Columns = BTreeMap<String, Vec<Option<u32>>>;

/// What conditions name of a column.
#[derive(Default)]
struct Named<'a> {
    of: u32,
    sets: Vec<&'a UnitSet>,
}

type NamedColumns<'a> = BTreeMap<&'a str, Named<'a>>;

impl Domain {
    /// Of some conditions; `None` if they disagree about the number of atoms of a column.
    pub(super) fn of<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Option<Self> {
        let mut subject = NamedColumns::new();
        let mut events = BTreeMap::<&str, NamedColumns<'_>>::new();
        for condition in conditions {
            collect(condition, &mut subject, Some(&mut events))?;
        }
        Some(Self {
            subject: columns(subject),
            events: events
                .into_iter()
                .map(|(name, named)| (name.to_owned(), columns(named)))
                .collect(),
        })
    }

    /// The number of possible subjects; `None` if they have events, or there are more than 2^64.
    pub(super) fn combinations(&self) -> Option<u64> {
        if !self.events.is_empty() {
            return None;
        }
        let mut classes = self.subject.values().map(|classes| classes.len() as u64);
        classes.try_fold(1, u64::checked_mul)
    }

    /// One of them by its number.
    pub(super) fn combination(&self, mut number: u64) -> Subject {
        let mut subject = Subject::default();
        for (path, classes) in &self.subject {
            let count = (classes.len() as u64).max(1);
            let at = usize::try_from(number % count).unwrap_or(0);
            number /= count;
            subject.values.insert(path.clone(), classes.get(at).copied().flatten());
        }
        subject
    }

    /// A random subject, which in most cases meets the condition `near`, or misses it by little.
    pub(super) fn draw(&self, near: Option<&Condition>, entropy: &mut dyn Entropy) -> Subject {
        let mut subject = Subject {
            values: draw_values(&self.subject, entropy),
            events: BTreeMap::new(),
        };
        for (name, columns) in &self.events {
            let number = below(entropy, MORE_EVENTS);
            let events = (0..number).map(|_| draw_values(columns, entropy)).collect();
            subject.events.insert(name.clone(), events);
        }
        let to_meet = below(entropy, 4) > 0;
        if let Some(near) = near {
            self.change(near, to_meet, &mut subject, entropy);
        }
        subject
    }

    /// Changes a subject so that it meets a condition or does not, as far as other conditions do not interfere.
    fn change(&self, condition: &Condition, to_meet: bool, subject: &mut Subject, entropy: &mut dyn Entropy) {
        match condition {
            Condition::Everyone => {}
            Condition::Atoms { path, atoms, .. } => {
                set(&self.subject, path, atoms, to_meet, &mut subject.values, entropy)
            }
            Condition::Events { events, at_least, that } => {
                let Some(columns) = self.events.get(events) else { return };
                let list = subject.events.entry(events.clone()).or_default();
                if !to_meet {
                    list.retain(|event| !meets(that, event, None));
                }
                let number = if to_meet { *at_least } else { *at_least - 1 };
                for _ in 0..number {
                    let mut event = draw_values(columns, entropy);
                    change_event(columns, that, true, &mut event, entropy);
                    list.push(event);
                }
            }
            Condition::Not(condition) => self.change(condition, !to_meet, subject, entropy),
            Condition::All(conditions) => {
                for (condition, to_meet) in choose(conditions, to_meet, true, entropy) {
                    self.change(condition, to_meet, subject, entropy);
                }
            }
            Condition::Any(conditions) => {
                for (condition, to_meet) in choose(conditions, to_meet, false, entropy) {
                    self.change(condition, to_meet, subject, entropy);
                }
            }
        }
    }
}

fn change_event(
    columns: &Columns,
    condition: &Condition,
    to_meet: bool,
    event: &mut Values,
    entropy: &mut dyn Entropy,
) {
    match condition {
        Condition::Everyone | Condition::Events { .. } => {}
        Condition::Atoms { path, atoms, .. } => set(columns, path, atoms, to_meet, event, entropy),
        Condition::Not(condition) => change_event(columns, condition, !to_meet, event, entropy),
        Condition::All(conditions) => {
            for (condition, to_meet) in choose(conditions, to_meet, true, entropy) {
                change_event(columns, condition, to_meet, event, entropy);
            }
        }
        Condition::Any(conditions) => {
            for (condition, to_meet) in choose(conditions, to_meet, false, entropy) {
                change_event(columns, condition, to_meet, event, entropy);
            }
        }
    }
}

/// Which of several conditions are to be met: all of them, or for `to_meet != all` one is chosen that decides.
fn choose<'a>(
    conditions: &'a [Condition],
    to_meet: bool,
    all: bool,
    entropy: &mut dyn Entropy,
) -> impl Iterator<Item = (&'a Condition, bool)> + use<'a> {
    let chosen = (to_meet != all).then(|| position(entropy, conditions.len()));
    let decide = move |(at, condition)| match chosen {
        None => (condition, all),
        Some(chosen) => (condition, if at == chosen { !all } else { all }),
    };
    conditions.iter().enumerate().map(decide)
}

/// Draws one of the atoms that are in a set, or one that is not.
fn set(columns: &Columns, path: &str, atoms: &UnitSet, inside: bool, values: &mut Values, entropy: &mut dyn Entropy) {
    let classes = columns.get(path).into_iter().flatten();
    let is_inside = |class: &&Option<u32>| class.is_some_and(|atom| atoms.contains(atom)) == inside;
    let possible: Vec<&Option<u32>> = classes.filter(is_inside).collect();
    if let Some(class) = possible.get(position(entropy, possible.len())) {
        values.insert(path.to_owned(), **class);
    }
}

fn draw_values(columns: &Columns, entropy: &mut dyn Entropy) -> Values {
    let draw = |(path, classes): (&String, &Vec<Option<u32>>)| {
        let class = classes.get(position(entropy, classes.len())).copied().flatten();
        (path.clone(), class)
    };
    columns.iter().map(draw).collect()
}

fn collect<'a>(
    condition: &'a Condition,
    columns: &mut NamedColumns<'a>,
    mut events: Option<&mut BTreeMap<&'a str, NamedColumns<'a>>>,
) -> Option<()> {
    match condition {
        Condition::Everyone => Some(()),
        Condition::Atoms { path, of, atoms } => {
            let named = columns.entry(path).or_insert_with(|| Named {
                of: *of,
                sets: Vec::new(),
            });
            if !named.sets.contains(&atoms) {
                named.sets.push(atoms);
            }
            (named.of == *of).then_some(())
        }
        Condition::Events { events: name, that, .. } => collect(that, events?.entry(name).or_default(), None),
        Condition::Not(condition) => collect(condition, columns, events),
        Condition::All(conditions) | Condition::Any(conditions) => {
            let mut conditions = conditions.iter();
            conditions.try_for_each(|condition| collect(condition, columns, events.as_deref_mut()))
        }
    }
}

fn columns(named: NamedColumns<'_>) -> Columns {
    let named = named.into_iter();
    named.map(|(path, named)| (path.to_owned(), classes(&named))).collect()
}

/// One atom of each class that the sets do not distinguish; `None` stands for those in no set.
fn classes(named: &Named<'_>) -> Vec<Option<u32>> {
    let mut classes: Vec<UnitSet> = Vec::new();
    let mut union = UnitSet::new();
    for set in &named.sets {
        let divided = classes
            .iter()
            .flat_map(|class| [class.intersection(set), class.difference(set)]);
        let mut divided: Vec<UnitSet> = divided.filter(|class| !class.is_empty()).collect();
        divided.push(set.difference(&union));
        union = union.union(set);
        classes = divided;
    }
    let mut representatives: Vec<Option<u32>> = classes
        .iter()
        .filter_map(|class| class.iter().next().map(Some))
        .collect();
    if union.len() < u64::from(named.of) {
        representatives.push(None);
    }
    representatives
}
