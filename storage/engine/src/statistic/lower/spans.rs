//! Groups by spans of numbers and dates: bands, years, quarters and months.

use concordat_protocol::{
    collection::{AtomSet, Axis, Comparison, Levels, Undecided},
    scope::Value,
};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::{
    arithmetic::{Part, is_one},
    columns::unaliased,
    conditions::described,
    literals::{constant, first_of_month, whole, year_of},
    state::{Beyond, Frame, Lowering, Result, refused},
};
use crate::statistic::{
    block::at_most,
    encoding::cbor,
    forms::{Form, NotCountable},
    measure::{Bucket, Group},
    terms::{Condition, Quantity},
};

/// Most results of a `CASE`, and most spans.
pub(super) const MAX_BUCKETS: usize = 1_000;
/// Most spans between the edges of a column, of which a condition may leave fewer: the months of four centuries.
const MAX_SPANS: usize = 4_800;

/// A label, and the values that have it: from the first one, up to the second one without it.
type Span = (Value, Value, Value);

/// Spans over all values.
pub(super) struct OpenSpans {
    /// In their order. The first one has everything before its end too, and the last one everything from its start on.
    spans: Vec<Span>,
    /// The first and the last edge of the column.
    ends: (Value, Value),
}

impl Lowering<'_> {
    /// Spans of this many months over all dates. Labels are made of the first day, the year, and the position in the year.
    pub(super) fn months(
        &self,
        of: &Quantity,
        months: i64,
        label: &dyn Fn(i32, i64, i64) -> Option<Value>,
    ) -> Result<OpenSpans> {
        let (first, last) = self.date_ends(of)?;
        let spans = months_between((first, last), months, label, |from, to| to >= first && from <= last)?;
        let ends = (Value::Date(first), Value::Date(last));
        Ok(OpenSpans { spans, ends })
    }

    /// Spans of this many months that are between the edges as a whole, with labels of the same kind.
    pub(super) fn months_within(
        &self,
        of: &Quantity,
        months: i64,
        label: &dyn Fn(i32, i64, i64) -> Option<Value>,
    ) -> Result<Vec<Span>> {
        let (first, last) = self.date_ends(of)?;
        months_between((first, last), months, label, |from, to| from >= first && to <= last)
    }

    /// The first and the last edge of dates.
    fn date_ends(&self, of: &Quantity) -> Result<(i32, i32)> {
        let Levels::Edges(edges) = self.known.levels(of) else {
            return Err(refused(Form::Group));
        };
        let (Axis::Date(days) | Axis::DateTime(days)) = edges.axis() else {
            return Err(refused(Form::Group));
        };
        let ends = days.first().copied().zip(days.last().copied());
        ends.ok_or_else(|| refused(Form::Group))
    }

    /// `floor(x / w) * w`, `x / w * w` and `x / w` of whole numbers. The first and the last band are open.
    pub(super) fn band(&mut self, expression: &Expr, frame: &Frame<'_>, rows: &Condition) -> Result<Option<Group>> {
        let Some((operand, width, factor)) = banded(expression)? else {
            return Ok(None);
        };
        let sum = self.sum(operand, frame)?;
        if let ([(sign, Part::Year(day))], true) = (sum.terms.as_slice(), sum.plus == 0.0)
            && is_one(*sign)
        {
            let of = day.quantity();
            let label = |_: i32, year: i64, _: i64| year.div_euclid(width).checked_mul(factor).map(Value::Int);
            let spans = self.months(&of, 12, &label)?;
            return self.open_group(of, spans, rows).map(Some);
        }
        if let [(sign, part)] = sum.terms.as_slice()
            && is_one(-*sign)
            && sum.dates == 0.0
            && sum.is_whole
        {
            return self.age_band(part, whole(sum.plus)?, (width, factor), rows).map(Some);
        }
        let of = self.single(&sum).ok_or_else(|| refused(Form::Group))?;
        let (first, last) = self.whole_ends(&of).ok_or_else(|| {
            refused(match self.known.levels(&of) {
                Levels::Edges(_) => Form::Bands,
                Levels::None | Levels::Truth | Levels::Values(_) | Levels::Codes(_) => Form::Group,
            })
        })?;
        let mut spans = Vec::new();
        for at in first.saturating_sub(1).div_euclid(width)..=last.div_euclid(width) {
            let from = at.checked_mul(width).ok_or_else(|| refused(Form::Literal))?;
            let to = from.checked_add(width).ok_or_else(|| refused(Form::Literal))?;
            let label = at.checked_mul(factor).ok_or_else(|| refused(Form::Literal))?;
            spans.push((Value::Int(label), Value::Int(from), Value::Int(to)));
            at_most(spans.len(), MAX_BUCKETS, "bands")?;
        }
        let ends = (Value::Int(first), Value::Int(last));
        self.open_group(of, OpenSpans { spans, ends }, rows).map(Some)
    }

    /// Bands of a constant minus a year or a whole number, such as ages in a year. What is beyond the edges is in the first and the last band.
    fn age_band(&mut self, part: &Part, at: i64, (width, factor): (i64, i64), rows: &Condition) -> Result<Group> {
        let label = |band: i64| band.checked_mul(factor).map(Value::Int);
        let of = match part {
            Part::Year(day) => {
                let of = day.quantity();
                let label = |_: i32, year: i64, _: i64| label(at.checked_sub(year)?.checked_div(width)?);
                let spans = self.months(&of, 12, &label)?;
                return self.open_group(of, spans, rows);
            }
            Part::Number(of) => of.clone(),
            Part::Date(..) | Part::Epoch(_) => return Err(refused(Form::Group)),
        };
        let (first, last) = self.whole_ends(&of).ok_or_else(|| refused(Form::Group))?;
        let band_of = |value: i64| at.checked_sub(value)?.checked_div(width);
        let bands = band_of(last).zip(band_of(first.saturating_sub(1)));
        let (youngest, oldest) = bands.ok_or_else(|| refused(Form::Literal))?;
        let mut spans = Vec::new();
        // The oldest have the least values, which are first.
        for band in (youngest..=oldest).rev() {
            let span = || {
                let (least, most) = truncated(band, width)?;
                let from = at.checked_sub(most)?;
                let to = at.checked_sub(least)?.checked_add(1)?;
                Some((label(band)?, Value::Int(from), Value::Int(to)))
            };
            spans.push(span().ok_or_else(|| refused(Form::Literal))?);
            at_most(spans.len(), MAX_BUCKETS, "bands")?;
        }
        let ends = (Value::Int(first), Value::Int(last));
        self.open_group(of, OpenSpans { spans, ends }, rows)
    }

    /// Why the levels do not decide in which group a value is.
    fn undecided_group(&self, of: &Quantity, source: Undecided) -> NotCountable {
        if let Some(column) = self.known.shown_as_year(of) {
            return NotCountable::OnlyYear { column };
        }
        let column = described(of);
        if let Undecided::OffEdge { nearest } = source {
            NotCountable::GroupOffEdges { column, nearest }
        } else {
            NotCountable::Undecided { column, source }
        }
    }

    /// The first and the last edge of whole numbers that are not negative: quotients of negative numbers are rounded up.
    fn whole_ends(&self, of: &Quantity) -> Option<(i64, i64)> {
        let Levels::Edges(edges) = self.known.levels(of) else {
            return None;
        };
        let Axis::Int(numbers) = edges.axis() else {
            return None;
        };
        let first = numbers.first().copied().filter(|first| *first > 0)?;
        Some((first, *numbers.last()?))
    }

    /// Spans over all values, of which the outermost have more than their labels say: about these an answer has a remark unless a condition
    /// leaves that out.
    pub(super) fn open_group(&mut self, of: Quantity, open: OpenSpans, rows: &Condition) -> Result<Group> {
        let OpenSpans { spans, ends } = open;
        let outermost = spans.first().zip(spans.last());
        let (first, last) = outermost.ok_or_else(|| refused(Form::Group))?;
        let (first, last) = ((first.0.clone(), ends.0), (last.0.clone(), ends.1));
        let levels = self.known.levels(&of);
        let has_rows = |comparison: &Comparison| {
            let test = levels
                .decide(comparison)
                .map_err(|source| self.undecided_group(&of, source))?;
            Ok::<_, NotCountable>(!excludes(rows, &of, test.passing()))
        };
        let has_before = has_rows(&Comparison::Less(first.1.clone()))?;
        let has_after = has_rows(&Comparison::AtLeast(last.1.clone()))?;
        let column = described(&of);
        let group = self.spans_group(of, spans, true)?;
        if has_before || has_after {
            self.beyond.insert(Beyond::Outermost {
                column,
                first: has_before.then_some(first),
                last: has_after.then_some(last),
            });
        }
        let Group::Buckets { of, buckets, .. } = &group else {
            return Ok(group);
        };
        limited(of, buckets, rows)
    }

    /// Spans that are not open. Rows beyond them are in the group of missing values, about which an answer has a remark unless a condition
    /// leaves them out.
    pub(super) fn closed_group(&mut self, of: Quantity, spans: Vec<Span>, rows: &Condition) -> Result<Group> {
        let ends = spans.first().zip(spans.last());
        let (from, to) = ends
            .map(|((_, from, _), (.., to))| (from.clone(), to.clone()))
            .ok_or_else(|| refused(Form::Group))?;
        let column = described(&of);
        let group = self.spans_group(of, spans, false)?;
        let Group::Buckets { of, buckets, .. } = &group else {
            return Err(refused(Form::Group));
        };
        let mut beyond = self.known.levels(of).all();
        for bucket in buckets {
            let left = beyond.difference(&bucket.atoms);
            beyond = left.map_err(|_| refused(Form::Group))?;
        }
        if !beyond.is_empty() && !excludes(rows, of, &beyond) {
            self.beyond.insert(Beyond::Missing { column, from, to });
        }
        limited(of, buckets, rows)
    }

    /// Spans with labels, and NULL for all else.
    pub(super) fn spans_group(&self, of: Quantity, spans: Vec<Span>, is_open: bool) -> Result<Group> {
        let levels = self.known.levels(&of);
        let decided = |comparison: &Comparison| {
            let test = levels
                .decide(comparison)
                .map_err(|source| self.undecided_group(&of, source))?;
            Ok(test.passing().clone())
        };
        let mut sets = Vec::new();
        let last = spans.len().checked_sub(1).ok_or_else(|| refused(Form::Group))?;
        for (at, (label, from, to)) in spans.into_iter().enumerate() {
            let mut within = levels.all();
            if !(is_open && at == 0) {
                let after = decided(&Comparison::AtLeast(from))?;
                within = within.intersection(&after).map_err(|_| refused(Form::Group))?;
            }
            if !(is_open && at == last) {
                let before = decided(&Comparison::Less(to))?;
                within = within.intersection(&before).map_err(|_| refused(Form::Group))?;
            }
            sets.push((Some(label), within));
        }
        buckets(of, sets, None)
    }
}

