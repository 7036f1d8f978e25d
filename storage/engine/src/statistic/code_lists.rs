//! Which codes a condition selects by rows of a reference dataset.
//!
//! A set of codes can be written in three ways: by the codes, by a subquery that lists them, and by a condition on the row that a code leads
//! to, such as its name. The last two are a [`KeyList`] here. Which codes are in it is found in the reference dataset, whose rows are about no
//! subject, and then all three are one set.

use concordat_protocol::collection::Levels;

use super::{
    block::Statistic,
    known::KnownCollection,
    measure::{CellAggregate, Group},
    paths::{ColumnPath, Row},
    terms::{Condition, Day, KeyList, Quantity, ReferenceTest},
};

/// Most lists of a statistic. With more of them, none is resolved.
const MAX_LISTS: usize = 256;

/// The codes that a condition selects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SelectedCodes {
    /// The column with the codes.
    pub(crate) of: ColumnPath,
    /// Where they are listed.
    pub(crate) list: KeyList,
    /// Whether the condition is true for these codes, and not for all others.
    pub(crate) is_in: bool,
}

impl KnownCollection {
    /// The codes that a condition selects by rows of a reference dataset; `None` for other conditions.
    pub(crate) fn selected_codes(&self, condition: &Condition) -> Option<SelectedCodes> {
        match condition {
            Condition::Listed { of, list, is_in } => Some(SelectedCodes {
                of: of.clone(),
                list: list.as_ref().clone(),
                is_in: *is_in,
            }),
            Condition::Reference { of, test, negated } => {
                let (of, list) = self.codes_with(of, test)?;
                let is_in = !negated;
                Some(SelectedCodes { of, list, is_in })
            }
            Condition::All
            | Condition::Never
            | Condition::Test(..)
            | Condition::Events { .. }
            | Condition::OtherRow { .. }
            | Condition::And(_)
            | Condition::Or(_) => None,
        }
    }

    /// The column of codes that leads to a column of a reference dataset, and the codes for whose row a test of it is true. `None` if no
    /// codes lead there, or several rows may have one code.
    pub(crate) fn codes_with(&self, of: &ColumnPath, test: &ReferenceTest) -> Option<(ColumnPath, KeyList)> {
        let (codes, link, steps) = of.code_link(&|dataset| self.is_reference(dataset))?;
        self.distinguishes_rows(&link.to, &link.key).then_some(())?;
        let column = ColumnPath::new(Row::This, &link.to, steps, of.column().clone())?;
        let list = KeyList {
            dataset: link.to.clone(),
            key: link.key.clone(),
            rows: Condition::Reference {
                of: column,
                test: test.clone(),
                negated: false,
            },
        };
        Some((codes, list))
    }
}

/// The lists of codes in a statistic, each once and with a column of these codes; none if they are too many. Neighbors of its sets are made of
/// the same conditions.
pub(crate) fn code_lists(statistic: &Statistic, known: &KnownCollection) -> Vec<(ColumnPath, KeyList)> {
    let mut lists = Lists {
        known,
        found: Vec::new(),
    };
    lists.condition(statistic.rows());
    for group in statistic.groups() {
        lists.group(group);
    }
    for cell in statistic.cells() {
        lists.cell(cell);
    }
    if lists.found.len() > MAX_LISTS {
        return Vec::new();
    }
    lists.found
}

/// Lists of codes as they are found.
struct Lists<'a> {
    known: &'a KnownCollection,
    found: Vec<(ColumnPath, KeyList)>,
}

