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
    columns::unaliased,
    literals::{constant, label},
    spans::{MAX_BUCKETS, buckets, months_of},
    state::{Frame, Lowering, Result, refused},
};
use crate::statistic::{
    admitted::QueryPart,
    forms::{Form, NotCountable},
    known::KnownCollection,
    measure::Group,
    neighbors::not_true,
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

/// The group with this label where it has none. Of groups with labels of the query these are texts: a date or number that is missing
/// as a label need not be a missing value.
fn with_label(group: Group, label: Value, known: &KnownCollection) -> Result<Group> {
    match group {
        Group::Levels {
            of,
            level: None,
            missing: None,
        } if has_label(&known.levels(&of), &label) => joined_with_missing(of, label, known),
        Group::Levels { of, level, missing } => Ok(Group::Levels {
            of,
            level,
            missing: missing.or(Some(label)),
        }),
        Group::Buckets {
            of,
            buckets: labeled,
            rest,
        } => {
            let with = |known: Option<Value>| known.unwrap_or_else(|| label.clone());
            let sets: Vec<(Value, AtomSet)> = labeled
                .into_iter()
                .map(|bucket| (with(bucket.label), bucket.atoms))
                .collect();
            let rest = with(rest);
            let is_text = |label: &Value| matches!(label, Value::Text(_));
            if !is_text(&rest) || !sets.iter().all(|(label, _)| is_text(label)) {
                return Err(refused(Form::Labels));
            }
            let sets = sets.into_iter().map(|(label, atoms)| (Some(label), atoms));
            buckets(of, sets.collect(), Some(rest))
        }
        Group::Codes { .. } | Group::Cases { .. } => Err(refused(Form::Group)),
    }
}

/// Whether an atom of levels has this label, in a column whose values are of the kind of the labels: only there are they values again.
fn has_label(levels: &Levels, label: &Value) -> bool {
    match (levels, label) {
        (Levels::Truth, Value::Bool(_)) => true,
        (Levels::Values(listed), Value::Text(text)) => {
            listed.kind() == Some(label.kind()) && levels.labeled(text).is_some()
        }
        (Levels::None | Levels::Truth | Levels::Edges(_) | Levels::Values(_) | Levels::Codes(_), _) => false,
    }
}

/// The atoms of a quantity, missing values with the one that has this label.
fn joined_with_missing(of: Quantity, label: Value, known: &KnownCollection) -> Result<Group> {
    let levels = known.levels(&of);
    let mut sets = Vec::new();
    for atom in 0..levels.atoms().unwrap_or(0) {
        let text = levels
            .label(&AtomId::Listed(atom))
            .ok_or_else(|| refused(Form::Group))?;
        let own = match levels {
            Levels::Truth => Value::Bool(text == "true"),
            Levels::None | Levels::Edges(_) | Levels::Values(_) | Levels::Codes(_) => Value::Text(text),
        };
        sets.push((Some(own), levels.only(atom)));
    }
    buckets(of, sets, Some(label))
}

/// The cases with those of one label as one, in the place of the first of them, and without those with the label of all others. `None`
/// where "is not true" of another case has no condition.
fn joined(cases: &[(Condition, Option<Value>)], rest: Option<&Value>, known: &KnownCollection) -> Option<Cases> {
    let mut found: Cases = Vec::new();
    for (at, (condition, label)) in cases.iter().enumerate() {
        if label.as_ref() == rest {
            continue;
        }
        let same = found.iter().position(|(_, own)| own == label);
        // The rows of cases before it are not its own, as far as these cases are no longer before it.
        let is_left_out = |other: Option<&Value>| other == rest || (same.is_some() && other != label.as_ref());
        let before = cases.iter().take(at).filter(|(_, other)| is_left_out(other.as_ref()));
        let others = before.map(|(other, _)| not_true(other, known));
        let others = others.collect::<Option<Vec<Condition>>>()?;
        let own = Condition::all(std::iter::once(condition.clone()).chain(others).collect());
        match same.and_then(|same| found.get_mut(same)) {
            Some((before, _)) => *before = Condition::any(vec![before.clone(), own]),
            None => found.push((own, label.clone())),
        }
    }
    Some(found)
}

/// Whether labels are values of one kind.
fn are_of_one_kind<'v>(labels: impl Iterator<Item = &'v Value>) -> bool {
    let mut kinds = labels.map(Value::kind);
    let first = kinds.next();
    kinds.all(|kind| Some(kind) == first)
}

/// Conditions with labels.
type Cases = Vec<(Condition, Option<Value>)>;

/// The cases that rows can be in, and the label of all others: neighbors with one label are one, and what is always true is the rest.
fn reached(cases: Cases, mut rest: Option<Value>) -> (Cases, Option<Value>) {
    let mut found: Cases = Vec::new();
    for (condition, label) in cases {
        let condition = condition.where_true();
        if condition == Condition::Never {
            continue;
        }
        match found.last_mut() {
            Some((before, known)) if *known == label => {
                *before = Condition::any(vec![before.clone(), condition]).where_true();
            }
            Some(_) | None => found.push((condition, label)),
        }
    }
    if let Some(at) = found.iter().position(|(condition, _)| *condition == Condition::All) {
        let everything = found.split_off(at).into_iter().next();
        rest = everything.and_then(|(_, label)| label);
    }
    while found.last().is_some_and(|(_, label)| *label == rest) {
        found.pop();
    }
    (found, rest)
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