/// The least and the greatest whole number whose quotient by the width, rounded toward zero, is this band: the one of zero has numbers of both
/// signs. `None` beyond 64 bits.
fn truncated(band: i64, width: i64) -> Option<(i64, i64)> {
    let inner = band.checked_mul(width)?;
    let more = width.checked_sub(1)?;
    let least = if band <= 0 { inner.checked_sub(more)? } else { inner };
    let most = if band >= 0 { inner.checked_add(more)? } else { inner };
    Some((least, most))
}

/// Whether rows for which a condition is true have none of these atoms.
fn excludes(rows: &Condition, of: &Quantity, atoms: &AtomSet) -> bool {
    rows.conjuncts().iter().any(|condition| match condition {
        Condition::Test(about, test) if about == of => {
            let both = test.passing().intersection(atoms);
            both.is_ok_and(|both| both.is_empty())
        }
        Condition::Never => true,
        Condition::All
        | Condition::Test(..)
        | Condition::Events { .. }
        | Condition::Listed { .. }
        | Condition::Reference { .. }
        | Condition::OtherRow { .. }
        | Condition::And(_)
        | Condition::Or(_) => false,
    })
}

/// The buckets without atoms that no row has: of fewer years, months have few enough ranges to be written.
fn limited(of: &Quantity, all: &[Bucket], rows: &Condition) -> Result<Group> {
    let mut sets = Vec::new();
    for bucket in all {
        let mut atoms = bucket.atoms.clone();
        for condition in rows.conjuncts() {
            if let Condition::Test(about, test) = condition
                && about == of
            {
                let left = atoms.intersection(test.passing());
                atoms = left.map_err(|_| refused(Form::Group))?;
            }
        }
        sets.push((bucket.label.clone(), atoms));
    }
    let group = buckets(of.clone(), sets, None)?;
    if let Group::Buckets { buckets, .. } = &group {
        at_most(buckets.len(), MAX_BUCKETS, "groups")?;
    }
    Ok(group)
}

