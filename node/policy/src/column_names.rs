//! Whether the rules of a set distinguish columns by their names.
//!
//! Of a column a rule sees its name, the name of its dataset, its class and its kind. If no rule reads one of the names or names a column, all columns of one
//! class and kind have the same verdict, and it is made once: a collection of forty datasets has hundreds of columns, of some twenty classes and kinds.
//!
//! What is not understood counts as reading a name.

use cedar_policy::Policy;
use serde_json::Value;

/// Whether one of the rules may decide about two columns of one class and kind in different ways.
pub(crate) fn matter<'a>(rules: impl IntoIterator<Item = &'a Policy>) -> bool {
    rules.into_iter().any(distinguishes)
}

fn distinguishes(rule: &Policy) -> bool {
    let literals = rule.entity_literals();
    if literals.iter().any(|entity| entity.type_name().to_string() == "Column") {
        return true;
    }
    match rule.to_json() {
        Ok(rule) => !is_about_collections(&rule) && reads_name(&rule),
        Err(_) => true,
    }
}

/// Whether the rule applies to collections only, which policies name datasets.
fn is_about_collections(rule: &Value) -> bool {
    let about = rule.get("resource").and_then(|resource| resource.get("entity_type"));
    about.and_then(Value::as_str) == Some("Dataset")
}

/// Whether an expression, in Cedar's JSON format, reads a name that may be that of a column.
fn reads_name(expression: &Value) -> bool {
    match expression {
        Value::Array(items) => items.iter().any(reads_name),
        Value::Object(fields) => fields
            .iter()
            .any(|(operator, operands)| (operator == "." && is_name(operands)) || reads_name(operands)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether an attribute is read that may be the name of a column or of its dataset.
fn is_name(access: &Value) -> bool {
    match access.get("attr").and_then(Value::as_str) {
        Some("name" | "table") => !access.get("left").is_some_and(is_no_column),
        Some(_) => false,
        None => true,
    }
}

/// Whether an expression is the principal, or what a variable belongs to: `principal`, `principal.institution`, `resource.dataset`.
fn is_no_column(expression: &Value) -> bool {
    match (expression.get("Var"), expression.get(".")) {
        (Some(variable), None) => variable.as_str() == Some("principal"),
        (None, Some(outer)) => {
            let is_of_variable = outer.get("left").is_some_and(|of| of.get("Var").is_some());
            let attribute = outer.get("attr").and_then(Value::as_str);
            is_of_variable && matches!(attribute, Some("institution" | "dataset"))
        }
        (Some(_), Some(_)) | (None, None) => false,
    }
}
