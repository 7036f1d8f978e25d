//! Groups: columns with levels, `CASE`, bands of numbers, and parts of dates.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::{
    collection::{AtomId, AtomSet, Comparison, LISTED_LEVEL, Levels, Listed, ListedValues},
    ids::LevelName,
    scope::Value,
};
use datafusion::logical_expr::{BinaryExpr, Case, Expr, Operator, expr::ScalarFunction};

use super::{
    arithmetic::date_part,
    by_label::{Cases, joined, reached, with_label},
    columns::unaliased,
    literals::{constant, label},
    spans::{MAX_BUCKETS, buckets, months_of},
    state::{Frame, Lowering, Result, refused},
};
use crate::statistic::{
    admitted::QueryPart,
    forms::{Form, NotCountable},
    measure::Group,
    paths::ColumnPath,
    terms::{Condition, Quantity, ReferenceTest},
};

/// The level that groups use where a column has one: it is coarser than what conditions distinguish.
const BAND: &str = "band";
/// The years whose days are points in time of any unit: a label that is none would be shown as missing.
const TIMES: std::ops::RangeInclusive<i64> = 1_678..=2_261;

impl Lowering<'_> {
    /// One column of groups, of rows that meet `rows`.
    pub(super) fn group(&mut self, expression: &Expr, frame: &Frame<'_>, rows: &Condition) -> Result<Group> {
        let expression = unaliased(expression);
        self.within(QueryPart::Group, expression, |lowering| {
            lowering.group_of(expression, frame, rows)
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an expression that is not listed is refused"
    )]
    fn group_of(&mut self, expression: &Expr, frame: &Frame<'_>, rows: &Condition) -> Result<Group> {
        match expression {
            Expr::Column(_) if self.is_subject(expression) => Err(refused(Form::SubjectGroup)),
            Expr::Column(column) => self.levels_group(self.quantity_of(column, frame)?, rows),
            Expr::Case(case) => self.case_group(case, frame),
            Expr::ScalarFunction(function) => self.function_group(function, frame, rows),
            Expr::BinaryExpr(BinaryExpr { op, .. }) if is_truth(*op) => self.truth_group(expression, frame),
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::Not(_)
            | Expr::Between(_)
            | Expr::InList(_)
            | Expr::Like(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_) => self.truth_group(expression, frame),
            _ => match self.band(expression, frame)? {
                Some(group) => Ok(group),
                None => {
                    let sum = self.sum(expression, frame)?;
                    let of = self.single(&sum).ok_or_else(|| refused(Form::Group))?;
                    self.levels_group(of, rows)
                }
            },
        }
    }

    /// The levels of a quantity.
    fn levels_group(&self, of: Quantity, rows: &Condition) -> Result<Group> {
        let named = |name: &str| LevelName::new(name).ok();
        let levels = self.known.levels(&of);
        let has = |name: &str| named(name).filter(|name| levels.level(name).is_some());
        let level = match &levels {
            Levels::None => return self.named_codes(&of, rows),
            Levels::Truth | Levels::Values(_) => None,
            Levels::Edges(_) => has(BAND),
            Levels::Codes(listed) => {
                if let Quantity::Column(path) = &of {
                    if let Some(codes) = codes_of(&of, rows) {
                        let of = path.clone();
                        return Ok(Group::Codes { of, codes });
                    }
                    if let Some(texts) = self.texts_of_codes(path, listed.listed(), rows) {
                        return self.by_name(of, &texts, None);
                    }
                }
                Some(has(LISTED_LEVEL).ok_or_else(|| refused(Form::OpenCodes))?)
            }
        };
        Ok(Group::Levels {
            of,
            level,
            missing: None,
        })
    }

    /// The listed texts of those codes that a condition on another column of the row names: other texts are seldom beside them. `None` if the
    /// text of one of the codes is not declared.
    fn texts_of_codes(
        &self,
        path: &ColumnPath,
        listed: Option<&ListedValues>,
        rows: &Condition,
    ) -> Option<ListedValues> {
        let texts = rows
            .conjuncts()
            .iter()
            .find_map(|condition| self.texts_of_named(path, condition))?;
        let of_text = |text: Value| listed?.iter().find(|listed| listed.value == text).cloned();
        let found = texts.into_iter().map(|text| of_text(Value::Text(text)));
        ListedValues::check(found.collect::<Option<Vec<Listed>>>()?).ok()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "other conditions name no codes")]
    fn texts_of_named(&self, path: &ColumnPath, condition: &Condition) -> Option<BTreeSet<String>> {
        match condition {
            Condition::Test(Quantity::Column(code), test) => {
                let texts = self.known.texts_of(code, path)?;
                let text = |code: &Value| texts.iter().find(|listed| listed.value == *code);
                let codes = codes_in(test.passing())?;
                let texts = codes.iter().map(|code| Some(text(code)?.label.to_string()));
                texts.collect()
            }
            _ => None,
        }
    }

    /// Names that a condition names, or the declared names of codes or values that lead to a reference dataset.
    fn named_codes(&self, of: &Quantity, rows: &Condition) -> Result<Group> {
        let Quantity::Column(name) = of else {
            return Err(refused(Form::Group));
        };
        if !self.known.is_reference(name.dataset()) {
            return Err(refused(Form::Group));
        }
        if let Some(group) = named_by_condition(name, rows) {
            return Ok(group);
        }
        let code = name.linked_by().ok_or_else(|| refused(Form::CodeNames))?;
        let named = self.known.names_of(&code, name);
        let named = named.ok_or_else(|| refused(Form::CodeNames))?;
        let of = Quantity::Column(code);
        let codes = codes_of(&of, rows);
        self.by_name(of, &named, codes.as_deref())
    }

    /// The names of codes, as they are declared: of those that a condition names, or of all that are listed, with all other codes together.
    fn by_name(&self, of: Quantity, named: &ListedValues, codes: Option<&[Value]>) -> Result<Group> {
        let mut values: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for listed in named.iter() {
            if codes.is_none_or(|codes| codes.contains(&listed.value)) {
                values
                    .entry(listed.label.as_str())
                    .or_default()
                    .push(listed.value.clone());
            }
        }
        let mut sets = Vec::new();
        for (label, values) in values {
            sets.push((Some(Value::Text(label.to_owned())), self.atoms(&of, values)?));
        }
        if let Some(codes) = codes {
            // Of a code without a declared name it is not known which group it is in.
            let is_named = |code: &Value| named.iter().any(|listed| listed.value == *code);
            return if codes.iter().all(is_named) {
                buckets(of, sets, None)
            } else {
                Err(refused(Form::CodeNames))
            };
        }
        let missing = self
            .known
            .levels(&of)
            .all()
            .with_null(true)
            .complement()
            .with_null(true);
        sets.push((None, missing));
        let others = Levels::Values(named.clone()).label(&AtomId::Listed(named.atoms().saturating_sub(1)));
        buckets(of, sets, others.map(Value::Text))
    }

    /// The atoms of the values of a name. Values of one label are one atom.
    fn atoms(&self, of: &Quantity, values: Vec<Value>) -> Result<AtomSet> {
        let test = self.known.levels(of).decide(&Comparison::In(values));
        Ok(test.map_err(|_| refused(Form::SharedLabels))?.passing().clone())
    }

    /// True, false and neither.
    fn truth_group(&mut self, expression: &Expr, frame: &Frame<'_>) -> Result<Group> {
        let condition = self.condition(expression, frame)?;
        let cases = vec![
            (condition.clone(), Some(Value::Bool(true))),
            (condition.negation(), Some(Value::Bool(false))),
        ];
        self.cases(self.where_true(cases), None)
    }

    fn case_group(&mut self, case: &Case, frame: &Frame<'_>) -> Result<Group> {
        if case.when_then_expr.len() > MAX_BUCKETS {
            return Err(NotCountable::TooMany {
                what: "results of a `CASE`",
                most: MAX_BUCKETS,
            });
        }
        let mut cases = Vec::new();
        for (when, then) in &case.when_then_expr {
            let when = match &case.expr {
                None => self.condition(when, frame)?,
                Some(of) => {
                    let equal = Expr::BinaryExpr(BinaryExpr::new(of.clone(), Operator::Eq, when.clone()));
                    self.condition(&equal, frame)?
                }
            };
            cases.push((when, label(then)?.ok_or_else(|| refused(Form::Labels))?));
        }
        let rest = match &case.else_expr {
            None => None,
            Some(rest) => label(rest)?.ok_or_else(|| refused(Form::Labels))?,
        };
        // The column has the type of the first label, in which one of another kind would be missing.
        let labels = cases.iter().map(|(_, label)| label).chain([&rest]).flatten();
        if !are_of_one_kind(labels) {
            return Err(refused(Form::Labels));
        }
        self.cases(self.where_true(cases), rest)
    }

    fn where_true(&self, cases: Cases) -> Cases {
        let plain = |(condition, label)| (self.known.where_true(condition), label);
        cases.into_iter().map(plain).collect()
    }

    /// The first condition that is true: buckets if all are about one quantity.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other conditions name no codes and are about no single quantity"
    )]
    fn cases(&self, cases: Cases, rest: Option<Value>) -> Result<Group> {
        let (cases, rest) = reached(cases, rest);
        let of = cases.iter().find_map(|(condition, _)| match condition {
            Condition::Test(of, _) => Some(of.clone()),
            _ => None,
        });
        let Some(of) = of else {
            return self.by_label(cases, rest);
        };
        let sets = cases.iter().map(|(condition, label)| match condition {
            Condition::Test(about, test) if *about == of => Some((label.clone(), test.passing().clone())),
            _ => None,
        });
        match sets.collect::<Option<Vec<_>>>() {
            Some(sets) => buckets(of, sets, rest),
            None => self.by_label(cases, rest),
        }
    }

    /// Cases over several columns, those with one label as one case.
    fn by_label(&self, cases: Cases, rest: Option<Value>) -> Result<Group> {
        let labels: BTreeSet<&Option<Value>> = cases.iter().map(|(_, label)| label).chain([&rest]).collect();
        if labels.len() > cases.len() {
            return Ok(Group::Cases { cases, rest });
        }
        match joined(&cases, rest.as_ref(), self.known) {
            Some(joined) => self.cases(self.where_true(joined), rest),
            // The statistic refuses it.
            None => Ok(Group::Cases { cases, rest }),
        }
    }

    fn function_group(&mut self, function: &ScalarFunction, frame: &Frame<'_>, rows: &Condition) -> Result<Group> {
        match (function.func.name(), function.args.as_slice()) {
            ("coalesce", [of, other]) => {
                let label = constant(other)?.ok_or_else(|| refused(Form::Labels))?;
                with_label(self.group(of, frame, rows)?, label, self.known)
            }
            ("date_part", [part, date]) => {
                let part = date_part(part)?;
                let (day, _) = self.date(date, frame)?;
                self.part_group(day.quantity(), &part, rows)
            }
            ("date_trunc", [part, date]) => {
                let part = date_part(part)?;
                let (day, _) = self.date(date, frame)?;
                let of = day.quantity();
                let months = months_of(&part).ok_or_else(|| refused(Form::Group))?;
                let label = |first: i32, year: i64, _: i64| TIMES.contains(&year).then_some(Value::Date(first));
                let spans = self.months(&of, months, true, &label)?;
                self.spans_group(of, spans, true)
            }
            _ => match self.band(&Expr::ScalarFunction(function.clone()), frame)? {
                Some(group) => Ok(group),
                None => Err(refused(Form::Group)),
            },
        }
    }

    /// The year, quarter or month of a date.
    fn part_group(&mut self, of: Quantity, part: &str, rows: &Condition) -> Result<Group> {
        let months = months_of(part).ok_or_else(|| refused(Form::Group))?;
        if part == "year" {
            let label = |_: i32, year: i64, _: i64| Some(Value::Int(year));
            let spans = self.months(&of, months, true, &label)?;
            return self.spans_group(of, spans, true);
        }
        let label = |_: i32, _: i64, at: i64| Some(Value::Int(at.saturating_add(1)));
        let spans = self.months(&of, months, false, &label)?;
        self.closed_group(of, spans, rows)
    }
}

