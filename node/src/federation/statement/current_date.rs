//! `current_date` in a query: the day on which it is planned, written as a date.
//!
//! Each holder and the consumer lower a text by themselves. With a function they would count by different days around midnight, and what is
//! answered from a memory would be the answer of another day. A written date is the same one for all of them, and is in the evidence.

use std::ops::ControlFlow;

use chrono::NaiveDate;
use concordat_engine::visit_mut;
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArguments, Query, Select, SelectItem, TypedString, Value, VisitorMut,
};

use super::quoted;

/// Functions whose value is the current date.
const NAMES: [&str; 2] = ["current_date", "today"];

/// Writes `day`, counted from 1970-01-01, in place of the functions for the current date. A selected column without a name keeps its text as
/// its name.
pub(in crate::federation) fn use_current_date(query: &mut Query, day: i32) {
    // Each number of days that a clock shows is a date.
    if let Some(day) = NaiveDate::from_epoch_days(day) {
        let _ = visit_mut(query, &mut CurrentDate::of(day));
    }
}

struct CurrentDate {
    day: NaiveDate,
    /// Whether there was one.
    is_found: bool,
}

impl CurrentDate {
    const fn of(day: NaiveDate) -> Self {
        Self { day, is_found: false }
    }

    fn is_in(&self, expr: &Expr) -> bool {
        let mut copy = expr.clone();
        let mut visitor = Self::of(self.day);
        let _ = visit_mut(&mut copy, &mut visitor);
        visitor.is_found
    }
}

impl VisitorMut for CurrentDate {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && self.is_in(expr)
            {
                let alias = quoted(&expr.to_string());
                let expr = expr.clone();
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && is_current_date(function)
        {
            self.is_found = true;
            *expr = Expr::TypedString(TypedString {
                data_type: DataType::Date,
                value: Value::SingleQuotedString(self.day.to_string()).into(),
                uses_odbc_syntax: false,
            });
        }
        ControlFlow::Continue(())
    }
}

/// Whether a function is one of the current date, without arguments.
fn is_current_date(function: &Function) -> bool {
    let has_arguments = match &function.args {
        FunctionArguments::None => false,
        FunctionArguments::List(list) => !list.args.is_empty(),
        FunctionArguments::Subquery(_) => true,
    };
    let [name] = function.name.0.as_slice() else {
        return false;
    };
    let name = name.as_ident();
    let is_named = name.is_some_and(|name| NAMES.iter().any(|known| name.value.eq_ignore_ascii_case(known)));
    is_named && !has_arguments && function.over.is_none() && function.filter.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::statement::ParsedQuery;

    /// 2026-11-30.
    const DAY: i32 = 20_787;

    fn on_day(sql: &str) -> String {
        let mut query = ParsedQuery::parse(sql).unwrap().query;
        use_current_date(&mut query, DAY);
        query.to_string()
    }

    #[test]
    fn current_date_is_the_day_of_the_plan() {
        for (sql, expected) in [
            (
                "SELECT count(*) AS n FROM basel.heart WHERE born < current_date",
                "SELECT count(*) AS n FROM basel.heart WHERE born < DATE '2026-11-30'",
            ),
            (
                "SELECT CASE WHEN date_part('year', CURRENT_DATE) - born < 18 THEN 'a' END AS g, count(*) AS n FROM basel.heart \
                 WHERE id IN (SELECT id FROM basel.visits WHERE day > today()) GROUP BY 1",
                "SELECT CASE WHEN date_part('year', DATE '2026-11-30') - born < 18 THEN 'a' END AS g, count(*) AS n FROM basel.heart \
                 WHERE id IN (SELECT id FROM basel.visits WHERE day > DATE '2026-11-30') GROUP BY 1",
            ),
            (
                "SELECT count(*) FROM basel.heart WHERE note = 'current_date'",
                "SELECT count(*) FROM basel.heart WHERE note = 'current_date'",
            ),
        ] {
            assert_eq!(on_day(sql), expected);
        }
    }

    #[test]
    fn column_of_the_current_date_keeps_its_name() {
        assert_eq!(
            on_day("SELECT current_date, count(*) FROM basel.heart"),
            "SELECT DATE '2026-11-30' AS \"current_date\", count(*) FROM basel.heart"
        );
    }
}
