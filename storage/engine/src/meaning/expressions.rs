//! Parts of which checked expressions are made, and the error for those that are refused.

use datafusion::{
    error::DataFusionError,
    logical_expr::{BinaryExpr, Expr, Operator},
};

use crate::QueryError;

/// `left op right`.
pub(super) fn operation(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// The error for what is refused, as it passes through the library.
pub(crate) fn refused(detail: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(QueryError::Invalid { detail: detail.into() }))
}
