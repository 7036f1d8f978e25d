//! The class of a value: what a condition is for it, or which group it is in. Values of one atom have one class.

use std::collections::HashMap;

use concordat_protocol::{
    collection::{AtomId, AtomTest, Axis, Datum, Levels},
    scope::Value,
};

/// Most values of which the class is remembered.
const MOST_REMEMBERED: usize = 65_536;

/// The truth of a condition, in ascending order as `AND` and `OR` need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Truth {
    False,
    Unknown,
    True,
}

impl Truth {
    /// True or false.
    pub(super) const fn of(is_true: bool) -> Self {
        if is_true { Self::True } else { Self::False }
    }
}

/// Classes of the atoms of levels.
pub(super) struct Classifier<C> {
    levels: Levels,
    class_of: Box<dyn Fn(&AtomId) -> C + Send + Sync>,
    /// The classes of the atoms in their order; none for an open list.
    listed: Vec<C>,
    missing: C,
    whole: HashMap<i64, C>,
    texts: HashMap<String, C>,
}

impl<C: Copy + 'static> Classifier<C> {
    pub(super) fn new(levels: Levels, class_of: impl Fn(&AtomId) -> C + Send + Sync + 'static) -> Self {
        let atoms = 0..levels.atoms().unwrap_or_default();
        Self {
            listed: atoms.map(|atom| class_of(&AtomId::Listed(atom))).collect(),
            missing: class_of(&AtomId::Null),
            class_of: Box::new(class_of),
            levels,
            whole: HashMap::new(),
            texts: HashMap::new(),
        }
    }

    /// The class of a value.
    pub(super) fn class(&mut self, value: Datum<'_>) -> C {
        let is_searched = matches!(self.levels, Levels::Values(_) | Levels::Codes(_));
        match value {
            Datum::Null => self.missing,
            Datum::Int(number) if is_searched => {
                if let Some(known) = self.whole.get(&number) {
                    return *known;
                }
                let class = self.found(value);
                if self.whole.len() < MOST_REMEMBERED {
                    self.whole.insert(number, class);
                }
                class
            }
            Datum::Text(text) if is_searched => {
                if let Some(known) = self.texts.get(text) {
                    return *known;
                }
                let class = self.found(value);
                if self.texts.len() < MOST_REMEMBERED {
                    self.texts.insert(text.to_owned(), class);
                }
                class
            }
            Datum::Truth(_) | Datum::Int(_) | Datum::Float(_) | Datum::Date(_) | Datum::Millis(_) | Datum::Text(_) => {
                self.found(value)
            }
        }
    }

    fn found(&self, value: Datum<'_>) -> C {
        match self.levels.atom_of(value) {
            AtomId::Null => self.missing,
            AtomId::Listed(atom) => self.listed.get(usize::from(atom)).copied().unwrap_or(self.missing),
            AtomId::Code(code) => (self.class_of)(&AtomId::Code(code)),
        }
    }
}

/// What a test is for each atom of these levels.
pub(super) fn tester(levels: Levels, test: AtomTest) -> Classifier<Truth> {
    Classifier::new(levels, move |atom| {
        if test.passing().contains(atom) {
            Truth::True
        } else if test.failing().contains(atom) {
            Truth::False
        } else {
            Truth::Unknown
        }
    })
}

/// The whole numbers for which a test is true, as spans that have both of their ends. `None` if the levels are not of whole numbers, or the
/// test is true for a missing value.
pub(super) fn passing_spans(levels: &Levels, test: &AtomTest) -> Option<Vec<(i64, i64)>> {
    let Levels::Edges(edges) = levels else { return None };
    let Axis::Int(numbers) = edges.axis() else {
        return None;
    };
    if test.passing().has_null() {
        return None;
    }
    let starts = std::iter::once(i64::MIN).chain(numbers.iter().copied());
    let before = numbers.iter().map(|edge| edge.saturating_sub(1));
    let ends = before.chain(std::iter::once(i64::MAX));
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for (low, high) in starts.zip(ends) {
        if !test.passing().contains(&levels.atom_of(Datum::Int(low))) {
            continue;
        }
        match spans.last_mut() {
            Some(last) if last.1.checked_add(1) == Some(low) => last.1 = high,
            Some(_) | None => spans.push((low, high)),
        }
    }
    Some(spans)
}

