//! Which cells of a combined answer lack which member's part.
//!
//! A member leaves out a group that covers too few subjects, exactly as one that it does not have; the two cannot be distinguished, and must
//! not be. In a group that it returns, the value of an aggregate is missing if too few subjects have one or lack one, and if none has one.
//! So a remark names both reasons, and is made of nothing but the answers. Where one of two members withholds a value, the combined one is
//! that of the other, and so are all other values of that row ([`CellTable`](super::cell_table::CellTable)); where both do, it is missing,
//! which needs no remark.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::ids::DatasetRef;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;

use super::fragment::Measure;
use super::remark::{CellName, Remark};

/// Most cells that one remark lists.
const MAX_LISTED: usize = 100;

/// The answer of one member to a fragment.
#[derive(Debug)]
pub(super) struct MemberAnswer {
    /// The dataset.
    pub(super) dataset: DatasetRef,
    /// Whether it was given below tier `records`, where values are withheld.
    pub(super) withholds: bool,
    /// Its rows, in the columns of the fragment.
    pub(super) batches: Vec<RecordBatch>,
}

/// What a member's answer has of one aggregate in one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Its part.
    Part,
    /// No part, because no row has a value.
    NoValues,
    /// No part, because it is withheld, or because no row has a value.
    Withheld,
}

/// The cells of one member, with the content of each aggregate.
type Cells = BTreeMap<CellName, Vec<Content>>;

/// A remark for each member that returned no part of a cell that another member returned. `groups` are the names of the first columns.
///
/// # Errors
/// If a group cannot be written as text.
pub(super) fn missing_cells(groups: &[String], measures: &[Measure], answers: &[MemberAnswer]) -> Result<Vec<Remark>> {
    if answers.len() < 2 {
        return Ok(Vec::new());
    }
    let mut known: Vec<(&DatasetRef, Cells)> = Vec::new();
    for answer in answers {
        known.push((&answer.dataset, cells(groups, measures, answer)?));
    }
    let all: BTreeSet<&CellName> = known.iter().flat_map(|(_, cells)| cells.keys()).collect();
    let mut remarks = Vec::new();
    for (dataset, cells) in &known {
        let missing = all.iter().filter(|name| !cells.contains_key(**name));
        let missing: Vec<CellName> = missing.map(|name| (*name).clone()).collect();
        if !missing.is_empty() {
            remarks.push(Remark::missing_cells(dataset, missing, MAX_LISTED));
        }
        for (at, measure) in measures.iter().enumerate() {
            let has = |cells: &Cells, name: &CellName, content: Content| {
                cells.get(name).and_then(|contents| contents.get(at)) == Some(&content)
            };
            let withheld = cells.keys().filter(|name| {
                let of_another = || known.iter().any(|(_, cells)| has(cells, name, Content::Part));
                has(cells, name, Content::Withheld) && of_another()
            });
            let withheld: Vec<CellName> = withheld.cloned().collect();
            if !withheld.is_empty() {
                let others = measures.len() > 1;
                remarks.push(Remark::missing_values(
                    dataset,
                    &measure.name,
                    others,
                    withheld,
                    MAX_LISTED,
                ));
            }
        }
    }
    Ok(remarks)
}

/// The cells of an answer. Without groups there is one, which has no name.
fn cells(groups: &[String], measures: &[Measure], answer: &MemberAnswer) -> Result<Cells> {
    let options = FormatOptions::default().with_null("missing");
    let mut cells = Cells::new();
    for batch in &answer.batches {
        let columns = batch.columns().iter().take(groups.len());
        let formatters = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let formatters = formatters.collect::<std::result::Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let name = groups
                .iter()
                .zip(&formatters)
                .map(|(group, values)| (group.clone(), values.value(row).to_string()));
            let contents = measures
                .iter()
                .map(|measure| content(batch, row, measure, answer.withholds));
            cells.insert(name.collect(), contents.collect());
        }
    }
    Ok(cells)
}