impl Lists<'_> {
    fn add(&mut self, of: ColumnPath, list: KeyList) {
        let has_codes = matches!(self.known.levels(&Quantity::Column(of.clone())), Levels::Codes(_));
        let is_new = self.found.iter().all(|(_, known)| *known != list);
        // One more than the most is enough to see that they are too many.
        if has_codes && is_new && self.found.len() <= MAX_LISTS {
            self.found.push((of, list));
        }
    }

    fn condition(&mut self, condition: &Condition) {
        if let Some(SelectedCodes { of, list, .. }) = self.known.selected_codes(condition) {
            self.add(of, list);
            return;
        }
        match condition {
            Condition::Test(of, _) => self.quantity(of),
            Condition::Events { of, .. } => self.condition(&of.rows),
            Condition::And(parts) | Condition::Or(parts) => parts.iter().for_each(|part| self.condition(part)),
            Condition::All
            | Condition::Never
            | Condition::Listed { .. }
            | Condition::Reference { .. }
            | Condition::OtherRow { .. } => {}
        }
    }

    fn quantity(&mut self, of: &Quantity) {
        match of {
            Quantity::OfSubject { of, .. } => self.condition(&of.rows),
            Quantity::Days { from, to } => {
                self.day(from);
                self.day(to);
            }
            Quantity::Age { at, .. } => self.day(at),
            Quantity::Column(_) | Quantity::InText(_) | Quantity::Seconds { .. } | Quantity::Linear { .. } => {}
        }
    }

    fn day(&mut self, day: &Day) {
        match day {
            Day::OfSubject { of, .. } => self.condition(&of.rows),
            Day::Column(_) => {}
        }
    }

    fn group(&mut self, group: &Group) {
        match group {
            Group::Levels { of, .. } | Group::Buckets { of, .. } => self.quantity(of),
            Group::Codes { of, codes } => {
                for code in codes {
                    let test = ReferenceTest::OneOf(vec![code.clone()]);
                    if let Some((of, list)) = self.known.codes_with(of, &test) {
                        self.add(of, list);
                    }
                }
            }
            Group::Cases { cases, .. } => cases.iter().for_each(|(condition, _)| self.condition(condition)),
        }
    }

    fn cell(&mut self, cell: &CellAggregate) {
        self.condition(cell.filter());
        match cell {
            CellAggregate::Subjects { .. } | CellAggregate::Rows { .. } => {}
            CellAggregate::Moments { of, with, .. } => {
                self.quantity(of);
                if let Some(with) = with {
                    self.quantity(with);
                }
            }
            CellAggregate::Quantile { of, .. } => self.quantity(of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistic::tests::collections::Collection;

    fn lists(sql: &str) -> Vec<KeyList> {
        let omop = Collection::named("omop");
        let statistic = omop.lower(sql).unwrap().blocks.remove(0).statistic;
        let found = code_lists(&statistic, &omop.known).into_iter();
        found.map(|(_, list)| list).collect()
    }

    /// A name is one list of codes in a join, a subquery, and the rows of events.
    #[test]
    fn code_list_of_a_name_is_one_in_each_form() {
        let joined = lists(
            "SELECT count(DISTINCT d.person_id) FROM drug_era d JOIN concept k ON k.concept_id = d.drug_concept_id \
             WHERE k.concept_name = 'aspirin'",
        );
        assert_eq!(joined.len(), 1);
        for other in [
            "SELECT count(DISTINCT person_id) FROM drug_era WHERE drug_concept_id IN \
             (SELECT concept_id FROM concept WHERE concept_name = 'aspirin')",
            "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM drug_era d JOIN concept k \
             ON k.concept_id = d.drug_concept_id WHERE d.person_id = p.person_id AND k.concept_name <> 'aspirin')",
        ] {
            assert_eq!(lists(other), joined, "{other}");
        }
    }

    #[test]
    fn code_lists_of_groups_have_one_name_each() {
        let grouped = lists(
            "SELECT k.concept_name AS g, count(*) AS n FROM condition_occurrence c JOIN concept k \
             ON k.concept_id = c.condition_concept_id WHERE k.concept_name IN ('gout', 'measles') GROUP BY k.concept_name",
        );
        assert_eq!(grouped.len(), 3, "both, and each: {grouped:?}");
        assert!(lists("SELECT count(*) FROM condition_occurrence WHERE condition_concept_id = 5").is_empty());
    }
}
