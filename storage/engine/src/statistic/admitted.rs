//! Which forms of SQL and which functions a query below tier `records` may have, and in which of its parts.
//!
//! Lowering refuses what is not listed here for a part, whatever it could read, and the list of what a query can compute
//! ([`functions`](crate::functions())) is made of the same tables.

use concordat_protocol::scope::Tier;
use datafusion::{
    logical_expr::{BinaryExpr, Expr, Operator},
    scalar::ScalarValue,
};

use super::measure::Output;
use crate::functions::ComputedBy;

/// The aggregate function that counts.
pub(super) const COUNT: &str = "count";
/// The aggregate function of the first date of a subject.
pub(super) const FIRST: &str = "min";
/// The aggregate function of the last date of a subject.
pub(super) const LAST: &str = "max";
/// The quantile without a number.
pub(super) const MEDIAN: &str = "median";
/// Aggregate functions that order values.
pub(super) const QUANTILES: [&str; 3] = [MEDIAN, "percentile_cont", "approx_percentile_cont"];

/// A part of a query below tier `records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueryPart {
    /// What must be true of a row: in `WHERE`, `FILTER`, `CASE` and joins.
    Condition,
    /// A column of `GROUP BY`.
    Group,
    /// What an aggregate is computed of.
    Operand,
    /// An aggregate of the rows of a group.
    Aggregate,
    /// A derived table with one row for each subject.
    PerSubject,
    /// What is computed from figures: all that is above the groups.
    Figures,
}

impl QueryPart {
    /// Its name, as it is printed.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::Group => "group",
            Self::Operand => "operand",
            Self::Aggregate => "aggregate",
            Self::PerSubject => "per-subject",
            Self::Figures => "figures",
        }
    }

    /// The lowest tier at which a query may have it: below [`Tier::Aggregate`] it is one count, with conditions.
    pub(crate) const fn tier(self) -> Tier {
        match self {
            Self::Condition | Self::PerSubject => Tier::Exists,
            Self::Figures => Tier::Count,
            Self::Group | Self::Operand | Self::Aggregate => Tier::Aggregate,
        }
    }
}

/// Forms of SQL, in the order in which they are printed: who computes them at tier `records`, the parts that may have them, and their names.
macro_rules! forms_of_sql {
    ($($by:ident [$($part:ident)*] { $($variant:ident $name:literal)* })*) => {
        /// An operator, or another form of SQL that is not a function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Syntax {
            $($(#[doc = $name] $variant,)*)*
        }

        impl Syntax {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[$($(Self::$variant,)*)*];

            /// Its name in SQL.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $($(Self::$variant => $name,)*)*
                }
            }

            /// The parts of a query below tier `records` that may have it.
            pub(crate) const fn parts(self) -> &'static [QueryPart] {
                match self {
                    $($(Self::$variant)|* => &[$(QueryPart::$part,)*],)*
                }
            }

            /// Who computes it at tier `records`.
            pub(crate) const fn computed_by(self) -> ComputedBy {
                match self {
                    $($(Self::$variant)|* => ComputedBy::$by,)*
                }
            }
        }
    };
}

forms_of_sql! {
    Holder [Condition Operand Figures] { Plus "+" }
    Holder [Condition Group Operand Figures] { Minus "-" Times "*" Divided "/" }
    Holder [Figures] { Remainder "%" }
    Holder [Condition Group Figures] {
        Equal "="
        NotEqual "<>"
        Less "<"
        AtMost "<="
        Greater ">"
        AtLeast ">="
        And "AND"
        Or "OR"
        Not "NOT"
    }
    Holder [Figures] { Joined "||" }
    Holder [Condition Group Figures] {
        IsNull "IS NULL"
        IsTrue "IS TRUE"
        IsDistinct "IS DISTINCT FROM"
        In "IN"
        Between "BETWEEN"
        Like "LIKE"
        LikeAnyCase "ILIKE"
    }
    Consumer [Figures] { SimilarTo "SIMILAR TO" Matches "~" }
    Holder [Group Operand Figures] { Case "CASE" }
    Holder [Condition Group Operand Figures] { Cast "CAST" TryCast "TRY_CAST" }
    HolderOfCollection [Condition Figures] { Interval "INTERVAL" }
    Consumer [Figures] { Zone "AT TIME ZONE" }
    HolderOfCollection [Condition Group] { Exists "EXISTS" }
    Holder [PerSubject Figures] { DistinctRows "SELECT DISTINCT" }
    Holder [Aggregate] { DistinctValues "count(DISTINCT …)" Filter "FILTER" }
    HolderOfCollection [Figures] { Over "OVER" }
    HolderOfCollection [Aggregate] { WithinGroup "WITHIN GROUP" }
}