/// Spans of this many months between two days, those for which `is_kept` is true of their first day and the first one after them.
fn months_between(
    (first, last): (i32, i32),
    months: i64,
    label: &dyn Fn(i32, i64, i64) -> Option<Value>,
    is_kept: impl Fn(i32, i32) -> bool,
) -> Result<Vec<Span>> {
    let years = year_of(first.saturating_sub(1)).zip(year_of(last));
    let (from_year, to_year) = years.ok_or_else(|| refused(Form::Group))?;
    let mut spans = Vec::new();
    for year in from_year..=to_year {
        for at in 0..12 / months {
            let from = first_of_month(year, at.saturating_mul(months));
            let to = first_of_month(year, at.saturating_add(1).saturating_mul(months));
            let (from, to) = from.zip(to).ok_or_else(|| refused(Form::Group))?;
            if is_kept(from, to) {
                let shown = label(from, year, at).ok_or_else(|| refused(Form::Group))?;
                spans.push((shown, Value::Date(from), Value::Date(to)));
            }
            at_most(spans.len(), MAX_SPANS, "parts of dates")?;
        }
    }
    Ok(spans)
}

/// Buckets of the atoms of each set that no earlier set has, joined by label. The one with missing values is what is left, so that one
/// division of the values has one form.
pub(super) fn buckets(of: Quantity, sets: Vec<(Option<Value>, AtomSet)>, rest: Option<Value>) -> Result<Group> {
    let different = |_| refused(Form::Group);
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut taken: Option<AtomSet> = None;
    let left = sets.iter().try_fold(None::<AtomSet>, |all, (_, atoms)| match all {
        Some(all) => all.union(atoms).map(Some),
        None => Ok(Some(atoms.clone())),
    });
    let left = left.map_err(different)?.map(|all| (rest.clone(), all.complement()));
    for (label, atoms) in sets.into_iter().chain(left) {
        let new = match &taken {
            Some(taken) => atoms.difference(taken).map_err(different)?,
            None => atoms.clone(),
        };
        taken = Some(match &taken {
            Some(taken) => taken.union(&atoms).map_err(different)?,
            None => atoms,
        });
        match buckets.iter_mut().find(|bucket| bucket.label == label) {
            Some(bucket) => bucket.atoms = bucket.atoms.union(&new).map_err(different)?,
            None => buckets.push(Bucket { label, atoms: new }),
        }
    }
    let missing = buckets.iter().find(|bucket| bucket.atoms.has_null());
    let rest = missing.map_or(rest, |bucket| bucket.label.clone());
    buckets.retain(|bucket| bucket.label != rest && !bucket.atoms.is_empty());
    if buckets.is_empty() {
        // Nothing is distinguished, whatever the quantity.
        return Ok(Group::Cases {
            cases: Vec::new(),
            rest,
        });
    }
    buckets.sort_by_cached_key(cbor);
    Ok(Group::Buckets { of, buckets, rest })
}

