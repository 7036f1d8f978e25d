//! What a query may compute, and where: the tables that the checks use, and the list that is made of them.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use concordat_protocol::scope::Tier;
use datafusion::{
    common::ScalarValue,
    execution::SessionStateDefaults,
    logical_expr::{AggregateUDF, Expr, ScalarUDF, WindowUDF, expr::ScalarFunction},
};

use super::{
    average::{MEAN_OF_PARTS, average},
    divide::{QUOTIENT, REMAINDER},
    sums::SUM_WITHIN,
};

/// Name of the function for a cast; queries cannot use it.
pub(super) const CONVERSION: &str = "conversion";
/// Name of the function for arithmetic of two operands.
pub(super) const ARITHMETIC: &str = "arithmetic";
/// Name of the function for a change of sign.
pub(super) const NEGATION: &str = "negation";
/// Name of the function by which numbers of different types are compared.
pub(super) const POSITION: &str = "position_among_numbers";

/// Functions of one row that a provider computes: deterministic, and without large output from small input.
const SCALARS: [&str; 39] = [
    "abs",
    "btrim",
    "ceil",
    "char_length",
    "character_length",
    "coalesce",
    "concat",
    "contains",
    "date_part",
    "date_trunc",
    "ends_with",
    "exp",
    "floor",
    "greatest",
    "isnan",
    "least",
    "left",
    "length",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "nullif",
    "nvl",
    "octet_length",
    "right",
    "round",
    "rtrim",
    "sign",
    "signum",
    "sqrt",
    "starts_with",
    "strpos",
    "substr",
    "substring",
    "trim",
    "upper",
];

/// Functions that never fail, whatever the values of their arguments: these are computed from rows below tier `records`.
pub(crate) const INFALLIBLE: [&str; 29] = [
    "btrim",
    "ceil",
    "character_length",
    "coalesce",
    "concat",
    "contains",
    "date_part",
    "ends_with",
    "exp",
    "floor",
    "greatest",
    "isnan",
    "least",
    "ln",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "nullif",
    "nvl",
    "octet_length",
    QUOTIENT,
    REMAINDER,
    "rtrim",
    "signum",
    "starts_with",
    "strpos",
    "trim",
    "upper",
];

/// Functions that queries cannot name: they never fail, or only on purpose.
pub(crate) const OWN: [&str; 8] = [
    ARITHMETIC,
    CONVERSION,
    MEAN_OF_PARTS,
    NEGATION,
    POSITION,
    QUOTIENT,
    REMAINDER,
    SUM_WITHIN,
];

/// Functions whose result is missing where it is not a finite number although their arguments are, or that return a negative zero.
pub(crate) const WITHIN_DOMAIN: [&str; 5] = ["ceil", "ln", "log10", "log2", "exp"];

/// Date parts that every date and timestamp has.
const DATE_PARTS: [&str; 7] = ["year", "quarter", "month", "week", "day", "dow", "doy"];

/// Aggregate functions that a provider computes at tier `records` only.
const OF_RECORDS: [&str; 4] = ["corr", "max", "median", "min"];

/// Statistics that do not show a single value: no minimum, maximum, median or n-th value.
pub(crate) const STATISTICS: [&str; 11] = [
    "avg",
    "count",
    "mean",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var",
    "var_pop",
    "var_samp",
    "var_sample",
];

/// The aggregate function of the tiers below [`Tier::Aggregate`].
pub(crate) const COUNT: &str = "count";

/// Operators and forms of SQL, with the lowest tier at which a provider computes them; `None` where only the consumer does.
pub(crate) const OPERATORS: [(&str, Option<Tier>); 36] = [
    ("+", Some(Tier::Exists)),
    ("-", Some(Tier::Exists)),
    ("*", Some(Tier::Exists)),
    ("/", Some(Tier::Exists)),
    ("%", Some(Tier::Exists)),
    ("=", Some(Tier::Exists)),
    ("<>", Some(Tier::Exists)),
    ("<", Some(Tier::Exists)),
    ("<=", Some(Tier::Exists)),
    (">", Some(Tier::Exists)),
    (">=", Some(Tier::Exists)),
    ("AND", Some(Tier::Exists)),
    ("OR", Some(Tier::Exists)),
    ("NOT", Some(Tier::Exists)),
    ("||", Some(Tier::Exists)),
    ("IS NULL", Some(Tier::Exists)),
    ("IS DISTINCT FROM", Some(Tier::Exists)),
    ("IN", Some(Tier::Exists)),
    ("BETWEEN", Some(Tier::Exists)),
    ("LIKE", Some(Tier::Exists)),
    ("ILIKE", Some(Tier::Exists)),
    ("CASE", Some(Tier::Exists)),
    ("CAST", Some(Tier::Exists)),
    ("TRY_CAST", Some(Tier::Exists)),
    ("EXTRACT", Some(Tier::Exists)),
    ("POSITION", Some(Tier::Exists)),
    ("SELECT DISTINCT", Some(Tier::Records)),
    ("FILTER", Some(Tier::Records)),
    ("SIMILAR TO", None),
    ("~", None),
    ("&", None),
    ("AT TIME ZONE", None),
    ("INTERVAL", None),
    ("OVERLAY", None),
    ("OVER", None),
    ("WITHIN GROUP", None),
];

/// Functions of the library that show how it stores values, or whose results no answer can contain.
const HIDDEN: [&str; 17] = [
    "arrow_cast",
    "arrow_field",
    "arrow_metadata",
    "arrow_try_cast",
    "arrow_typeof",
    "cast_to_type",
    "file_row_index",
    "get_field",
    "input_file_name",
    "named_struct",
    "row",
    "struct",
    "try_cast_to_type",
    "union_extract",
    "union_tag",
    "version",
    "with_metadata",
];

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
    /// The lowest tier at which a provider computes it from its rows; `None` if only the consumer does, from records.
    pub tier: Option<Tier>,
}

