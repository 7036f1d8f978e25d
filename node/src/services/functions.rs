//! What a query can compute, as the engine states it.

use concordat_documents::query::{ComputedBy, FunctionKind, FunctionRule, QueryPart};

pub(super) fn rules() -> impl Iterator<Item = FunctionRule> {
    concordat_engine::functions().map(|rule| FunctionRule {
        name: rule.name.to_owned(),
        kind: kind(rule.kind),
        parts: rule.parts.iter().copied().map(part).collect(),
        tier: rule.tier,
        records: computed_by(rule.records),
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

fn part(part: concordat_engine::QueryPart) -> QueryPart {
    match part {
        concordat_engine::QueryPart::Condition => QueryPart::Condition,
        concordat_engine::QueryPart::Group => QueryPart::Group,
        concordat_engine::QueryPart::Operand => QueryPart::Operand,
        concordat_engine::QueryPart::Aggregate => QueryPart::Aggregate,
        concordat_engine::QueryPart::PerSubject => QueryPart::PerSubject,
        concordat_engine::QueryPart::Figures => QueryPart::Figures,
    }
}

fn computed_by(records: concordat_engine::ComputedBy) -> ComputedBy {
    match records {
        concordat_engine::ComputedBy::Holder => ComputedBy::Holder,
        concordat_engine::ComputedBy::HolderOfCollection => ComputedBy::HolderOfCollection,
        concordat_engine::ComputedBy::Consumer => ComputedBy::Consumer,
    }
}
