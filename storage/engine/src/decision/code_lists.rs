//! Which codes conditions select by rows of reference datasets, for descriptions: the same people by a name, by a subquery and by the codes
//! are one set.
//!
//! What is not known, because a list is too long or its codes are of another kind, is a column of its own.

use concordat_protocol::{collection::AtomSet, scope::Value};

use super::codes;
use crate::statistic::{ColumnPath, Condition, KeyList, KnownCollection, Quantity, ReferenceTest, SelectedCodes};

/// Lists of codes, each with its codes.
#[derive(Debug, Default)]
pub(crate) struct CodeLists(Vec<(KeyList, AtomSet)>);

impl CodeLists {
    /// The lists of [`code_lists`](crate::statistic::code_lists), with the codes of each as far as they are known.
    pub(crate) fn new(
        lists: Vec<(ColumnPath, KeyList)>,
        found: Vec<Option<Vec<Value>>>,
        known: &KnownCollection,
    ) -> Self {
        let found = lists.into_iter().zip(found).filter_map(|((of, list), found)| {
            let levels = known.levels(&Quantity::Column(of));
            Some((list, codes::of_listed(&levels, &found?)?))
        });
        Self(found.collect())
    }

    /// The codes for which a condition is true, and their column; `None` unless it selects codes that are known.
    ///
    /// `NOT` is true for the other codes: that the row of a reference dataset is there, or has a value, is no part of a description.
    pub(super) fn of_condition(&self, condition: &Condition, known: &KnownCollection) -> Option<(Quantity, AtomSet)> {
        let SelectedCodes { of, list, is_in } = known.selected_codes(condition)?;
        let set = self.set((&of, &list), known)?.clone();
        let set = if is_in { set } else { set.complement().with_null(false) };
        Some((Quantity::Column(of), set))
    }

    /// The codes in a class of a group by values of a reference dataset that a condition names: those with one of the values, or all that
    /// have none of them.
    pub(super) fn of_class(
        &self,
        (of, values): (&ColumnPath, &[Value]),
        class: usize,
        known: &KnownCollection,
    ) -> Option<(Quantity, AtomSet)> {
        let with = |value: &Value| {
            let (of, list) = known.codes_with(of, &ReferenceTest::OneOf(vec![value.clone()]))?;
            let set = self.set((&of, &list), known)?.clone();
            Some((Quantity::Column(of), set))
        };
        if let Some(value) = values.get(class) {
            return with(value);
        }
        let (first, others) = values.split_first()?;
        let (of, first) = with(first)?;
        let all = others
            .iter()
            .try_fold(first, |all, value| all.union(&with(value)?.1).ok())?;
        Some((of, all.complement()))
    }

    fn set(&self, (of, list): (&ColumnPath, &KeyList), known: &KnownCollection) -> Option<&AtomSet> {
        let (_, set) = self.0.iter().find(|(other, _)| other == list)?;
        let levels = known.levels(&Quantity::Column(of.clone()));
        (set.code_kind() == levels.all().code_kind()).then_some(set)
    }
}