/// The positions of listed codes.
pub(super) struct CodeIndex {
    whole: HashMap<i64, usize>,
    texts: HashMap<String, usize>,
    rest: usize,
}

impl CodeIndex {
    pub(super) fn new(codes: &[Value]) -> Self {
        let mut index = Self {
            whole: HashMap::new(),
            texts: HashMap::new(),
            rest: codes.len(),
        };
        for (at, code) in codes.iter().enumerate() {
            match code {
                Value::Int(number) => {
                    index.whole.insert(*number, at);
                }
                Value::Text(text) => {
                    index.texts.insert(text.clone(), at);
                }
                Value::Bool(_) | Value::Float(_) | Value::Date(_) => {}
            }
        }
        index
    }

    /// The position of a value, the number of codes for one that is missing or not listed.
    pub(super) fn position(&self, value: Datum<'_>) -> usize {
        let found = match value {
            Datum::Int(number) => self.whole.get(&number),
            Datum::Text(text) => self.texts.get(text),
            Datum::Null | Datum::Truth(_) | Datum::Float(_) | Datum::Date(_) | Datum::Millis(_) => None,
        };
        found.copied().unwrap_or(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use concordat_protocol::{
        collection::{Comparison, Contents, RawLevels},
        schema::ColumnKind,
    };
    use std::collections::BTreeMap;

    fn levels() -> Levels {
        let raw = RawLevels::Edges {
            edges: [-7, -6, 0, 1, 8].map(Value::Int).to_vec(),
            levels: BTreeMap::new(),
        };
        Levels::check(raw, Contents::Of(ColumnKind::Int)).unwrap()
    }

    #[test]
    fn passing_spans_are_where_a_test_is_true() {
        let levels = levels();
        let comparisons = [
            Comparison::Between(Value::Int(-6), Value::Int(7)),
            Comparison::Less(Value::Int(-7)),
            Comparison::NotEqual(Value::Int(0)),
            Comparison::AtLeast(Value::Int(8)),
            Comparison::IsNotNull,
        ];
        for comparison in comparisons {
            let test = levels.decide(&comparison).unwrap();
            let spans = passing_spans(&levels, &test).unwrap();
            for number in [i64::MIN, -9, -8, -7, -6, -5, -1, 0, 1, 2, 7, 8, 9, i64::MAX] {
                let is_within = spans.iter().any(|(low, high)| (*low..=*high).contains(&number));
                let is_true = tester(levels.clone(), test.clone()).class(Datum::Int(number)) == Truth::True;
                assert_eq!(is_within, is_true, "{comparison:?} {number}");
            }
        }
        let test = levels.decide(&Comparison::IsNull).unwrap();
        assert_eq!(passing_spans(&levels, &test), None);
    }

    #[test]
    fn class_of_a_listed_value_is_remembered() {
        let raw = RawLevels::Codes {
            hierarchy: None,
            names: None,
            levels: BTreeMap::new(),
        };
        let levels = Levels::check(raw, Contents::Of(ColumnKind::Text)).unwrap();
        let test = levels.decide(&Comparison::Prefix("I2".to_owned())).unwrap();
        let mut tester = tester(levels, test);
        for _ in 0..2 {
            assert_eq!(tester.class(Datum::Text("I21")), Truth::True);
            assert_eq!(tester.class(Datum::Text("J21")), Truth::False);
            assert_eq!(tester.class(Datum::Null), Truth::Unknown);
        }
    }
}