impl FunctionRule {
    /// The tier as it is printed; `home` for what only the consumer's node computes.
    #[must_use]
    pub fn tier_label(&self) -> String {
        self.tier.map_or_else(|| "home".to_owned(), |tier| tier.to_string())
    }
}

/// What is computed, and at which tier, by kind and name.
pub fn functions() -> impl Iterator<Item = FunctionRule> {
    let operators = OPERATORS.into_iter().map(|(name, tier)| FunctionRule {
        name,
        kind: FunctionKind::Operator,
        tier,
    });
    let mut rules: Vec<FunctionRule> = operators.collect();
    let names = |name: &'static str, aliases: &'static [String]| {
        std::iter::once(name).chain(aliases.iter().map(String::as_str))
    };
    for function in scalars() {
        rules.extend(names(function.name(), function.aliases()).map(|name| FunctionRule {
            name,
            kind: FunctionKind::Scalar,
            tier: scalar_tier(name, function.name()),
        }));
    }
    for function in aggregates() {
        rules.extend(names(function.name(), function.aliases()).map(|name| FunctionRule {
            name,
            kind: FunctionKind::Aggregate,
            tier: aggregate_tier(name),
        }));
    }
    for function in windows() {
        rules.extend(names(function.name(), function.aliases()).map(|name| FunctionRule {
            name,
            kind: FunctionKind::Window,
            tier: None,
        }));
    }
    rules.sort_by(|one, other| (one.kind, one.name).cmp(&(other.kind, other.name)));
    rules.dedup_by(|one, other| (one.kind, one.name) == (other.kind, other.name));
    rules.into_iter()
}

/// The tier of a scalar function; `canonical` is the name under which it is planned.
fn scalar_tier(name: &str, canonical: &str) -> Option<Tier> {
    if !SCALARS.contains(&name) {
        return None;
    }
    Some(if INFALLIBLE.contains(&canonical) {
        Tier::Exists
    } else {
        Tier::Records
    })
}

fn aggregate_tier(name: &str) -> Option<Tier> {
    match name {
        COUNT => Some(Tier::Exists),
        name if STATISTICS.contains(&name) => Some(Tier::Aggregate),
        name if OF_RECORDS.contains(&name) => Some(Tier::Records),
        _ => None,
    }
}

/// Whether the function has a value or NULL for all values of its arguments, which have these types.
pub(crate) fn is_infallible(function: &ScalarFunction, types: &[DataType]) -> bool {
    let name = function.func.name();
    let known = INFALLIBLE.contains(&name) && (name != "date_part" || function.args.first().is_some_and(is_known_part));
    known && types.iter().all(is_plain)
}

/// The types of stored columns and of what comparisons and arithmetic make of them. Functions of decimals, for example,
/// fail where the result has too many digits.
fn is_plain(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Null
                | DataType::Boolean
                | DataType::Float32
                | DataType::Float64
                | DataType::Utf8
                | DataType::Utf8View
                | DataType::Date32
                | DataType::Timestamp(..)
        )
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other literals do not name a part")]
fn is_known_part(part: &Expr) -> bool {
    match part {
        Expr::Literal(ScalarValue::Utf8(Some(part)) | ScalarValue::Utf8View(Some(part)), _) => {
            DATE_PARTS.contains(&part.to_ascii_lowercase().as_str())
        }
        _ => false,
    }
}

/// Whether a provider computes the function of this name, at some tier.
pub(crate) fn is_provided(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SCALARS.contains(&name.as_str()) || aggregate_tier(&name).is_some()
}

/// Whether a provider computes the operator.
pub(crate) fn is_provided_operator(operator: &str) -> bool {
    OPERATORS.iter().any(|(name, tier)| *name == operator && tier.is_some())
}

/// The scalar functions that a provider plans with.
pub(crate) fn provided_scalars() -> Vec<Arc<ScalarUDF>> {
    let provided = |function: &&Arc<ScalarUDF>| {
        SCALARS.contains(&function.name()) || function.aliases().iter().any(|name| SCALARS.contains(&name.as_str()))
    };
    scalars().iter().filter(provided).cloned().collect()
}

/// The aggregate functions that a provider plans with.
pub(crate) fn provided_aggregates() -> Vec<Arc<AggregateUDF>> {
    let provided = |function: &&Arc<AggregateUDF>| aggregate_tier(function.name()).is_some();
    aggregates().iter().filter(provided).cloned().collect()
}

/// All scalar functions, as the consumer's node has them.
pub(crate) fn scalars() -> &'static [Arc<ScalarUDF>] {
    static ALL: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        let all = SessionStateDefaults::default_scalar_functions().into_iter();
        all.filter(|function| !HIDDEN.contains(&function.name()))
            .map(|function| match function.name() {
                // The name in the standard.
                "signum" => Arc::new(function.as_ref().clone().with_aliases(["sign"])),
                _ => function,
            })
            .collect()
    });
    &ALL
}

/// All aggregate functions, with our mean.
pub(crate) fn aggregates() -> &'static [Arc<AggregateUDF>] {
    static ALL: LazyLock<Vec<Arc<AggregateUDF>>> = LazyLock::new(|| {
        let all = SessionStateDefaults::default_aggregate_functions().into_iter();
        all.map(|function| if function.name() == "avg" { average() } else { function })
            .collect()
    });
    &ALL
}

/// All window functions.
pub(crate) fn windows() -> &'static [Arc<WindowUDF>] {
    static ALL: LazyLock<Vec<Arc<WindowUDF>>> = LazyLock::new(SessionStateDefaults::default_window_functions);
    &ALL
}