impl Syntax {
    /// Whether a provider computes the operator of this name at tier `records`.
    pub(crate) fn is_provided(name: &str) -> bool {
        let mut all = Self::ALL.iter();
        all.any(|form| form.name() == name && form.computed_by() == ComputedBy::Holder)
    }

    /// The lowest tier at which a query below `records` may have it.
    pub(crate) fn tier(self) -> Option<Tier> {
        // A count of some rows or of subjects is still one count.
        if matches!(self, Self::DistinctValues | Self::Filter) {
            return Some(Tier::Exists);
        }
        self.parts().iter().map(|part| part.tier()).min()
    }

    /// The outermost form of an expression; `None` for what is not listed.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an expression that is not listed is refused"
    )]
    fn of(expression: &Expr) -> Option<Self> {
        Some(match expression {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => return Self::of_operator(*op),
            Expr::Negative(_) => Self::Minus,
            Expr::Not(_) => Self::Not,
            Expr::IsNull(_) | Expr::IsNotNull(_) => Self::IsNull,
            Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsNotTrue(_) | Expr::IsNotFalse(_) => Self::IsTrue,
            Expr::Between(_) => Self::Between,
            Expr::InList(_) | Expr::InSubquery(_) => Self::In,
            Expr::Like(like) if like.case_insensitive => Self::LikeAnyCase,
            Expr::Like(_) => Self::Like,
            Expr::SimilarTo(_) => Self::SimilarTo,
            Expr::Case(_) => Self::Case,
            Expr::Cast(_) => Self::Cast,
            Expr::TryCast(_) => Self::TryCast,
            Expr::Exists(_) => Self::Exists,
            _ => return None,
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an operator that is not listed is refused"
    )]
    const fn of_operator(op: Operator) -> Option<Self> {
        Some(match op {
            Operator::Plus => Self::Plus,
            Operator::Minus => Self::Minus,
            Operator::Multiply => Self::Times,
            Operator::Divide => Self::Divided,
            Operator::Modulo => Self::Remainder,
            Operator::Eq => Self::Equal,
            Operator::NotEq => Self::NotEqual,
            Operator::Lt => Self::Less,
            Operator::LtEq => Self::AtMost,
            Operator::Gt => Self::Greater,
            Operator::GtEq => Self::AtLeast,
            Operator::And => Self::And,
            Operator::Or => Self::Or,
            Operator::StringConcat => Self::Joined,
            Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => Self::IsDistinct,
            Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch => {
                Self::Matches
            }
            _ => return None,
        })
    }
}

/// What a function of one row may be in that is computed from figures only.
const FROM_FIGURES: &[QueryPart] = &[QueryPart::Figures];

/// The parts that may have a function of one row, by its name in a plan. Each one that is computed here at all is computed from figures.
pub(crate) fn parts_of_function(name: &str) -> &'static [QueryPart] {
    match name {
        "date_part" => &[
            QueryPart::Condition,
            QueryPart::Group,
            QueryPart::Operand,
            QueryPart::Figures,
        ],
        // Of a column that is matched with a pattern.
        "lower" => &[QueryPart::Condition, QueryPart::Group, QueryPart::Figures],
        "coalesce" | "date_trunc" | "floor" => &[QueryPart::Group, QueryPart::Figures],
        _ => FROM_FIGURES,
    }
}

/// The parts that may have an aggregate function, by its name in a plan. None is computed from figures.
pub(crate) fn parts_of_aggregate(name: &str) -> &'static [QueryPart] {
    match name {
        COUNT => &[QueryPart::Aggregate, QueryPart::PerSubject],
        FIRST | LAST => &[QueryPart::PerSubject],
        name if QUANTILES.contains(&name) || Output::named(name).is_some() => &[QueryPart::Aggregate],
        _ => &[],
    }
}

/// The parts that may have a window function: windows are over figures only, but for the number of a row that is compared with 1, which is
/// read as the first date of a subject.
pub(crate) const fn parts_of_window() -> &'static [QueryPart] {
    FROM_FIGURES
}

/// Whether a part of a query may have an expression, as far as its outermost form decides that. Columns and constants are in all of them.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other expressions are forms of SQL, or are refused"
)]
pub(super) fn is_admitted(expression: &Expr, part: QueryPart) -> bool {
    match expression {
        Expr::Column(_) | Expr::Alias(_) => true,
        Expr::Literal(value, _) => !is_interval(value) || Syntax::Interval.parts().contains(&part),
        Expr::ScalarFunction(function) => parts_of_function(function.func.name()).contains(&part),
        other => Syntax::of(other).is_some_and(|form| form.parts().contains(&part)),
    }
}

const fn is_interval(value: &ScalarValue) -> bool {
    matches!(
        value,
        ScalarValue::IntervalMonthDayNano(_) | ScalarValue::IntervalDayTime(_) | ScalarValue::IntervalYearMonth(_)
    )
}
