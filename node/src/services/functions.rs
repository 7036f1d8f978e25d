//! What a query can compute, as the engine states it.

use concordat_documents::query::{FunctionKind, FunctionRule};

pub(super) fn rules() -> impl Iterator<Item = FunctionRule> {
    concordat_engine::functions().map(|rule| FunctionRule {
        name: rule.name.to_owned(),
        kind: kind(rule.kind),
        tier: rule.tier,
    })
}

fn kind(kind: concordat_engine::FunctionKind) -> FunctionKind {
    match kind {
        concordat_engine::FunctionKind::Operator => FunctionKind::Operator,
        concordat_engine::FunctionKind::Scalar => FunctionKind::Scalar,
        concordat_engine::FunctionKind::Aggregate => FunctionKind::Aggregate,
        concordat_engine::FunctionKind::Window => FunctionKind::Window,
    }
}
