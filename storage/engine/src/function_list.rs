//! What a query may compute, and where: one list, made of the tables that the checks use.

use concordat_protocol::scope::Tier;

use crate::{
    functions::{ComputedBy, aggregates, scalars, windows},
    statistic::{QueryPart, Syntax, parts_of_aggregate, parts_of_function, parts_of_window},
};

/// Forms of SQL that are planned as a function.
const WRITTEN: [(&str, &str); 3] = [("EXTRACT", "date_part"), ("OVERLAY", "overlay"), ("POSITION", "strpos")];

/// What kind of function a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionKind {
    /// An operator, or another form of SQL.
    Operator,
    /// Computed from one row.
    Scalar,
    /// Computed from the rows of a group.
    Aggregate,
    /// Computed from the rows around each row.
    Window,
}

impl FunctionKind {
    /// Its name, as it is printed.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Scalar => "scalar",
            Self::Aggregate => "aggregate",
            Self::Window => "window",
        }
    }
}

/// Where a function is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionRule {
    /// The function or operator, as a query writes it.
    pub name: &'static str,
    /// Its kind.
    pub kind: FunctionKind,
    /// The parts of a query below tier `records` that may have it.
    pub parts: &'static [QueryPart],
    /// The lowest tier at which a holder computes it; `None` if only the consumer's node does, from records.
    pub tier: Option<Tier>,
    /// Who computes it at tier `records`.
    pub records: ComputedBy,
}

/// What is computed, and where, by kind and name.
pub fn functions() -> impl Iterator<Item = FunctionRule> {
    let mut rules: Vec<FunctionRule> = Syntax::ALL.iter().map(|form| operator(*form)).collect();
    rules.extend(WRITTEN.map(|(name, function)| FunctionRule {
        name,
        kind: FunctionKind::Operator,
        ..scalar(function, function)
    }));
    for function in scalars() {
        let names = names(function.name(), function.aliases());
        rules.extend(names.map(|name| scalar(name, function.name())));
    }
    for function in aggregates() {
        let names = names(function.name(), function.aliases());
        rules.extend(names.map(|name| aggregate(name, function.name())));
    }
    for function in windows() {
        rules.extend(names(function.name(), function.aliases()).map(window));
    }
    rules.sort_by(|one, other| (one.kind, one.name).cmp(&(other.kind, other.name)));
    rules.dedup_by(|one, other| (one.kind, one.name) == (other.kind, other.name));
    rules.into_iter()
}

fn names(name: &'static str, aliases: &'static [String]) -> impl Iterator<Item = &'static str> {
    std::iter::once(name).chain(aliases.iter().map(String::as_str))
}

fn operator(form: Syntax) -> FunctionRule {
    FunctionRule {
        name: form.name(),
        kind: FunctionKind::Operator,
        parts: form.parts(),
        tier: form.tier().or(tier_of_records(form.computed_by())),
        records: form.computed_by(),
    }
}

/// The rule of a scalar function; `planned` is the name under which it is planned.
fn scalar(name: &'static str, planned: &str) -> FunctionRule {
    let records = ComputedBy::of_scalar(name);
    let parts = parts_of_function(planned);
    FunctionRule {
        name,
        kind: FunctionKind::Scalar,
        parts,
        tier: tier_of_parts(parts).or(tier_of_records(records)),
        records,
    }
}

/// The rule of an aggregate function; `planned` is the name under which it is planned.
fn aggregate(name: &'static str, planned: &str) -> FunctionRule {
    let records = ComputedBy::of_aggregate(name);
    let parts = parts_of_aggregate(planned);
    FunctionRule {
        name,
        kind: FunctionKind::Aggregate,
        parts,
        tier: tier_of_parts(parts).or(tier_of_records(records)),
        records,
    }
}

fn window(name: &'static str) -> FunctionRule {
    let parts = parts_of_window();
    FunctionRule {
        name,
        kind: FunctionKind::Window,
        parts,
        tier: tier_of_parts(parts),
        records: ComputedBy::of_windows(),
    }
}

fn tier_of_parts(parts: &[QueryPart]) -> Option<Tier> {
    parts.iter().map(|part| part.tier()).min()
}

const fn tier_of_records(records: ComputedBy) -> Option<Tier> {
    match records {
        ComputedBy::Holder | ComputedBy::HolderOfCollection => Some(Tier::Records),
        ComputedBy::Consumer => None,
    }
}
