//! Every construct that a query may contain, to be nested in itself and in every other one.
//!
//! Used by the system tests here, and by the tests of the engine in `storage`.

/// The type of a construct's argument or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// Text.
    Text,
    /// A truth value.
    Truth,
}

/// One construct; `{}` stands for its argument.
#[derive(Clone, Copy, Debug)]
pub struct Construct {
    /// The type of its argument.
    pub takes: Kind,
    /// The type of its result.
    pub gives: Kind,
    /// Its SQL text.
    pub text: &'static str,
}

const fn of(takes: Kind, gives: Kind, text: &'static str) -> Construct {
    Construct { takes, gives, text }
}

use Kind::{Number, Text, Truth};

/// All of them, over the columns `age`, `sex` and `name`.
pub const CONSTRUCTS: &[Construct] = &[
    of(Number, Number, "({} + 0)"),
    of(Number, Number, "({} - 1)"),
    of(Number, Number, "({} * 2)"),
    of(Number, Number, "({} / 3)"),
    of(Number, Number, "(9 / {})"),
    of(Number, Number, "({} % 7)"),
    of(Number, Number, "(+ {})"),
    of(Number, Number, "(- {})"),
    of(Number, Number, "abs({})"),
    of(Number, Number, "ceil({})"),
    of(Number, Number, "floor({})"),
    of(Number, Number, "round({})"),
    of(Number, Number, "round({}, 2)"),
    of(Number, Number, "signum({})"),
    of(Number, Number, "sqrt({})"),
    of(Number, Number, "exp({})"),
    of(Number, Number, "ln({})"),
    of(Number, Number, "log({})"),
    of(Number, Number, "log(2, {})"),
    of(Number, Number, "log2({})"),
    of(Number, Number, "log10({})"),
    of(Number, Number, "coalesce({}, 1)"),
    of(Number, Number, "coalesce(age, {}, sex, 1)"),
    of(Number, Number, "nvl({}, 1)"),
    of(Number, Number, "nvl(age, {})"),
    of(Number, Number, "nullif({}, 1)"),
    of(Number, Number, "nullif(1, {})"),
    of(Number, Number, "greatest({}, 1, age)"),
    of(Number, Number, "least({}, 1, age)"),
    of(Number, Number, "CASE WHEN {} > 3 THEN 1 ELSE 2 END"),
    of(
        Number,
        Number,
        "CASE WHEN age > 3 THEN {} WHEN sex = 1 THEN 4 ELSE 2 END",
    ),
    of(Number, Number, "CASE WHEN age > 3 THEN 1 ELSE {} END"),
    of(Number, Number, "CASE {} WHEN 1 THEN 2 WHEN 2 THEN 3 ELSE 4 END"),
    of(Number, Number, "CASE age WHEN {} THEN 2 ELSE 3 END"),
    of(Number, Number, "CAST({} AS BIGINT)"),
    of(Number, Number, "CAST({} AS INT)"),
    of(Number, Number, "CAST({} AS DOUBLE)"),
    of(Number, Truth, "isnan(CAST({} AS DOUBLE))"),
    of(Number, Truth, "({} = 3)"),
    of(Number, Truth, "({} <> 3)"),
    of(Number, Truth, "(3 < {})"),
    of(Number, Truth, "({} IS NULL)"),
    of(Number, Truth, "({} IS NOT NULL)"),
    of(Number, Truth, "({} BETWEEN 1 AND 90)"),
    of(Number, Truth, "(5 NOT BETWEEN {} AND 90)"),
    of(Number, Truth, "({} IN (1, 40, 41))"),
    of(Number, Truth, "({} NOT IN (1, 2, 3, 4, 5, 6))"),
    of(Number, Truth, "(3 IN (1, {}, age))"),
    of(Number, Truth, "(abs({}) IN (1, 2, 3, 4))"),
    of(Number, Truth, "(floor({}) = 40)"),
    of(Number, Truth, "({} IS DISTINCT FROM 3)"),
    of(Number, Truth, "({} IS NOT DISTINCT FROM age)"),
    of(
        Number,
        Truth,
        "(CASE WHEN {} = 1 THEN 'a' WHEN age = 2 THEN 'b' WHEN age = 3 THEN 'c' ELSE 'd' END = 'b')",
    ),
    of(Number, Text, "CAST({} AS TEXT)"),
    of(Number, Text, "CASE WHEN {} > 3 THEN 'x' ELSE name END"),
    of(Truth, Truth, "(NOT {})"),
    of(Truth, Truth, "({} AND age > 1)"),
    of(Truth, Truth, "(sex = 1 OR {})"),
    of(Truth, Truth, "({} IS TRUE)"),
    of(Truth, Truth, "({} IS NOT TRUE)"),
    of(Truth, Truth, "({} IS FALSE)"),
    of(Truth, Truth, "({} IS NOT FALSE)"),
    of(Truth, Truth, "({} IS UNKNOWN)"),
    of(Truth, Truth, "({} IS NOT UNKNOWN)"),
    of(Truth, Truth, "({} = (sex = 1))"),
    of(Truth, Truth, "coalesce({}, false)"),
    of(Truth, Truth, "nvl({}, sex = 1)"),
    of(Truth, Truth, "nullif({}, true)"),
    of(Truth, Truth, "CASE WHEN {} THEN age > 1 ELSE sex = 1 END"),
    of(Truth, Truth, "CASE WHEN age > 3 THEN {} END"),
    of(
        Truth,
        Truth,
        "CASE WHEN {} THEN true WHEN age > 3 THEN false ELSE true END",
    ),
    of(
        Truth,
        Truth,
        "CASE WHEN age = 1 THEN false WHEN {} THEN true WHEN age = 3 THEN false WHEN age = 4 THEN false ELSE false END",
    ),
    of(Truth, Number, "CASE WHEN {} THEN 1 ELSE 0 END"),
    of(Truth, Number, "CAST({} AS INT)"),
    of(Truth, Text, "CAST({} AS TEXT)"),
    of(Text, Text, "upper({})"),
    of(Text, Text, "lower({})"),
    of(Text, Text, "trim({})"),
    of(Text, Text, "trim(BOTH 'x' FROM {})"),
    of(Text, Text, "btrim({}, 'x')"),
    of(Text, Text, "ltrim({})"),
    of(Text, Text, "rtrim({})"),
    of(Text, Text, "concat({}, 'x')"),
    of(Text, Text, "({} || name)"),
    of(Text, Text, "substr({}, 2)"),
    of(Text, Text, "substring({} FROM 1 FOR 30)"),
    of(Text, Text, "left({}, 30)"),
    of(Text, Text, "right({}, 30)"),
    of(Text, Text, "coalesce({}, 'x')"),
    of(Text, Text, "nvl({}, name)"),
    of(Text, Text, "nullif({}, 'x')"),
    of(Text, Text, "greatest({}, 'x')"),
    of(Text, Text, "CAST({} AS VARCHAR)"),
    of(Text, Text, "CASE WHEN {} = 'a' THEN 'x' ELSE 'y' END"),
    of(Text, Text, "CASE {} WHEN 'a' THEN 'x' WHEN 'b' THEN 'y' END"),
    of(Text, Number, "length({})"),
    of(Text, Number, "char_length({})"),
    of(Text, Number, "octet_length({})"),
    of(Text, Number, "strpos({}, 'a')"),
    of(Text, Number, "POSITION('a' IN {})"),
    of(Text, Number, "CAST({} AS BIGINT)"),
    of(Text, Truth, "({} LIKE 'P%')"),
    of(Text, Truth, "({} NOT LIKE '%1_%')"),
    of(Text, Truth, "({} ILIKE '%t%')"),
    of(Text, Truth, "starts_with({}, 'P')"),
    of(Text, Truth, "ends_with({}, '7')"),
    of(Text, Truth, "contains({}, 't')"),
    of(Text, Truth, "({} >= 'P')"),
    of(Text, Truth, "({} IN ('a', 'b'))"),
];

impl Kind {
    /// The simplest expression of this kind.
    pub const fn leaf(self) -> &'static str {
        match self {
            Number => "age",
            Text => "name",
            Truth => "(age > 40)",
        }
    }

    /// A construct that converts an expression of this kind to one of `other`.
    fn to(self, other: Self) -> Option<Construct> {
        let converts = |construct: &&Construct| construct.takes == self && construct.gives == other;
        CONSTRUCTS.iter().find(converts).filter(|_| self != other).copied()
    }
}

impl Construct {
    /// This construct in itself, `depth` deep.
    pub fn nested(&self, depth: usize) -> String {
        self.nested_in(self, depth)
    }

    /// This construct and `other` in each other, `depth` deep. Where the types do not match, a
    /// conversion stands between them.
    pub fn nested_in(&self, other: &Self, depth: usize) -> String {
        let mut inner = self.takes.leaf().to_owned();
        let mut kind = self.takes;
        for level in 0..depth {
            let next = if level % 2 == 0 { self } else { other };
            if let Some(between) = kind.to(next.takes) {
                inner = between.text.replace("{}", &inner);
            }
            inner = next.text.replace("{}", &inner);
            kind = next.gives;
        }
        inner
    }
}
