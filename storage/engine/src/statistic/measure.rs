//! What is computed of the rows of each cell.

use concordat_protocol::{
    collection::AtomSet,
    ids::LevelName,
    scope::{Finite, Value},
};
use serde::{Deserialize, Serialize};

use super::{paths::ColumnPath, terms::Condition, terms::Quantity};

/// One column of the grid of cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The atoms of declared levels, with their labels.
    Levels {
        /// What is grouped.
        of: Quantity,
        /// The coarser level; all atoms if `None`.
        level: Option<LevelName>,
        /// What missing values are shown as; NULL if `None`.
        missing: Option<Value>,
    },
    /// Unions of atoms with labels of the query.
    Buckets {
        /// What is grouped.
        of: Quantity,
        /// The buckets: no atom is in two of them.
        buckets: Vec<Bucket>,
        /// The label of all other atoms; NULL if `None`.
        rest: Option<Value>,
    },
    /// Codes of an open list that conditions name.
    #[serde(with = "codes")]
    Codes {
        /// The column with the codes.
        of: ColumnPath,
        /// The codes in ascending order.
        codes: Vec<Value>,
    },
    /// The first of several conditions that is true.
    Cases {
        /// The conditions in the order of the query, with labels.
        cases: Vec<(Condition, Option<Value>)>,
        /// The label of all other rows; NULL if `None`.
        rest: Option<Value>,
    },
}

/// The encoding of [`Group::Codes`]. It has a key that is always null: another encoding is another digest, under which a query that was
/// answered before would be counted, and get noise, again.
mod codes {
    use concordat_protocol::scope::Value;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::statistic::paths::ColumnPath;

    #[derive(Serialize)]
    struct Written<'a> {
        of: &'a ColumnPath,
        codes: &'a [Value],
        shown: (),
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Read {
        of: ColumnPath,
        codes: Vec<Value>,
        /// A column here would be one with names, which groups have in no other way than as labels.
        shown: (),
    }

    pub(super) fn serialize<S: Serializer>(of: &ColumnPath, codes: &[Value], serializer: S) -> Result<S::Ok, S::Error> {
        Written { of, codes, shown: () }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<(ColumnPath, Vec<Value>), D::Error> {
        let Read { of, codes, shown: () } = Read::deserialize(deserializer)?;
        Ok((of, codes))
    }
}

/// Atoms with one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The label; NULL if `None`.
    pub label: Option<Value>,
    /// The atoms.
    pub atoms: AtomSet,
}

/// One aggregate of the rows of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellAggregate {
    /// The number of subjects.
    Subjects {
        /// Which of the rows.
        filter: Condition,
    },
    /// The number of rows.
    Rows {
        /// Which of the rows.
        filter: Condition,
    },
    /// A function of the number of values, their sum, and the sums of their squares and products.
    Moments {
        /// The first operand.
        of: Quantity,
        /// The second operand of functions with two.
        with: Option<Quantity>,
        /// The function.
        output: Output,
        /// Which of the rows.
        filter: Condition,
    },
    /// A quantile.
    Quantile {
        /// What is ordered.
        of: Quantity,
        /// Which part is below it, from 0 to 1.
        at: Finite,
        /// Which of the rows.
        filter: Condition,
    },
}

impl CellAggregate {
    /// Which of the rows of a cell it is computed of.
    pub const fn filter(&self) -> &Condition {
        match self {
            Self::Subjects { filter }
            | Self::Rows { filter }
            | Self::Moments { filter, .. }
            | Self::Quantile { filter, .. } => filter,
        }
    }

    /// The same of other rows of a cell.
    #[must_use]
    pub(super) fn with_filter(self, filter: Condition) -> Self {
        match self {
            Self::Subjects { .. } => Self::Subjects { filter },
            Self::Rows { .. } => Self::Rows { filter },
            Self::Moments { of, with, output, .. } => Self::Moments {
                of,
                with,
                output,
                filter,
            },
            Self::Quantile { of, at, .. } => Self::Quantile { of, at, filter },
        }
    }
}

macro_rules! outputs {
    ($($variant:ident $operands:literal $($name:literal)|+, $doc:literal;)*) => {
        /// A function of moments.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Output {
            $(#[doc = $doc] $variant,)*
        }

        impl Output {
            /// The function of this name in SQL, with the number of its operands.
            pub(super) fn named(name: &str) -> Option<(Self, usize)> {
                match name {
                    $($($name)|+ => Some((Self::$variant, $operands)),)*
                    _ => None,
                }
            }

            /// Its name in SQL.
            #[must_use]
            pub const fn name(self) -> &'static str {
                let names: &[&'static str] = match self {
                    $(Self::$variant => &[$($name),+],)*
                };
                match names {
                    [first, ..] => first,
                    [] => "",
                }
            }
        }
    };
}

outputs! {
    Sum 1 "sum", "The sum.";
    Mean 1 "avg" | "mean", "The mean.";
    VarianceOfSample 1 "var_samp" | "var" | "var_sample", "The variance, divided by one less than the number of values.";
    VarianceOfPopulation 1 "var_pop" | "var_population", "The variance, divided by the number of values.";
    DeviationOfSample 1 "stddev" | "stddev_samp", "The square root of the variance of a sample.";
    DeviationOfPopulation 1 "stddev_pop", "The square root of the variance of a population.";
    Correlation 2 "corr", "The correlation.";
    CovarianceOfSample 2 "covar_samp" | "covar", "The covariance, divided by one less than the number of pairs.";
    CovarianceOfPopulation 2 "covar_pop", "The covariance, divided by the number of pairs.";
    Slope 2 "regr_slope", "The slope of the line of least squares.";
    Intercept 2 "regr_intercept", "The intercept of the line of least squares.";
    Determination 2 "regr_r2", "The square of the correlation.";
}
