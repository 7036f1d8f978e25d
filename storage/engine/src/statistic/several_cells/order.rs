//! First rows and ranks in the order of figures of which some may be withheld.
//!
//! A row of which a figure is withheld, or is of no one, sorts last or first, by the text of the query. Then the other rows are in their
//! order, and the answer has a remark that follows from the text alone: it is the same whether any figure is withheld.

use datafusion::logical_expr::{Expr, SortExpr};

use super::values::{Figures, Value};

/// First rows or ranks that depend on figures, as the reader of an answer has to know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FigureOrder {
    /// What depends on the order.
    pub of: OrderedBy,
    /// The column of the order, as the plan names it; `None` for what has no name.
    pub column: Option<String>,
    /// Where rows are of which a figure is missing.
    pub missing: MissingFigures,
}

/// What depends on an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderedBy {
    /// Which rows an answer has, by `LIMIT` or `OFFSET`.
    FirstRows,
    /// The number of a row, by `rank`, `dense_rank` or `row_number`.
    Ranks,
}

/// Where rows are of which a figure is missing, because it is withheld or of no one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MissingFigures {
    /// Before all others.
    First,
    /// After all others.
    Last,
    /// They may be left out by a condition.
    LeftOut,
}

/// One column of an order.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) figures: Figures,
    /// Where rows are of which one of the figures is missing; `None` if that does not follow from the text.
    pub(super) missing: Option<MissingFigures>,
    column: Option<String>,
}

impl Key {
    /// `value` is what the expression of `sort` depends on.
    pub(super) fn new(sort: &SortExpr, value: Value) -> Self {
        let missing = if value.is_strict {
            Some(sort.nulls_first)
        } else if value.is_rank {
            Some(!sort.asc)
        } else {
            None
        };
        Self {
            figures: value.figures,
            missing: missing.map(|is_first| match is_first {
                true => MissingFigures::First,
                false => MissingFigures::Last,
            }),
            column: name_of(&sort.expr),
        }
    }

    /// Whether rows of which one of the figures is missing are after all others.
    pub(super) fn has_missing_last(&self) -> bool {
        self.missing == Some(MissingFigures::Last)
    }

    /// The same where it is not known any more in which order the rows are.
    pub(super) fn mixed(self) -> Self {
        Self { missing: None, ..self }
    }

    pub(super) fn order(&self, of: OrderedBy, missing: MissingFigures) -> FigureOrder {
        FigureOrder {
            of,
            column: self.column.clone(),
            missing,
        }
    }
}

/// The name of a column; `None` for what is computed without one.
#[expect(clippy::wildcard_enum_match_arm, reason = "other expressions have no name")]
fn name_of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Column(column) => Some(column.name.clone()),
        Expr::Alias(alias) => Some(alias.name.clone()),
        _ => None,
    }
}
