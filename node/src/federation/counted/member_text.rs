//! What each member computes of a grouping, and the text with which it is requested.

use std::sync::Arc;

use concordat_engine::{CellAggregate, CellColumn, CommonGrouping, Grouping, GroupingText, MemberGrouping, QueryError};
use datafusion::arrow::array::ArrayRef;

use crate::federation::cell_table::{CellOutput, MemberGrid};
use crate::federation::counted::columns::Position;
use crate::federation::counted::member::Member;
use crate::federation::declared::Declared;
use crate::federation::error::FederationError;
use crate::federation::parts::Parts;
use crate::federation::source::Target;

/// Why parts of a member cannot be combined with those of others.
const COMPUTED_OTHERWISE: &str =
    "its aggregates are computed in another way than those of other members; query each member by name";

/// The text for a member, with what it declares.
pub(super) type MemberText = (Target, Arc<Declared>, String);

/// What one member computes, and how the columns of the grouping follow from it.
pub(super) struct Computed {
    aggregates: Vec<CellAggregate>,
    /// Whether each of the aggregates is a number of rows or subjects.
    pub(super) counts: Vec<bool>,
    /// The columns of the grouping.
    pub(super) outputs: Vec<CellOutput>,
}

impl Computed {
    /// What a member computes of its grouping.
    ///
    /// # Errors
    /// Why a column does not follow from the answers of several members.
    pub(super) fn of(
        grouping: &Grouping,
        positions: &[Position],
        one_member: bool,
        target: &Target,
    ) -> Result<Self, FederationError> {
        let mut parts = Parts::new(grouping);
        let mut outputs = Vec::new();
        for position in positions {
            let Position::Column(at) = position else {
                outputs.push(CellOutput::Institution);
                continue;
            };
            let column = grouping.columns().get(*at).copied().ok_or_else(planning)?;
            let combined = parts.combined(column, one_member);
            let combined = combined.map_err(|detail| invalid(target, detail))?;
            outputs.push(match (column, combined) {
                (CellColumn::Group(group), _) => CellOutput::Group(group),
                (_, Some(combined)) => CellOutput::Aggregate(combined),
                (_, None) => return Err(planning()),
            });
        }
        Ok(Self {
            aggregates: parts.cells().to_vec(),
            counts: parts.counts(),
            outputs,
        })
    }
}

/// The texts for all members, and the grids of their answers. What follows from the answers has to be the same for all of them.
///
/// # Errors
/// [`FederationError`] if it is not, and if a grouping cannot be written.
pub(super) fn texts_of(
    members: &[Member],
    common: &CommonGrouping,
    (whole, positions, one_member): (&Computed, &[Position], bool),
) -> Result<(Vec<MemberText>, Vec<MemberGrid>), FederationError> {
    let mut texts = Vec::new();
    let mut grids = Vec::new();
    for (member, part) in members.iter().zip(common.members()) {
        let computed = Computed::of(part.grouping(), positions, one_member, &member.target)?;
        if computed.outputs != whole.outputs || computed.counts != whole.counts {
            return Err(invalid(&member.target, COMPUTED_OTHERWISE.to_owned()));
        }
        let part = text_of(member, part, &computed.aggregates);
        let (sql, grid) = part.map_err(|error| FederationError::query(&member.target.dataset, error))?;
        texts.push((member.target.clone(), Arc::clone(&member.declared), sql));
        grids.push(grid);
    }
    Ok((texts, grids))
}

/// The text of a member's part, and the grid of its answer.
fn text_of(
    member: &Member,
    part: &MemberGrouping,
    aggregates: &[CellAggregate],
) -> Result<(String, MemberGrid), QueryError> {
    let grouping = part.grouping();
    let GroupingText { sql, columns } = grouping.text(aggregates, part.has_labels(), member.target.version)?;
    let labels = if part.has_labels() {
        let groups = 0..grouping.statistic().groups().len();
        groups
            .map(|group| grouping.label_texts(group))
            .collect::<Result<_, _>>()?
    } else {
        labels(grouping)?
    };
    let grid = MemberGrid {
        labels,
        columns,
        cells: part.cells().to_vec(),
    };
    Ok((sql, grid))
}

/// The labels of each group of the statistic, as answers below `records` have them.
pub(super) fn labels(grouping: &Grouping) -> Result<Vec<ArrayRef>, QueryError> {
    let groups = 0..grouping.statistic().groups().len();
    let labels = groups.map(|group| grouping.labels(group).cloned());
    labels
        .collect::<Option<Vec<_>>>()
        .ok_or(QueryError::Engine { step: "planning" })
}

fn planning() -> FederationError {
    FederationError::planning(QueryError::Engine { step: "planning" })
}

fn invalid(target: &Target, detail: String) -> FederationError {
    FederationError::query(&target.dataset, QueryError::Invalid { detail })
}
