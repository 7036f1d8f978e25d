//! Why a query is refused below tier `records`, with the nearest form that is not.

use concordat_protocol::collection::Undecided;

/// A query that the language below tier `records` does not contain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCountable {
    /// A form that is not in the language.
    #[error("{} cannot be computed below tier `records`: {}", .0.what(), .0.nearest())]
    Form(Form),
    /// The levels of a column do not decide a condition.
    #[error("a condition on `{column}` is not decided by the declared levels")]
    Undecided {
        /// The column, or what is computed from it.
        column: String,
        /// Why, with the nearest edges or values.
        #[source]
        source: Undecided,
    },
    /// A column or dataset that the collection does not have, or that the grant does not show.
    #[error("`{name}` is not in the collection as it is shown")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A measured column without a range.
    #[error("`{column}` has no declared range, so it cannot be summed; count its levels with `GROUP BY`")]
    NoRange {
        /// The column, or what is computed from it.
        column: String,
    },
    /// Something that has more parts than one query may have.
    #[error("the query has more than {most} {what}; split it")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The most.
        most: usize,
    },
}

macro_rules! forms {
    ($($variant:ident $what:literal, $nearest:literal;)*) => {
        /// A form that is not in the language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Form {
            $(#[doc = $what] $variant,)*
        }

        impl Form {
            /// What the query contains.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$variant => $what,)*
                }
            }

            /// What can be written instead.
            #[must_use]
            pub const fn nearest(self) -> &'static str {
                match self {
                    $(Self::$variant => $nearest,)*
                }
            }
        }
    };
}

forms! {
    Rows "a query that selects rows", "select `count(*)`, `count(DISTINCT subject)` or other aggregates, with or without `GROUP BY`";
    SeveralEvents "an aggregate of rows over several events of each subject", "use `count(DISTINCT subject)`, or `EXISTS (SELECT … )` for all datasets but one";
    EventColumn "a group or condition over columns of two different events", "relate dates of two events, or use `EXISTS (SELECT …)`";
    Extremes "`min` or `max` of a column, which is the value of one subject,", "use `approx_percentile_cont(column, 0.05)` or `0.95`";
    WindowBelow "a window over rows", "use `min(date)` or `max(date)` with `GROUP BY` the subject in a derived table";
    Join "this join", "join on the key of the subject with `=`, or on a declared link to a key";
    LeftJoin "this `LEFT JOIN`", "join a dataset with at most one row for each row, or use `EXISTS (SELECT …)`";
    OuterJoin "a `RIGHT`, `FULL` or marking join", "change the order of the datasets and use `LEFT JOIN`, or use `EXISTS (SELECT …)`";
    NoSubjects "a dataset whose rows lead to no subject", "select from a dataset with subjects, and join this one";
    DistinctRows "`SELECT DISTINCT` over several columns with other aggregates", "use `count(DISTINCT subject)` with `GROUP BY`";
    PerSubject "an aggregate of aggregates", "group the inner query by the subject only, and use `min(date)`, `max(date)` or `count(*)` in it";
    LimitBelow "`LIMIT` below an aggregate", "leave it out: the answer depends on which rows come first";
    SetOperation "a set operation on rows", "use `EXISTS (SELECT …) AND EXISTS (SELECT …)`";
    GroupingSets "`ROLLUP`, `CUBE` and `GROUPING SETS`", "send one query for each set of columns";
    Operator "this form of query", "use `SELECT` with joins, conditions and `GROUP BY`";
    Expression "this expression", "compare a column with constants at edges of its levels, or use `IN`, `BETWEEN`, `IS NULL`, `AND`, `OR` and `NOT`";
    Comparison "a comparison of two columns", "relate two dates with a declared number of days, or compare columns with constants";
    Pattern "this pattern", "use `LIKE 'prefix%'` on codes, or `IN` with listed values";
    Literal "this constant", "write whole numbers up to 2 to the power of 53, finite numbers, texts, dates or truth values";
    NullLiteral "a comparison with NULL, which is never true,", "use `IS NULL` or `IS NOT NULL`";
    Subquery "this subquery", "relate it to the outer query by the subject: `EXISTS (SELECT 1 FROM e WHERE e.subject = d.subject AND …)`";
    Measure "this operand of an aggregate", "aggregate a column with a declared range, days between two dates, or a sum of columns; divide after aggregating";
    Aggregate "this aggregate", "use `count`, `sum`, `avg`, `var_samp`, `stddev`, `corr`, `median` or `approx_percentile_cont`";
    DistinctValues "`DISTINCT` in an aggregate of values", "use `count(DISTINCT subject)`";
    SubjectGroup "a group by the key of the subject", "group by other columns, and count subjects with `count(DISTINCT subject)`";
    Group "a group by this column or expression", "group by a column with levels, `CASE` over its levels, or the year, quarter or month of a date";
    OpenCodes "a group by an open list of codes", "add a condition `IN (…)` that names the codes";
    Labels "this result of `CASE` in a group", "use constants";
    Joinable "a column that the grant shows in a form that cannot be joined", "request the column clear or as a pseudonym";
}
