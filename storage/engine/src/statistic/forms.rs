//! Why a query is refused below tier `records`, with the nearest form that is not.

use concordat_protocol::{collection::Undecided, scope::Value};

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
    /// Groups that begin between the edges of a column.
    #[error(
        "groups of `{column}` begin at values that are no edges of its declared levels; group by the column itself, or by parts that begin at edges; \
         the nearest edges are {}",
        quoted(nearest)
    )]
    GroupOffEdges {
        /// The column, or what is computed from it.
        column: String,
        /// The nearest edges, one below and one above if there are both.
        nearest: Vec<Value>,
    },
    /// Months or days of a date that the grant shows as its year.
    #[error(
        "the grant shows `{column}` as its year, without months and days; use `EXTRACT(YEAR FROM {column})`, or request the column clear"
    )]
    OnlyYear {
        /// The date.
        column: String,
    },
    /// A group by parts of years of dates that are not limited to the declared edges, over several members: of dates beyond them the part is
    /// not known.
    #[error(
        "quarters and months of `{column}` are those between its outermost edges; add the condition `{column} >= {from} AND {column} < {to}`"
    )]
    Beyond {
        /// The column, or what is computed from it.
        column: String,
        /// The first day that has one.
        from: Value,
        /// The first day after them.
        to: Value,
    },
    /// A text that is not a value of what it is compared with.
    #[error("`{column}` contains {contains}, and the text that it is compared with is not {notation}")]
    Unread {
        /// The column, or what is computed from it.
        column: String,
        /// What it contains.
        contains: &'static str,
        /// How a value of it is written.
        notation: &'static str,
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
    /// A running sum has a figure for each group.
    #[error(
        "the query has more than {most} running sums, one for each group; add a condition that bounds the groups, as in \
         `date >= DATE '2020-01-01' AND date < DATE '2024-01-01'`"
    )]
    TooManyRunning {
        /// The most.
        most: usize,
    },
    /// Two groups with one label, of which the answer would have a row each.
    #[error(
        "two groups have the label {label}, and would be two rows; give them other labels, or make one group of them: \
         one `WHEN` with `OR` in a `CASE`, in place of `coalesce` too"
    )]
    SameLabel {
        /// The label as the message shows it.
        label: String,
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

fn quoted(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
    values.join(" and ")
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
    ListedRows "a number or sum of rows in a join with rows that list codes, which may list one code several times,", "use `count(DISTINCT subject)`, name one code of the hierarchy by `=`, or use `code IN (SELECT …)` in place of the join";
    ListedGroup "this group by a column of rows that list codes", "name its values in a condition, `column IN (…)`, or group by the names of declared codes above others, and by no other column of these rows";
    CombinedValues "a group by a column of rows that list codes, in a query that is combined from several answers,", "send one query for each value";
    EventColumn "a group or condition over columns of two different events", "relate dates of two events, or use `EXISTS (SELECT …)`";
    FirstRow "another column of the first row of each subject", "use the key of the subject and the date by which `row_number` orders the rows; which of several rows of a day is the first is not known, so other columns of it need tier `records`";
    Bands "bands of a column with fractions or with an edge that is not above zero,", "group by the column itself, which shows its declared levels, or write the bands with `CASE`";
    Extremes "`min` or `max` of a column, which is the value of one subject,", "use `approx_percentile_cont(column, 0.05)` or `0.95`";
    WindowBelow "a window over rows", "use `min(date)` or `max(date)` with `GROUP BY` the subject in a derived table, and bands, as in `floor(column / 10) * 10`, in place of quantiles as groups";
    Join "this join", "join on the key of the subject with `=`, or on a declared link to a key";
    LeftJoin "this `LEFT JOIN`", "join a dataset with at most one row for each row, or use `EXISTS (SELECT …)`";
    OuterJoin "a `RIGHT`, `FULL` or marking join", "change the order of the datasets and use `LEFT JOIN`, or use `EXISTS (SELECT …)`";
    NoSubjects "a dataset whose rows lead to no subject", "select from a dataset with subjects, and join this one";
    DistinctRows "`SELECT DISTINCT` over several columns with other aggregates", "use `count(DISTINCT subject)` with `GROUP BY`";
    PerSubject "an aggregate of aggregates", "group the inner query by the subject only, and use `min(date)`, `max(date)` or `count(*)` in it";
    LimitBelow "`LIMIT` below an aggregate", "leave it out: the answer depends on which rows come first";
    SetOperation "a set operation on rows", "use `EXISTS (SELECT …) AND EXISTS (SELECT …)`";
    CombinedSets "`ROLLUP`, `CUBE` or `GROUPING SETS` in a query that is combined from several answers", "send one query for each set";
    GroupingSets "`GROUPING SETS` without the set of all columns", "add the set of all columns, or send one query for each set";
    Operator "this form of query", "use `SELECT` with joins, conditions and `GROUP BY`";
    Expression "this expression", "compare a column with constants at edges of its levels, or use `IN`, `BETWEEN`, `IS NULL`, `AND`, `OR` and `NOT`";
    Comparison "a comparison of two columns", "relate two dates with a declared number of days, or compare columns with constants";
    Pattern "this pattern", "use `LIKE 'prefix%'` on codes, or `IN` with listed values";
    Literal "this constant", "write whole numbers up to 2 to the power of 53, finite numbers, texts, dates or truth values";
    NullLiteral "a comparison with NULL, which is never true,", "use `IS NULL` or `IS NOT NULL`";
    Subquery "this subquery", "relate it to the outer query by the subject: `EXISTS (SELECT 1 FROM e WHERE e.subject = d.subject AND …)`";
    Measure "this operand of an aggregate", "aggregate a column with a declared range, days between two dates, seconds between two points in time, or a sum of columns; divide after aggregating, or request a column that has the product or quotient of each row";
    ListedMeasure "a measure of a column whose values are listed, in a sum of columns or where figures are exact,", "count its values with `count(*)` and `GROUP BY`, or measure the other columns alone";
    Aggregate "this aggregate", "use `count`, `sum`, `avg`, `var_samp`, `stddev`, `corr`, `median` or `approx_percentile_cont`";
    DistinctValues "`DISTINCT` in an aggregate of values", "use `count(DISTINCT subject)`";
    SubjectGroup "a group by the key of the subject", "group by other columns, and count subjects with `count(DISTINCT subject)`";
    Group "a group by this column or expression", "group by a column with levels, `CASE` over its levels, or the year, quarter or month of a date";
    OpenCodes "a group by an open list of codes", "add a condition `IN (…)` that names the codes";
    CodeNames "a group by names of codes that are not declared", "group by the codes, or write their names with `CASE`; names are declared of listed codes and values, in the column of a reference dataset that names its codes";
    SharedLabels "a group by names of values that are declared with one label, and have different names or none,", "group by the column with the values, whose groups are the labels";
    Labels "this result of `CASE` in a group", "use constants, all of them texts, whole numbers, numbers, dates or truth values";
    NoAggregate "groups without an aggregate", "add `count(*)`";
    TotalOfCells "an aggregate with `OVER` over groups, of which some may be withheld,", "use `sum(n) OVER ()`, `sum(n) OVER (PARTITION BY column)` or, over one holder and in the order of a group with edges or with labels of the query, `sum(n) OVER (ORDER BY column)`, of a count or sum `n` of each group, without a condition or `LIMIT` before it, or write a second query for the total";
    WindowOfCells "a function with `OVER` over groups, of which some may be withheld,", "leave those out first, as in `FROM (SELECT g, count(*) AS n … GROUP BY g) WHERE n IS NOT NULL`, with `IS NOT NULL` of each figure that the function depends on: then it is that of the groups that are shown; of `rank`, `dense_rank` and `row_number`, the order of a figure with `NULLS LAST` is enough";
    LimitOfCells "`LIMIT` or `OFFSET` in the order of what is computed of figures, of which some may be withheld,", "order by the figures themselves, with `NULLS LAST`, or leave those out first, as in `HAVING count(*) IS NOT NULL`, with `IS NOT NULL` of each figure that the order or a condition depends on: then the rows are the first ones of those that are shown";
    JoinOfCells "an outer or marking join, `EXCEPT` or `INTERSECT` that depends on figures, of which some may be withheld,", "use an inner join, and write conditions on figures in `WHERE` after it";
    OtherOfCells "this form over figures, of which some may be withheld,", "use inner joins, `UNION`, conditions that compare figures, and `ORDER BY`";
    LabelOperand "this expression over a group, whose levels are labels,", "select the group as it is, or compare it with texts";
    Joinable "a column that the grant shows in a form that cannot be joined", "request the column clear or as a pseudonym";
}
