//! The first row of each subject: `row_number() OVER (PARTITION BY subject ORDER BY date)` in a derived table, and a condition that it is 1.
//!
//! Of the row only the key of the subject and the date are known then, which are those of `min(date)` with `GROUP BY` the subject: which one
//! of several rows of a day is the first would depend on their order in a file.

use concordat_protocol::scope::Value;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Operator, SortExpr, Window, WindowFunctionDefinition,
    expr::{WindowFunction, WindowFunctionParams},
};

use super::{
    columns::{column_of, instance_of, unaliased},
    literals::constant,
    state::{Bound, Lowering, Relation, Result, refused},
};
use crate::statistic::{forms::Form, terms::SubjectValue};

/// The column of the number of a row. No column of a dataset has a parenthesis in its name.
const NUMBER: &str = "(number)";
/// A column of which only the value in the first row is meant, so that it cannot be used.
pub(super) const UNKNOWN: &str = "(unknown)";

impl Lowering<'_> {
    /// One row for each subject, as long as a condition states that its number is 1.
    pub(super) fn numbered(&mut self, window: &Window) -> Result<Relation> {
        let relation = self.relation(&window.input)?;
        let schema = window.input.schema();
        let (subject, order) = numbering(&window.window_expr).ok_or_else(|| refused(Form::WindowBelow))?;
        let subject = self.bound(subject, schema, &relation.columns)?;
        let day = self.bound(&order.expr, schema, &relation.columns)?;
        let day = unaliased(&day.expr);
        // A missing date is after all others: the first date is missing only where all are.
        if !self.is_subject(&subject.expr) || order.nulls_first || relation.is_distinct || self.repeats_rows(&relation)
        {
            return Err(refused(Form::WindowBelow));
        }
        let (attached, root) = self.rooted(&relation, [day])?;
        let column = self.date_of(day, root).ok_or_else(|| refused(Form::WindowBelow))?;
        let value = if order.asc {
            SubjectValue::First(column)
        } else {
            SubjectValue::Last(column)
        };
        let (id, known) = self.table_of_subjects(&relation, &attached, root, vec![value])?;
        let [key, date] = known.as_slice() else {
            return Err(refused(Form::WindowBelow));
        };
        let columns = relation.columns.iter().map(|Bound { expr, .. }| {
            if self.is_subject(expr) {
                key.clone()
            } else if unaliased(expr) == day {
                date.clone()
            } else {
                column_of(id, UNKNOWN.to_owned())
            }
        });
        Ok(Relation {
            columns: columns.chain([column_of(id, NUMBER.to_owned())]).collect(),
            instances: vec![id],
            numbered: [id].into(),
            ..Relation::default()
        })
    }

    /// Adds conditions. One that states which row of a subject is meant is none on the rows.
    pub(super) fn require(&self, relation: &mut Relation, conditions: Vec<Expr>) -> Result<()> {
        for condition in conditions {
            match first_row(&condition)? {
                Some(id) if relation.numbered.remove(&id) => {}
                Some(_) | None => relation.conjuncts.push(condition),
            }
        }
        Ok(())
    }
}

/// The key and the order of the only window function, if it numbers rows by one column within another one.
fn numbering(functions: &[Expr]) -> Option<(&Expr, &SortExpr)> {
    let [function] = functions else { return None };
    let Expr::WindowFunction(function) = unaliased(function) else {
        return None;
    };
    let WindowFunction { fun, params } = function.as_ref();
    let WindowFunctionParams {
        args,
        partition_by,
        order_by,
        filter: None,
        null_treatment: None,
        distinct: false,
        ..
    } = params
    else {
        return None;
    };
    let is_number = matches!(fun, WindowFunctionDefinition::WindowUDF(function) if function.name() == "row_number");
    match (partition_by.as_slice(), order_by.as_slice()) {
        ([subject], [order]) if is_number && args.is_empty() => Some((subject, order)),
        _ => None,
    }
}

/// The table of which a condition states that rows are the first of their subjects.
fn first_row(condition: &Expr) -> Result<Option<usize>> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = unaliased(condition)
    else {
        return Ok(None);
    };
    for (column, number) in [(left, right), (right, left)] {
        if let Expr::Column(column) = unaliased(column)
            && column.name == NUMBER
            && constant(number)? == Some(Value::Int(1))
        {
            return Ok(instance_of(column));
        }
    }
    Ok(None)
}