/// The operand, the width and the factor of a band of whole numbers.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other expression is not a band")]
fn banded(expression: &Expr) -> Result<Option<(&Expr, i64, i64)>> {
    let positive = |expression: &Expr| -> Result<Option<i64>> {
        Ok(match constant(expression)? {
            Some(Value::Int(number)) if number > 0 => Some(number),
            _ => None,
        })
    };
    Ok(match unaliased(expression) {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Multiply,
            right,
        }) => match (banded(left)?, positive(right)?) {
            (Some((operand, width, 1)), Some(factor)) => Some((operand, width, factor)),
            _ => None,
        },
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Divide,
            right,
        }) => positive(right)?.map(|width| (&**left, width, 1)),
        Expr::ScalarFunction(function) if function.func.name() == "floor" => match function.args.as_slice() {
            [inner] => banded(inner)?,
            _ => None,
        },
        _ => None,
    })
}

/// How many months a part of a date has.
pub(super) fn months_of(part: &str) -> Option<i64> {
    match part {
        "year" => Some(12),
        "quarter" => Some(3),
        "month" => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn band_has_the_numbers_with_its_quotient() {
        for width in [1, 5, 10] {
            for number in -60_i64..60 {
                let holds = |band: i64| {
                    let (least, most) = truncated(band, width).unwrap();
                    (least..=most).contains(&number)
                };
                let found: Vec<i64> = (-70..70).filter(|band| holds(*band)).collect();
                assert_eq!(found, [number / width], "{number} / {width}");
            }
        }
    }
}
