//! The descriptions on which it depends whether a cell is shown, besides its own.
//!
//! Whether a cell is shown may not depend on what its requester does not know. So a cell is shown only if each description is harmless that
//! is left of its own without one of its parts. These are its *neighbors*, and follow from its text alone:
//!
//! 1. The description is written with negations at its ends only. Conditions on one column of a conjunction, or of a disjunction, are one.
//! 2. *Wider* descriptions are those without one clause. What they have and the description has not, the rest, is one as well.
//! 3. *Parts* are those with some of the alternatives of a clause. A part with one alternative has neighbors of its own.
//!
//! Negations are alternatives: not to meet two conditions is to miss the one or the other.

use super::condition::{CellBox, Condition};
use crate::UnitSet;

/// Alternatives of a clause, of which all combinations are parts.
const MAX_ALTERNATIVES: usize = 5;

/// Wider descriptions and parts in all. The usual description has one for each of its columns.
const MAX_NEIGHBORS: usize = 64;

/// The neighbors of a description.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbors {
    /// The description without one of its clauses.
    pub wider: Vec<Wider>,
    /// The description with some of the alternatives of a clause.
    pub parts: Vec<Part>,
}

/// A description without one clause.
#[derive(Clone, Debug, PartialEq)]
pub struct Wider {
    /// What is left.
    pub cell: CellBox,
    /// Whether the clause is a condition on one column, or on events, and not one of alternatives.
    pub is_plain: bool,
}

/// A description with some of the alternatives of a clause.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub cell: CellBox,
    /// Its neighbors, if it has one alternative.
    pub neighbors: Neighbors,
}

impl CellBox {
    /// The neighbors of the description; `None` if there are too many.
    #[must_use]
    pub fn neighbors(&self) -> Option<Neighbors> {
        let mut left = MAX_NEIGHBORS;
        neighbors(&normal(self.condition(), false), &mut left)
    }

    /// The same description in the form in which two are compared: conditions on a column are one, and what everyone meets is left out.
    #[must_use]
    pub fn normal(&self) -> Condition {
        normal(self.condition(), false)
    }
}

fn neighbors(condition: &Condition, left: &mut usize) -> Option<Neighbors> {
    let clauses = clauses(condition);
    let mut found = Neighbors::default();
    for (at, clause) in clauses.iter().enumerate() {
        let others = clauses.iter().enumerate().filter(|(other, _)| *other != at);
        let rest: Vec<Condition> = others.map(|(_, clause)| clause.clone()).collect();
        *left = left.checked_sub(1)?;
        found.wider.push(Wider {
            cell: boxed(all(rest.clone()))?,
            is_plain: !matches!(clause, Condition::Any(_)),
        });
        if let Condition::Any(alternatives) = clause {
            add_parts(&mut found.parts, &rest, alternatives, left)?;
        }
    }
    Some(found)
}

fn add_parts(parts: &mut Vec<Part>, rest: &[Condition], alternatives: &[Condition], left: &mut usize) -> Option<()> {
    if alternatives.len() > MAX_ALTERNATIVES {
        return None;
    }
    let all_of_them = (1_u32 << alternatives.len()).checked_sub(1)?;
    for chosen in 1..all_of_them {
        let some = alternatives.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
        let some: Vec<Condition> = some.map(|(_, alternative)| alternative.clone()).collect();
        *left = left.checked_sub(1)?;
        let is_one = some.len() == 1;
        let clauses = rest.iter().cloned().chain([Condition::Any(some)]);
        let condition = normal(&Condition::All(clauses.collect()), false);
        parts.push(Part {
            neighbors: if is_one {
                neighbors(&condition, left)?
            } else {
                Neighbors::default()
            },
            cell: boxed(condition)?,
        });
    }
    Some(())
}

/// The conditions that are all met.
fn clauses(condition: &Condition) -> &[Condition] {
    match condition {
        Condition::Everyone => &[],
        Condition::All(clauses) => clauses,
        Condition::Atoms { .. } | Condition::Events { .. } | Condition::Not(_) | Condition::Any(_) => {
            std::slice::from_ref(condition)
        }
    }
}

fn all(mut clauses: Vec<Condition>) -> Condition {
    match clauses.len() {
        0 => Condition::Everyone,
        1 => clauses.remove(0),
        _ => Condition::All(clauses),
    }
}

fn boxed(condition: Condition) -> Option<CellBox> {
    CellBox::new(condition).ok()
}

/// Who meets no condition; it is `Any` of none.
const NEVER: Condition = Condition::Any(Vec::new());

/// A condition, or its negation, with negations at conditions on events only.
fn normal(condition: &Condition, is_negated: bool) -> Condition {
    match condition {
        Condition::Everyone if is_negated => NEVER,
        Condition::Everyone => Condition::Everyone,
        Condition::Atoms { path, of, atoms } => {
            let atoms = if is_negated {
                UnitSet::all(*of).difference(atoms)
            } else {
                atoms.clone()
            };
            of_atoms(path, *of, atoms)
        }
        Condition::Events { .. } if is_negated => Condition::Not(Box::new(condition.clone())),
        Condition::Events { .. } => condition.clone(),
        Condition::Not(inner) => normal(inner, !is_negated),
        Condition::All(parts) => joined(parts, is_negated, !is_negated),
        Condition::Any(parts) => joined(parts, is_negated, is_negated),
    }
}

fn of_atoms(path: &str, of: u32, atoms: UnitSet) -> Condition {
    match atoms.len() {
        0 => NEVER,
        number if number == u64::from(of) => Condition::Everyone,
        _ => Condition::Atoms {
            path: path.to_owned(),
            of,
            atoms,
        },
    }
}