/// Whether labels are values of one kind.
fn are_of_one_kind<'v>(labels: impl Iterator<Item = &'v Value>) -> bool {
    let mut kinds = labels.map(Value::kind);
    let first = kinds.next();
    kinds.all(|kind| Some(kind) == first)
}

/// The codes that a condition on the column names.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other conditions name no codes and are about no single quantity"
)]
fn codes_of(of: &Quantity, rows: &Condition) -> Option<Vec<Value>> {
    rows.conjuncts().iter().find_map(|condition| match condition {
        Condition::Test(about, test) if about == of => codes_in(test.passing()),
        _ => None,
    })
}

/// The codes of a set that has nothing but listed codes.
fn codes_in(atoms: &AtomSet) -> Option<Vec<Value>> {
    let codes = atoms.code_set()?;
    let is_listed = !codes.has_rest() && codes.prefixes().next().is_none() && !atoms.has_null();
    is_listed.then(|| codes.codes().map(|(code, _)| code.clone()).collect())
}

/// Names of codes, if a condition names them.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other conditions name no codes and are about no single quantity"
)]
fn named_by_condition(name: &ColumnPath, rows: &Condition) -> Option<Group> {
    rows.conjuncts().iter().find_map(|condition| match condition {
        Condition::Reference {
            of,
            test: ReferenceTest::OneOf(names),
            negated: false,
        } if of == name => Some(Group::Codes {
            of: name.clone(),
            codes: names.clone(),
        }),
        _ => None,
    })
}

const fn is_truth(op: Operator) -> bool {
    matches!(
        op,
        Operator::And
            | Operator::Or
            | Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}
