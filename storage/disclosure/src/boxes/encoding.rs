//! Descriptions of cells as bytes: one encoding for each.

use super::condition::{CellBox, CellBoxError, Condition, MAX_CONDITIONS, MAX_DEPTH};
use crate::UnitSet;
use crate::encoding::{Input, Malformed, put_count, put_part};

const EVERYONE: u8 = 0;
const ATOMS: u8 = 1;
const EVENTS: u8 = 2;
const NOT: u8 = 3;
const ALL: u8 = 4;
const ANY: u8 = 5;

impl CellBox {
    /// The description as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.condition().to_bytes()
    }

    /// What [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`CellBoxError::Malformed`] for other bytes, and the errors of [`Self::new`].
    pub fn from_untrusted(bytes: &[u8]) -> Result<Self, CellBoxError> {
        let mut reading = Reading {
            input: Input::new(bytes),
            conditions: 0,
        };
        let condition = reading.condition(0)?;
        if !reading.input.is_empty() {
            return Err(CellBoxError::Malformed);
        }
        Self::new(condition)
    }
}

impl Condition {
    /// The condition as bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self);
        bytes
    }
}

impl From<Malformed> for CellBoxError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

fn put(to: &mut Vec<u8>, condition: &Condition) {
    match condition {
        Condition::Everyone => to.push(EVERYONE),
        Condition::Atoms { path, of, atoms } => {
            to.push(ATOMS);
            put_part(to, path.as_bytes());
            to.extend_from_slice(&of.to_le_bytes());
            put_part(to, &atoms.to_bytes());
        }
        Condition::Events { events, at_least, that } => {
            to.push(EVENTS);
            put_part(to, events.as_bytes());
            to.extend_from_slice(&at_least.to_le_bytes());
            put(to, that);
        }
        Condition::Not(condition) => {
            to.push(NOT);
            put(to, condition);
        }
        Condition::All(conditions) => put_list(to, ALL, conditions),
        Condition::Any(conditions) => put_list(to, ANY, conditions),
    }
}

fn put_list(to: &mut Vec<u8>, tag: u8, conditions: &[Condition]) {
    to.push(tag);
    put_count(to, conditions.len());
    conditions.iter().for_each(|condition| put(to, condition));
}

/// A description while it is read.
struct Reading<'a> {
    input: Input<'a>,
    conditions: usize,
}

impl Reading<'_> {
    /// The bounds are those of the type, and are checked before anything below is read.
    fn condition(&mut self, depth: u32) -> Result<Condition, CellBoxError> {
        self.conditions += 1;
        if depth >= MAX_DEPTH || self.conditions > MAX_CONDITIONS {
            return Err(CellBoxError::TooLarge);
        }
        match self.input.byte()? {
            EVERYONE => Ok(Condition::Everyone),
            ATOMS => {
                let path = self.text()?;
                let of = self.input.u32()?;
                let atoms = UnitSet::from_untrusted(self.input.part()?, of).map_err(|_| CellBoxError::Malformed)?;
                Ok(Condition::Atoms { path, of, atoms })
            }
            EVENTS => Ok(Condition::Events {
                events: self.text()?,
                at_least: self.input.u32()?,
                that: Box::new(self.condition(depth + 1)?),
            }),
            NOT => Ok(Condition::Not(Box::new(self.condition(depth + 1)?))),
            ALL => Ok(Condition::All(self.list(depth)?)),
            ANY => Ok(Condition::Any(self.list(depth)?)),
            _ => Err(CellBoxError::Malformed),
        }
    }

    fn list(&mut self, depth: u32) -> Result<Vec<Condition>, CellBoxError> {
        let count = self.input.count(1)?;
        if count > MAX_CONDITIONS {
            return Err(CellBoxError::TooLarge);
        }
        (0..count).map(|_| self.condition(depth + 1)).collect()
    }

    fn text(&mut self) -> Result<String, CellBoxError> {
        let text = std::str::from_utf8(self.input.part()?);
        text.map(str::to_owned).map_err(|_| CellBoxError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::{CellBox, CellBoxError, Condition, MAX_DEPTH, NOT};
    use crate::UnitSet;
    use proptest::prelude::*;

    fn any_condition() -> impl Strategy<Value = Condition> {
        let atoms = ("[a-c]{0,3}", prop::collection::btree_set(0_u32..5, 0..5)).prop_map(|(path, atoms)| {
            let atoms = atoms.into_iter().collect::<UnitSet>();
            Condition::Atoms { path, of: 5, atoms }
        });
        let leaf = prop_oneof![Just(Condition::Everyone), atoms];
        let plain = leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::All),
                prop::collection::vec(inner, 0..4).prop_map(Condition::Any),
            ]
        });
        let events = ("[a-c]{1,3}", 1_u32..=20, plain.clone()).prop_map(|(events, at_least, that)| Condition::Events {
            events,
            at_least,
            that: Box::new(that),
        });
        prop_oneof![plain, events]
    }

    proptest! {
        #[test]
        fn cell_description_survives_its_encoding(condition in any_condition()) {
            let cell = CellBox::new(condition).unwrap();
            prop_assert_eq!(CellBox::from_untrusted(&cell.to_bytes()).unwrap(), cell);
        }

        #[test]
        fn cell_description_has_one_encoding(condition in any_condition(), at: prop::sample::Index, to: u8) {
            let mut bytes = CellBox::new(condition).unwrap().to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(changed) = CellBox::from_untrusted(&bytes) {
                prop_assert_eq!(changed.to_bytes(), bytes);
            }
        }

        #[test]
        fn cell_description_of_any_bytes_is_bounded(bytes in prop::collection::vec(0_u8..8, 0..200)) {
            if let Ok(cell) = CellBox::from_untrusted(&bytes) {
                prop_assert_eq!(cell.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn cell_description_that_is_too_deep_is_refused() {
        let deep = vec![NOT; 1 << 20];
        assert_eq!(CellBox::from_untrusted(&deep), Err(CellBoxError::TooLarge));
        let mut cut = vec![NOT; 3];
        const { assert!(MAX_DEPTH > 3) };
        assert_eq!(CellBox::from_untrusted(&cut), Err(CellBoxError::Malformed));
        cut.extend([super::EVERYONE, super::EVERYONE]);
        assert_eq!(
            CellBox::from_untrusted(&cut),
            Err(CellBoxError::Malformed),
            "bytes after the end"
        );
    }

    #[test]
    fn cell_description_with_many_conditions_is_refused() {
        let mut wide = vec![super::ALL];
        wide.extend(1_001_u32.to_le_bytes());
        wide.extend(vec![super::EVERYONE; 1_001]);
        assert_eq!(CellBox::from_untrusted(&wide), Err(CellBoxError::TooLarge));
    }
}
