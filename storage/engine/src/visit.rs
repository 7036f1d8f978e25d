//! A walk over the syntax tree that is compiled once for all visitors.
//!
//! The parser's own `visit` is generic: for each visitor the compiler copies the walk over some hundred kinds of nodes. Here the
//! visitor is behind a pointer.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

/// Shows `node` and all nodes within it to `visitor`, until it breaks.
pub fn visit(node: &impl Visit, visitor: &mut dyn Visitor<Break = ()>) -> ControlFlow<()> {
    node.visit(&mut Forward(visitor))
}

/// Lets `visitor` change `node` and all nodes within it, until it breaks.
pub fn visit_mut(node: &mut impl VisitMut, visitor: &mut dyn VisitorMut<Break = ()>) -> ControlFlow<()> {
    node.visit(&mut ForwardMut(visitor))
}

struct Forward<'a>(&'a mut dyn Visitor<Break = ()>);

struct ForwardMut<'a>(&'a mut dyn VisitorMut<Break = ()>);

/// Forwards every method of the trait: one that is missing here would never reach the visitor.
macro_rules! forward {
    ($($method:ident($node:ty))*) => {
        type Break = ();

        $(fn $method(&mut self, node: $node) -> ControlFlow<()> {
            self.0.$method(node)
        })*
    };
}

impl Visitor for Forward<'_> {
    forward! {
        pre_visit_query(&Query)
        post_visit_query(&Query)
        pre_visit_select(&Select)
        post_visit_select(&Select)
        pre_visit_relation(&ObjectName)
        post_visit_relation(&ObjectName)
        pre_visit_table_factor(&TableFactor)
        post_visit_table_factor(&TableFactor)
        pre_visit_expr(&Expr)
        post_visit_expr(&Expr)
        pre_visit_statement(&Statement)
        post_visit_statement(&Statement)
        pre_visit_value(&ValueWithSpan)
        post_visit_value(&ValueWithSpan)
    }
}

impl VisitorMut for ForwardMut<'_> {
    forward! {
        pre_visit_query(&mut Query)
        post_visit_query(&mut Query)
        pre_visit_select(&mut Select)
        post_visit_select(&mut Select)
        pre_visit_relation(&mut ObjectName)
        post_visit_relation(&mut ObjectName)
        pre_visit_table_factor(&mut TableFactor)
        post_visit_table_factor(&mut TableFactor)
        pre_visit_expr(&mut Expr)
        post_visit_expr(&mut Expr)
        pre_visit_statement(&mut Statement)
        post_visit_statement(&mut Statement)
        pre_visit_value(&mut ValueWithSpan)
        post_visit_value(&mut ValueWithSpan)
    }
}
