//! The functions of sessions, which of them a provider computes at tier `records`, and which never fail.
//!
//! What a query below that tier may have is listed where it is lowered.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion::{
    common::ScalarValue,
    execution::SessionStateDefaults,
    logical_expr::{AggregateUDF, Expr, ScalarUDF, WindowUDF, expr::ScalarFunction},
};

use super::{
    average::{MEAN_OF_PARTS, average},
    divide::{QUOTIENT, REMAINDER},
    numeric_aggregates,
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

/// Functions that never fail, whatever the values of their arguments, and are computed as the library does.
const INFALLIBLE: [&str; 29] = [
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

/// Aggregate functions that a provider computes at tier `records`.
const AGGREGATES: [&str; 15] = [
    "avg",
    "corr",
    "count",
    "max",
    "mean",
    "median",
    "min",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var",
    "var_pop",
    "var_samp",
    "var_sample",
];

/// Aggregate functions that a provider computes over the datasets of a collection only, at tier `records`.
const OF_COLLECTIONS: [&str; 2] = ["percentile_cont", "quantile_cont"];

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

/// Who computes a function at tier `records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComputedBy {
    /// The holder, over one dataset and over those of a collection.
    Holder,
    /// The holder, over the datasets of a collection only; over others the consumer's node.
    HolderOfCollection,
    /// The consumer's node, from records.
    Consumer,
}

impl ComputedBy {
    /// Its name, as it is printed.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Holder => "holder",
            Self::HolderOfCollection => "holder-of-collection",
            Self::Consumer => "consumer",
        }
    }

    /// Who computes a scalar function, by the name that a query writes.
    pub(crate) fn of_scalar(name: &str) -> Self {
        if SCALARS.contains(&name) {
            Self::Holder
        } else {
            Self::Consumer
        }
    }

    /// Who computes an aggregate function, by the name that a query writes.
    pub(crate) fn of_aggregate(name: &str) -> Self {
        if AGGREGATES.contains(&name) {
            Self::Holder
        } else if OF_COLLECTIONS.contains(&name) {
            Self::HolderOfCollection
        } else {
            Self::Consumer
        }
    }

    /// Who computes window functions.
    pub(crate) const fn of_windows() -> Self {
        Self::HolderOfCollection
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

/// Whether a provider computes the function of this name at tier `records`.
pub(crate) fn is_provided(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SCALARS.contains(&name.as_str()) || AGGREGATES.contains(&name.as_str())
}

/// Whether a provider computes the function of this name over the datasets of a collection.
pub(crate) fn is_provided_in_collections(name: &str) -> bool {
    is_provided(name) || is_quantile(name) || is_window(name)
}

/// Whether the function is one that orders the values of a group, in `WITHIN GROUP`.
pub(crate) fn is_quantile(name: &str) -> bool {
    OF_COLLECTIONS.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether the function is computed from the rows around each row only.
pub(crate) fn is_window(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    windows()
        .iter()
        .any(|function| function.name() == name || function.aliases().contains(&name))
}

/// Whether the function is computed from the rows of a group.
pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name.to_ascii_lowercase().as_str()) || is_quantile(name)
}

/// The scalar functions that a provider plans with.
pub(crate) fn provided_scalars() -> &'static [Arc<ScalarUDF>] {
    static PROVIDED: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        let provided = |function: &&Arc<ScalarUDF>| {
            SCALARS.contains(&function.name()) || function.aliases().iter().any(|name| SCALARS.contains(&name.as_str()))
        };
        scalars().iter().filter(provided).cloned().collect()
    });
    &PROVIDED
}

/// The aggregate functions that a provider plans with.
pub(crate) fn provided_aggregates() -> &'static [Arc<AggregateUDF>] {
    static PROVIDED: LazyLock<Vec<Arc<AggregateUDF>>> = LazyLock::new(|| {
        let provided = |function: &&Arc<AggregateUDF>| AGGREGATES.contains(&function.name());
        aggregates().iter().filter(provided).cloned().collect()
    });
    &PROVIDED
}

/// The aggregate functions that a provider plans with over the datasets of a collection.
pub(crate) fn collection_aggregates() -> Vec<Arc<AggregateUDF>> {
    let of_collections = |function: &&Arc<AggregateUDF>| OF_COLLECTIONS.contains(&function.name());
    let mut provided = provided_aggregates().to_vec();
    provided.extend(aggregates().iter().filter(of_collections).cloned());
    provided
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

/// All aggregate functions, with our mean and those of floating point numbers.
pub(crate) fn aggregates() -> &'static [Arc<AggregateUDF>] {
    static ALL: LazyLock<Vec<Arc<AggregateUDF>>> = LazyLock::new(|| {
        let all = SessionStateDefaults::default_aggregate_functions().into_iter();
        all.map(|function| match function.name() {
            "avg" => average(),
            _ => numeric_aggregates::exact(function),
        })
        .collect()
    });
    &ALL
}

/// All window functions.
pub(crate) fn windows() -> &'static [Arc<WindowUDF>] {
    static ALL: LazyLock<Vec<Arc<WindowUDF>>> = LazyLock::new(SessionStateDefaults::default_window_functions);
    &ALL
}