fn content(batch: &RecordBatch, row: usize, measure: &Measure, withholds: bool) -> Content {
    let column = |at: &usize| batch.column_by_name(&format!("a{at}"));
    let has_part = |at: &usize| column(at).is_some_and(|values| values.is_valid(row));
    if measure.parts.iter().all(has_part) {
        return Content::Part;
    }
    let counted = measure.count.as_ref().and_then(column);
    let counted = counted.and_then(|counts| counts.as_primitive_opt::<Int64Type>());
    let no_values = counted.is_some_and(|counts| counts.is_valid(row) && counts.value(row) == 0);
    if no_values || !withholds {
        Content::NoValues
    } else {
        Content::Withheld
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    /// An answer with one group for each of `wards`, and columns `a0`, `a1` and so on of whole numbers.
    fn answer(dataset: &str, withholds: bool, wards: &[&str], values: &[&[Option<i64>]]) -> MemberAnswer {
        let mut fields = vec![Field::new("g0", DataType::Utf8, true)];
        let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(wards.to_vec()))];
        for (at, values) in values.iter().enumerate() {
            fields.push(Field::new(format!("a{at}"), DataType::Int64, true));
            columns.push(Arc::new(Int64Array::from(values.to_vec())));
        }
        MemberAnswer {
            dataset: dataset.parse().unwrap(),
            withholds,
            batches: vec![RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()],
        }
    }

    fn ward(name: &str) -> CellName {
        BTreeMap::from([("ward".to_owned(), name.to_owned())])
    }

    fn mean() -> Measure {
        Measure {
            name: "avg(chol)".to_owned(),
            parts: vec![0, 1],
            count: Some(1),
        }
    }

    /// The member, the column and the cells of each remark.
    fn remarks(measures: &[Measure], answers: &[MemberAnswer]) -> Vec<(String, Option<String>, Vec<CellName>)> {
        let found = missing_cells(&["ward".to_owned()], measures, answers).unwrap();
        let documents = found.iter().map(Remark::document);
        documents
            .map(|remark| (remark.institution.unwrap().to_string(), remark.column, remark.cells))
            .collect()
    }

    #[test]
    fn coverage_names_the_member_and_the_cell_that_lacks_its_part() {
        let answers = [
            answer("alfa.wards", true, &["card", "onc"], &[]),
            answer("beta.wards", true, &["card"], &[]),
        ];
        let of_beta = ("beta".to_owned(), None, vec![ward("onc")]);
        assert_eq!(remarks(&[], &answers), [of_beta]);
    }

    #[test]
    fn coverage_says_nothing_of_one_member_or_of_equal_cells() {
        let alfa = || answer("alfa.wards", true, &["card", "onc"], &[]);
        assert!(remarks(&[], &[alfa()]).is_empty());
        let beta = answer("beta.wards", true, &["onc", "card"], &[]);
        assert!(remarks(&[], &[alfa(), beta]).is_empty());
    }

    #[test]
    fn coverage_names_the_column_whose_value_a_member_withholds() {
        let all = || {
            answer(
                "alfa.wards",
                true,
                &["card", "onc"],
                &[&[Some(9), Some(8)], &[Some(3), Some(2)]],
            )
        };
        let beta = |withholds, sums: &[Option<i64>], counts: &[Option<i64>]| {
            answer("beta.wards", withholds, &["card", "onc"], &[sums, counts])
        };
        let of_beta = |cells: &[&str]| {
            let cells: Vec<CellName> = cells.iter().map(|name| ward(name)).collect();
            [("beta".to_owned(), Some("avg(chol)".to_owned()), cells)]
        };
        let withheld = [all(), beta(true, &[None, Some(7)], &[None, Some(4)])];
        assert_eq!(remarks(&[mean()], &withheld), of_beta(&["card"]));
        let either = [all(), beta(true, &[Some(5), None], &[None, Some(4)])];
        assert_eq!(remarks(&[mean()], &either), of_beta(&["card", "onc"]));
        // No row has a value: the mean of the others is that of all.
        let none = [all(), beta(true, &[None, None], &[Some(0), Some(0)])];
        assert!(remarks(&[mean()], &none).is_empty());
        let records = [all(), beta(false, &[None, None], &[Some(0), Some(0)])];
        assert!(remarks(&[mean()], &records).is_empty());
    }

    #[test]
    fn coverage_says_nothing_of_a_value_that_all_withhold() {
        let none = |dataset| answer(dataset, true, &["card"], &[&[None], &[None]]);
        assert!(remarks(&[mean()], &[none("alfa.wards"), none("beta.wards")]).is_empty());
    }
}
