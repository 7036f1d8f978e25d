//! What is proposed for the columns of all datasets of a version, together: their lists of codes have one bound.

use std::collections::BTreeMap;

use concordat_protocol::{collection::Contents, ids::ColumnName};

use super::super::ProposedColumn;
use crate::subjects::{ColumnProposal, ProposedLevels};

/// Bytes of all lists of codes as they are declared: half of what the declarations that a permission shows may take in a message.
const MAX_LISTS: usize = 384 << 10;
/// Bytes of a code and its name, beside the code itself.
const CODE_BYTES: usize = 100;
/// Lengths of lists, the longest first.
const LENGTHS: [usize; 8] = [200, 150, 100, 70, 50, 30, 20, 10];

/// What was observed of one column.
pub(super) struct OfColumn {
    pub(super) name: ColumnName,
    pub(super) contents: Contents,
    pub(super) proposal: ColumnProposal,
}

/// What is proposed for the columns of each dataset. Lists that are too long together have the most frequent codes only.
pub(super) fn proposed(datasets: Vec<Vec<OfColumn>>) -> Vec<BTreeMap<ColumnName, ProposedColumn>> {
    let all = || datasets.iter().flatten().map(|column| &column.proposal.levels);
    let most = LENGTHS.into_iter().find(|most| bytes(all(), *most) <= MAX_LISTS);
    let most = most.unwrap_or(0);
    let of_dataset = |columns: Vec<OfColumn>| {
        let columns = columns.into_iter().filter_map(|mut column| {
            column.proposal.levels.truncate_codes(most);
            Some((column.name, ProposedColumn::of(column.proposal, column.contents)?))
        });
        columns.collect()
    };
    datasets.into_iter().map(of_dataset).collect()
}

/// How many bytes the lists take with up to `most` codes each.
fn bytes<'a>(all: impl Iterator<Item = &'a ProposedLevels>, most: usize) -> usize {
    let codes = all.flat_map(|levels| levels.code_lengths().take(most));
    // A code is in the list of codes as a value and as a label.
    let bytes = codes.map(|length| length.saturating_mul(2).saturating_add(CODE_BYTES));
    bytes.fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use concordat_protocol::schema::ColumnKind;

    use super::*;

    fn coded(name: usize, codes: usize) -> OfColumn {
        let name = format!("c{name}");
        OfColumn {
            name: ColumnName::new(&name).unwrap(),
            contents: Contents::Of(ColumnKind::Text),
            proposal: ColumnProposal {
                column: name,
                levels: ProposedLevels::Codes {
                    wholes: Vec::new(),
                    // The most frequent one is the last in the order of texts.
                    texts: (0..codes).rev().map(|code| format!("code {code:03}")).collect(),
                },
                range: None,
            },
        }
    }

    #[test]
    fn lists_too_long_together_have_the_most_frequent_codes() {
        let lists = |columns: usize| {
            let datasets = (0..columns).map(|column| vec![coded(column, 200)]).collect();
            let found = proposed(datasets).into_iter().flatten();
            found.map(|(_, proposed)| proposed).collect::<Vec<_>>()
        };
        for (columns, expected) in [(1, 200), (10, 200), (20, 150), (100, 30)] {
            let lists = lists(columns);
            assert_eq!(lists.len(), columns);
            for list in lists {
                let listed = list.listed().unwrap();
                assert_eq!(listed.iter().count(), expected, "{columns}");
                assert!(listed.iter().any(|code| code.label.as_str() == "code 199"));
            }
        }
        // Even ten codes of each are too many: the columns stay open lists.
        assert!(lists(400).iter().all(|list| list.listed().is_none()));
    }
}
