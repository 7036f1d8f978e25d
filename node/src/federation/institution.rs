//! Conditions on the institution of a row: they decide which members are queried, and no member checks them.

use std::sync::Arc;

use concordat_protocol::ids::InstitutionId;
use datafusion::arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::prelude::lit;

use super::union_table::UnionTable;

/// Whether the only column in `condition` is the institution.
pub(super) fn institution_only(condition: &Expr, table: &UnionTable) -> bool {
    let columns = condition.column_refs();
    let of_institution = |name: &str| table.schema.index_of(name).is_ok_and(|at| table.is_institution(at));
    let plain = !condition.is_volatile() && !condition.exists(|part| Ok(is_subquery(part))).unwrap_or(true);
    plain && !columns.is_empty() && columns.iter().all(|column| of_institution(&column.name))
}

/// Whether `condition` can be true for a row of `institution`. What depends on another column can be.
///
/// # Errors
/// If it cannot be computed.
pub(super) fn may_be_true_at(
    condition: &Expr,
    table: &UnionTable,
    institution: &InstitutionId,
    session: &dyn Session,
) -> Result<bool> {
    if institution_only(condition, table) {
        return is_true_at(condition, institution, session);
    }
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else {
        return Ok(true);
    };
    let may_be_true = |side: &Expr| may_be_true_at(side, table, institution, session);
    if *op == Operator::And {
        Ok(may_be_true(left)? && may_be_true(right)?)
    } else if *op == Operator::Or {
        Ok(may_be_true(left)? || may_be_true(right)?)
    } else {
        Ok(true)
    }
}

/// Whether `condition`, which is on the institution only, is true for the rows of `institution`.
///
/// # Errors
/// If it cannot be computed.
pub(super) fn is_true_at(condition: &Expr, institution: &InstitutionId, session: &dyn Session) -> Result<bool> {
    let known = condition.clone().transform_up(|part| {
        Ok(if matches!(part, Expr::Column(_)) {
            Transformed::yes(lit(institution.as_str()))
        } else {
            Transformed::no(part)
        })
    })?;
    let computed = session.create_physical_expr(known.data, &DFSchema::empty())?;
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &one)?;
    let value = computed.evaluate(&row)?.into_array(1)?;
    let value = value.as_any().downcast_ref::<BooleanArray>();
    Ok(value.and_then(|value| value.iter().next().flatten()).unwrap_or(false))
}

fn is_subquery(part: &Expr) -> bool {
    matches!(
        part,
        Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)
    )
}
