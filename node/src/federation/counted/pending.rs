//! A grouping that was cut out of a plan, before its texts are checked.

use concordat_protocol::scope::Tier;
use datafusion::arrow::datatypes::SchemaRef;

use crate::federation::cell_table::{CellOutput, CellTable};
use crate::federation::counted::member_text::MemberText;
use crate::federation::error::FederationError;
use crate::federation::fragment::{Fragment, FragmentQuery, Measure};
use crate::federation::source::MemberQuery;

/// A grouping that was cut out, before its texts are checked.
#[derive(Debug)]
pub(in crate::federation) struct Pending {
    pub(super) name: String,
    pub(super) schema: SchemaRef,
    pub(super) groups: Vec<String>,
    pub(super) measures: Vec<Measure>,
    pub(super) cells: CellTable,
    pub(super) texts: Vec<MemberText>,
}

impl Pending {
    /// The name of its table, and for each column whether it is a figure.
    pub(in crate::federation) fn figures(&self) -> (String, Vec<bool>) {
        let is_figure = |output: &CellOutput| match output {
            CellOutput::Group(_) | CellOutput::Institution => false,
            CellOutput::Aggregate(_) => true,
        };
        (self.name.clone(), self.cells.outputs.iter().map(is_figure).collect())
    }

    /// The fragment, in which each text was checked as its holder checks it.
    ///
    /// # Errors
    /// The error with which a holder would refuse its text.
    pub(in crate::federation) async fn checked(self) -> Result<Fragment, FederationError> {
        let Self {
            name,
            schema,
            groups,
            measures,
            cells,
            texts,
        } = self;
        let mut queries = Vec::new();
        let columns: Vec<Vec<usize>> = cells.members.iter().map(|grid| grid.columns.clone()).collect();
        for ((target, declared, sql), columns) in texts.into_iter().zip(columns) {
            let refused = |error| FederationError::query(&target.dataset, error);
            let (schema, figures) = if target.tier < Tier::Records {
                let foreseen = declared.figures(&sql, &target).await.map_err(refused)?;
                (foreseen.columns, Some(foreseen.figures))
            } else {
                (declared.answer(&sql, &target).await.map_err(refused)?, None)
            };
            let mut columns = columns.into_iter();
            if columns.any(|at| schema.index_of(&format!("a{at}")).is_err()) {
                return Err(FederationError::Tier {
                    dataset: target.dataset,
                    tier: target.tier,
                    reason: "whether there are rows is not a number that can be combined with others".to_owned(),
                });
            }
            queries.push(FragmentQuery {
                query: MemberQuery {
                    sql,
                    schema,
                    grouped: !cells.labels.is_empty(),
                    figures,
                },
                target,
                institution: Vec::new(),
            });
        }
        Ok(Fragment {
            name,
            schema,
            groups,
            measures,
            queries,
            cells: Some(cells),
        })
    }
}
