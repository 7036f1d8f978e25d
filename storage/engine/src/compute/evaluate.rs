//! Conditions and quantities of one row, in the three-valued logic of SQL. Nothing here fails: what has no value is missing.

use concordat_protocol::collection::{Datum, Range};

use super::{
    classify::Truth,
    fixed::Quantum,
    plan::{Check, DayOf, DaySpans, GroupedBy, Grouping, Measure, Operand, Path, Pattern},
    report::Monomial,
    selections::center,
    tables::Tables,
    values::{Row, day_of, year_of},
};

/// Milliseconds of a second.
const SECOND_MS: f64 = 1_000.0;

/// Whether something is true of a value; unknown of a missing one.
fn truth_of_known<'a>(value: Datum<'a>, is_true: impl FnOnce(Datum<'a>) -> bool) -> Truth {
    if value == Datum::Null {
        Truth::Unknown
    } else {
        Truth::of(is_true(value))
    }
}

/// A row, the row around it if it is an event, and what both look up.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) row: Row<'a>,
    pub(super) outer: Option<Row<'a>>,
    pub(super) tables: &'a Tables,
}

impl<'a> At<'a> {
    fn datum(self, path: &Path) -> Datum<'a> {
        self.reached(path).map_or(Datum::Null, |row| row.datum(path.column))
    }

    fn reached(self, path: &Path) -> Option<Row<'a>> {
        let mut row = if path.is_outer { self.outer? } else { self.row };
        for hop in &path.steps {
            let key = hop.by.map_or(Datum::Null, |column| row.datum(column));
            row = self.tables.lookups.get(hop.lookup)?.find(key, row.owner())?;
        }
        Some(row)
    }

    /// A day of the row.
    pub(super) fn day(self, day: &DayOf) -> Option<i64> {
        day_of(match day {
            DayOf::Column(path) => self.datum(path),
            DayOf::Subject(value) => self.tables.value(*value, self.row.owner()),
        })
    }

    fn value(self, of: &Operand) -> Datum<'a> {
        match of {
            Operand::Column(path) => self.datum(path),
            Operand::InText(path) => self.datum(path).number_in_text(),
            Operand::Seconds { from, to } => {
                let times = time_of(self.datum(to)).zip(time_of(self.datum(from)));
                times.map_or(Datum::Null, |(to, from)| {
                    Datum::Float(to.saturating_sub(from) as f64 / SECOND_MS)
                })
            }
            Operand::Days { from, to } => {
                let days = self.day(to).zip(self.day(from));
                days.map_or(Datum::Null, |(to, from)| Datum::Int(to.saturating_sub(from)))
            }
            Operand::Age { born, at } => {
                let years = self.day(at).map(year_of).zip(year_of_birth(self.datum(born)));
                years.map_or(Datum::Null, |(year, born)| Datum::Int(year.saturating_sub(born)))
            }
            Operand::Linear { terms, plus } => {
                let sum = terms.iter().try_fold(*plus, |sum, (factor, path, range)| {
                    Some(sum + factor * range.clip(float_of(self.datum(path))?)?)
                });
                sum.map_or(Datum::Null, Datum::Float)
            }
            Operand::Subject(value) => self.tables.value(*value, self.row.owner()),
        }
    }
}

/// A point in time, in milliseconds.
fn time_of(value: Datum<'_>) -> Option<i64> {
    match value {
        Datum::Millis(time) => Some(time),
        Datum::Null | Datum::Truth(_) | Datum::Int(_) | Datum::Float(_) | Datum::Date(_) | Datum::Text(_) => None,
    }
}

/// The year in a column of years or of dates.
fn year_of_birth(born: Datum<'_>) -> Option<i64> {
    if let Datum::Int(year) = born {
        return Some(year);
    }
    if let Datum::Float(year) = born {
        return whole(year);
    }
    day_of(born).map(year_of)
}

#[expect(clippy::cast_possible_truncation, reason = "the number is whole and below 2^53")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

fn float_of(value: Datum<'_>) -> Option<f64> {
    match value {
        Datum::Int(number) => Some(number as f64),
        Datum::Float(number) => Some(number).filter(|number| number.is_finite()),
        Datum::Null | Datum::Truth(_) | Datum::Date(_) | Datum::Millis(_) | Datum::Text(_) => None,
    }
}