/// All of some conditions or any of them, in normal form: each is another one, on another column, and decides something.
fn joined(parts: &[Condition], is_negated: bool, is_all: bool) -> Condition {
    let mut flat: Vec<Condition> = Vec::new();
    for part in parts {
        let part = normal(part, is_negated);
        match part {
            Condition::Everyone if is_all => {}
            Condition::Everyone => return Condition::Everyone,
            Condition::All(inner) if is_all => inner.into_iter().for_each(|part| add(&mut flat, part, is_all)),
            Condition::Any(inner) if is_all && inner.is_empty() => return NEVER,
            Condition::Any(inner) if !is_all => inner.into_iter().for_each(|part| add(&mut flat, part, is_all)),
            Condition::Atoms { .. }
            | Condition::Events { .. }
            | Condition::Not(_)
            | Condition::All(_)
            | Condition::Any(_) => add(&mut flat, part, is_all),
        }
    }
    if is_all && flat.contains(&NEVER) {
        return NEVER;
    }
    if !is_all && flat.contains(&Condition::Everyone) {
        return Condition::Everyone;
    }
    flat.sort_by_cached_key(Condition::to_bytes);
    match (is_all, flat.len()) {
        (true, _) => all(flat),
        (false, 1) => flat.remove(0),
        (false, _) => Condition::Any(flat),
    }
}

/// Adds a condition, which becomes one with another on the same column.
fn add(to: &mut Vec<Condition>, part: Condition, is_all: bool) {
    if to.contains(&part) {
        return;
    }
    let Condition::Atoms { path, of, atoms } = &part else {
        to.push(part);
        return;
    };
    let same = to.iter_mut().find_map(|other| match other {
        Condition::Atoms {
            path: other_path,
            of: other_of,
            atoms: other_atoms,
        } if other_path == path && other_of == of => Some((other_atoms.clone(), other)),
        Condition::Everyone
        | Condition::Atoms { .. }
        | Condition::Events { .. }
        | Condition::Not(_)
        | Condition::All(_)
        | Condition::Any(_) => None,
    });
    let Some((others, other)) = same else {
        to.push(part);
        return;
    };
    let both = if is_all {
        others.intersection(atoms)
    } else {
        others.union(atoms)
    };
    *other = of_atoms(path, *of, both);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atoms(path: &str, atoms: &[u32]) -> Condition {
        Condition::Atoms {
            path: path.to_owned(),
            of: 4,
            atoms: atoms.iter().copied().collect(),
        }
    }

    fn of(condition: Condition) -> Neighbors {
        CellBox::new(condition).unwrap().neighbors().unwrap()
    }

    fn wider(found: &Neighbors) -> Vec<&Condition> {
        found.wider.iter().map(|wider| wider.cell.condition()).collect()
    }

    #[test]
    fn neighbors_of_a_cell_lack_one_column() {
        let cell = Condition::All(vec![atoms("a", &[1, 2]), atoms("b", &[0]), atoms("a", &[2, 3])]);
        let found = of(cell);
        assert_eq!(wider(&found), [&atoms("b", &[0]), &atoms("a", &[2])]);
        assert!(found.wider.iter().all(|wider| wider.is_plain));
        assert!(found.parts.is_empty());
        assert!(of(Condition::Everyone).wider.is_empty());
        assert_eq!(wider(&of(atoms("a", &[1]))), [&Condition::Everyone]);
    }

    /// What is equal for everyone has the same neighbors, whatever the text.
    #[test]
    fn neighbors_do_not_depend_on_how_a_cell_is_written() {
        let plain = Condition::All(vec![atoms("a", &[1]), atoms("b", &[0])]);
        let not = |inner: Condition| Condition::Not(Box::new(inner));
        let written = Condition::All(vec![
            Condition::Everyone,
            atoms("c", &[0, 1, 2, 3]),
            not(Condition::Any(vec![atoms("a", &[0, 2, 3]), not(atoms("b", &[0]))])),
            Condition::Any(vec![atoms("a", &[1]), not(Condition::Everyone)]),
        ]);
        assert_eq!(of(written), of(plain));
    }

    #[test]
    fn neighbors_of_alternatives_are_their_combinations() {
        let alternatives = ["a", "b", "c"].map(|path| atoms(path, &[1]));
        let found = of(Condition::Any(alternatives.to_vec()));
        assert_eq!(wider(&found), [&Condition::Everyone]);
        assert!(!found.wider[0].is_plain);
        assert_eq!(found.parts.len(), 6);
        let alone = found.parts.iter().filter(|part| !part.neighbors.wider.is_empty());
        assert_eq!(alone.count(), 3);
    }

    /// "Everyone but those with both" has the people with the one and not the other as parts.
    #[test]
    fn neighbors_of_a_negation_are_those_of_its_alternatives() {
        let both = Condition::All(vec![atoms("a", &[1]), atoms("b", &[1])]);
        let found = of(Condition::Not(Box::new(both)));
        assert!(!found.wider[0].is_plain);
        let parts: Vec<&Condition> = found.parts.iter().map(|part| part.cell.condition()).collect();
        assert_eq!(parts, [&atoms("a", &[0, 2, 3]), &atoms("b", &[0, 2, 3])]);
    }

    #[test]
    fn neighbors_of_many_alternatives_are_too_many() {
        let many: Vec<Condition> = (0..6).map(|at| atoms(&format!("c{at}"), &[1])).collect();
        assert_eq!(CellBox::new(Condition::Any(many)).unwrap().neighbors(), None);
        let clause = |at: usize| Condition::Any((0..5).map(|of| atoms(&format!("{at}-{of}"), &[1])).collect());
        let nested = Condition::All((0..4).map(clause).collect());
        assert_eq!(CellBox::new(nested).unwrap().neighbors(), None);
    }
}