impl Check {
    /// What the condition is for a row.
    pub(super) fn truth(&mut self, at: At<'_>) -> Truth {
        match self {
            Self::All => Truth::True,
            Self::Never => Truth::False,
            Self::Test { of, test } => test.class(at.value(of)),
            Self::Events { events, exist } => {
                let known = at.tables.events.get(*events).zip(at.row.owner());
                let has_one = known.is_some_and(|(events, owner)| events.subjects.has(owner));
                Truth::of(has_one == *exist)
            }
            Self::Related { events, related, exist } => {
                let known = at.tables.events.get(*events).zip(at.row.owner());
                let is_related = |event: Row<'_>| {
                    let around = At {
                        row: event,
                        outer: Some(at.row),
                        tables: at.tables,
                    };
                    related.truth(around) == Truth::True
                };
                let has_one = known.is_some_and(|(events, owner)| events.of(owner).any(is_related));
                Truth::of(has_one == *exist)
            }
            Self::Within { events, days, exist } => {
                let around = At {
                    outer: Some(at.row),
                    ..at
                };
                let known = at.tables.events.get(*events).zip(at.row.owner());
                let found = known.zip(around.day(&days.of_row));
                let has_one = found.is_some_and(|((events, owner), day)| {
                    let mut spans = days.spans.iter();
                    spans.any(|span| events.has_day(owner, days.around(day, *span)))
                });
                Truth::of(has_one == *exist)
            }
            Self::Listed { of, list, is_in } => truth_of_known(at.datum(of), |value| {
                let is_listed = at.tables.lists.get(*list).is_some_and(|keys| keys.has(value));
                is_listed == *is_in
            }),
            Self::Reference { of, test, negated } => {
                truth_of_known(at.datum(of), |value| test.admits(value) != *negated)
            }
            Self::OtherRow { of, around, is_other } => {
                let around = at.datum(around);
                if around == Datum::Null {
                    Truth::Unknown
                } else {
                    truth_of_known(at.datum(of), |own| (own != around) == *is_other)
                }
            }
            Self::And(parts) => {
                let mut all = Truth::True;
                for part in parts {
                    all = all.min(part.truth(at));
                    if all == Truth::False {
                        break;
                    }
                }
                all
            }
            Self::Or(parts) => {
                let mut one = Truth::False;
                for part in parts {
                    one = one.max(part.truth(at));
                    if one == Truth::True {
                        break;
                    }
                }
                one
            }
        }
    }

    pub(super) fn is_true(&mut self, at: At<'_>) -> bool {
        self.truth(at) == Truth::True
    }
}

impl DaySpans {
    /// The days of events that lie within a span from a day of the row.
    const fn around(&self, day: i64, (low, high): (i64, i64)) -> (i64, i64) {
        if self.is_forward {
            (day.saturating_add(low), day.saturating_add(high))
        } else {
            (day.saturating_sub(high), day.saturating_sub(low))
        }
    }
}

impl Pattern {
    fn admits(&self, value: Datum<'_>) -> bool {
        match self {
            Self::OneOf { codes, count } => codes.position(value) < *count,
            Self::Like(like) => matches!(value, Datum::Text(text) if like.matches(text)),
        }
    }
}

impl Grouping {
    /// The class of a row.
    fn class(&mut self, at: At<'_>) -> usize {
        let rest = self.size.saturating_sub(1);
        let class = match &mut self.by {
            GroupedBy::Classes { of, classes } => classes.class(at.value(of)),
            GroupedBy::Codes { of, codes } => codes.position(at.datum(of)),
            GroupedBy::Cases(cases) => cases.iter_mut().position(|case| case.is_true(at)).unwrap_or(rest),
        };
        class.min(rest)
    }
}

/// The cell of a row.
pub(super) fn cell_of(groups: &mut [Grouping], at: At<'_>) -> usize {
    groups.iter_mut().fold(0, |cell: usize, group| {
        cell.saturating_mul(group.size).saturating_add(group.class(at))
    })
}

/// A value within its range, exact if it is whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clipped {
    number: f64,
    whole: Option<i64>,
    center: f64,
}

impl Clipped {
    /// `None` for what is not a finite number.
    fn of(value: Datum<'_>, range: Range) -> Option<Self> {
        let whole = if let Datum::Int(number) = value {
            Some(number)
        } else {
            None
        };
        let number = float_of(value)?;
        let clipped = range.clip(number)?;
        Some(Self {
            number: clipped,
            whole: whole.filter(|_| range.low() <= number && number <= range.high()),
            center: center(range),
        })
    }

    /// The number.
    pub(super) const fn number(self) -> f64 {
        self.number
    }

    fn centered(self) -> f64 {
        self.number - self.center
    }
}

impl Measure {
    /// The value of a row, `None` if it is missing.
    pub(super) fn clipped(&self, at: At<'_>) -> Option<Clipped> {
        Clipped::of(at.value(&self.of), self.range)
    }
}

/// What a row adds to a sum, in quanta.
pub(super) fn added(of: Monomial, quantum: Quantum, values: &[Clipped]) -> i128 {
    let centered = |at: usize| values.get(at).map_or(0.0, |value| value.centered());
    let number = match of {
        Monomial::One => return quantum.whole(1),
        Monomial::X => match values.first() {
            Some(Clipped { whole: Some(whole), .. }) => return quantum.whole(*whole),
            Some(value) => value.number,
            None => 0.0,
        },
        Monomial::CenteredX => centered(0),
        Monomial::CenteredY => centered(1),
        Monomial::CenteredXX => centered(0) * centered(0),
        Monomial::CenteredYY => centered(1) * centered(1),
        Monomial::CenteredXY => centered(0) * centered(1),
    };
    quantum.units(number.clamp(f64::MIN, f64::MAX))
}
