//! Checks row conditions against how their columns are shown.
//!
//! A condition that cuts through a band would reveal more than the band: `age = 47` selects what `age (bands of 10 years)` does not
//! show. So conditions on a generalized column must begin and end where its bands do.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use concordat_protocol::decision::RuleReason;
use concordat_protocol::scope::{Constraint, Generalization, Transform, Value, Values};

use crate::facts::{self, ColumnFacts};

/// From this age on there is a single band (45 CFR 164.514(b)(2)(i)(C)).
const OPEN_BAND: i64 = 90;

/// The reason for a column that does not exist and for one that is not shown.
pub(crate) fn unavailable(column: &str) -> RuleReason {
    RuleReason::new(
        "column-unavailable",
        format!("`{column}`: this column does not exist here, or it is not shown at this tier for this purpose"),
        "leave it out, or see what `concordat catalog` lists",
    )
}

/// Checks one condition on a column that is shown as `transform` at most, and that texts name `label`.
/// In years up to `oldest_year`, dates are one category.
pub(crate) fn check(
    (label, column): (&str, &ColumnFacts),
    transform: Transform,
    constraint: &Constraint,
    oldest_year: i32,
) -> Result<(), RuleReason> {
    match transform {
        Transform::Removed => Err(unavailable(label)),
        Transform::Pseudonym => Err(unavailable(label)),
        // A scope does not contain the levels, so a condition on a column that is shown in levels cannot be checked.
        Transform::Generalized(Generalization::Levels) => Err(unavailable(label)),
        Transform::Clear => kind((label, column), constraint),
        Transform::Generalized(generalization) => {
            kind((label, column), constraint)?;
            if aligned(generalization, constraint.values(), oldest_year) {
                Ok(())
            } else {
                Err(misaligned(label, generalization, oldest_year))
            }
        }
    }
}

fn kind((label, column): (&str, &ColumnFacts), constraint: &Constraint) -> Result<(), RuleReason> {
    match constraint.kind() {
        Some(kind) if !facts::comparable(column.kind).contains(&kind) => Err(RuleReason::new(
            "condition-kind",
            format!(
                "`{label}` is of kind {} and is compared with a value of another kind",
                facts::kind_name(column.kind)
            ),
            "compare it with a value of its own kind",
        )),
        Some(_) | None => Ok(()),
    }
}

fn misaligned(name: &str, generalization: Generalization, oldest_year: i32) -> RuleReason {
    let (text, remedy) = match generalization {
        Generalization::Year => (
            format!(
                "`{name}` is shown as a year, {oldest_year} and before as one; a condition must begin on 1 January of a later \
                 year and end on 31 December"
            ),
            format!("write `{name} >= DATE '1970-01-01'`, for example"),
        ),
        Generalization::AgeBand(width) => {
            let years = width.years();
            let text =
                format!("`{name}` is shown in bands of {years} years; a condition must begin and end with a band");
            (
                text,
                format!("write `{name} >= 40` or `{name} < 60`: multiples of {years}, up to {OPEN_BAND}"),
            )
        }
        Generalization::Levels => return unavailable(name),
    };
    RuleReason::new("condition-inside-band", text, remedy)
}

fn aligned(generalization: Generalization, values: &Values, oldest_year: i32) -> bool {
    let band = |value: &Value| band(generalization, value, oldest_year);
    match values {
        Values::Any => true,
        Values::Set(set) => set.iter().all(|value| contains_band(band(value).as_ref(), set)),
        Values::Range { low, high } => {
            let begins = |value: &Value| band(value).is_some_and(|(first, _)| first.as_ref() == Some(value));
            let ends = |value: &Value| band(value).is_some_and(|(_, last)| last.as_ref() == Some(value));
            low.as_ref().is_none_or(|bound| bound.inclusive && begins(&bound.value))
                && high.as_ref().is_none_or(|bound| bound.inclusive && ends(&bound.value))
        }
    }
}

/// The first and last value of a band; `None` where it is open.
type Band = (Option<Value>, Option<Value>);

/// Whether the whole band is in the set.
fn contains_band(band: Option<&Band>, set: &BTreeSet<Value>) -> bool {
    match band {
        Some((Some(Value::Int(first)), Some(Value::Int(last)))) => {
            (*first..=*last).all(|n| set.contains(&Value::Int(n)))
        }
        Some((Some(Value::Date(first)), Some(Value::Date(last)))) => {
            (*first..=*last).all(|n| set.contains(&Value::Date(n)))
        }
        Some(_) | None => false,
    }
}

/// The band that contains `value`.
fn band(generalization: Generalization, value: &Value, oldest_year: i32) -> Option<Band> {
    match (generalization, value) {
        (Generalization::AgeBand(_), Value::Int(n)) if *n >= OPEN_BAND => Some((Some(Value::Int(OPEN_BAND)), None)),
        (Generalization::AgeBand(width), Value::Int(n)) => {
            let first = n.checked_sub(n.rem_euclid(width.years()))?;
            let last = first.checked_add(width.years() - 1)?;
            Some((Some(Value::Int(first)), Some(Value::Int(last))))
        }
        (Generalization::Year, Value::Date(days)) => {
            let year = NaiveDate::from_epoch_days(*days)?.year().max(oldest_year);
            let first = NaiveDate::from_ymd_opt(year, 1, 1)?.to_epoch_days();
            let last = NaiveDate::from_ymd_opt(year, 12, 31)?.to_epoch_days();
            let first = (year > oldest_year).then_some(Value::Date(first));
            Some((first, Some(Value::Date(last))))
        }
        (Generalization::AgeBand(_) | Generalization::Year | Generalization::Levels, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::ids::ColumnName;
    use concordat_protocol::scope::{BandWidth, Bound};

    use super::*;

    const OLDEST: i32 = 1936;
    const TEN: Generalization = Generalization::AgeBand(BandWidth::Ten);

    fn range(low: Option<Value>, high: Option<Value>) -> Values {
        let bound = |value| Bound { value, inclusive: true };
        let constraint = Constraint::new(
            Values::Range {
                low: low.map(bound),
                high: high.map(bound),
            },
            false,
        )
        .unwrap();
        constraint.values().clone()
    }

    fn ages(low: Option<i64>, high: Option<i64>) -> bool {
        aligned(TEN, &range(low.map(Value::Int), high.map(Value::Int)), OLDEST)
    }

    fn day(text: &str) -> Value {
        Value::Date(text.parse::<NaiveDate>().unwrap().to_epoch_days())
    }

    #[test]
    fn row_condition_on_ages_must_follow_the_bands() {
        assert!(ages(Some(40), None) && ages(None, Some(59)) && ages(Some(40), Some(49)) && ages(Some(90), None));
        for (low, high) in [
            (41, None),
            (95, None),
            (100, None),
            (40, Some(50)),
            (40, Some(99)),
            (47, Some(47)),
        ] {
            assert!(!ages(Some(low), high), "{low} {high:?}");
        }
        assert!(!ages(Some(i64::MIN), None) && !ages(None, Some(i64::MAX)));
        assert!(aligned(TEN, &Values::Any, OLDEST));
    }

    #[test]
    fn row_condition_set_of_ages_must_be_whole_bands() {
        let set =
            |ages: &mut dyn Iterator<Item = i64>| aligned(TEN, &Values::Set(ages.map(Value::Int).collect()), OLDEST);
        assert!(set(&mut (40..50)) && set(&mut (30..40).chain(60..70)));
        assert!(!set(&mut (40..49)) && !set(&mut [47].into_iter()) && !set(&mut (90..100)));
    }

    #[test]
    fn row_condition_on_dates_must_follow_the_years() {
        let year = |low: Option<&str>, high: &str| {
            let values = range(low.map(day), Some(day(high)));
            aligned(Generalization::Year, &values, OLDEST)
        };
        let fits = |low: &str, high: &str| year(Some(low), high);
        assert!(fits("1970-01-01", "1999-12-31"));
        // A condition that cuts through the oldest category would reveal who is even older.
        assert!(year(None, "1936-12-31") && fits("1937-01-01", "1999-12-31"));
        assert!(!year(None, "1930-12-31") && !fits("1930-01-01", "1999-12-31") && !fits("1936-01-01", "1999-12-31"));
        assert!(!fits("1970-01-02", "1999-12-31") && !fits("1970-01-01", "1999-12-30"));
        assert!(!aligned(
            Generalization::Year,
            &range(Some(Value::Int(1970)), None),
            OLDEST
        ));
    }

    #[test]
    fn row_condition_on_hidden_and_missing_column_look_the_same() {
        let name = ColumnName::new("mrn").unwrap();
        let column = ColumnFacts::new(name, None, concordat_protocol::schema::ColumnKind::Int);
        let constraint = Constraint::new(Values::Set(BTreeSet::from([Value::Int(1)])), false).unwrap();
        let levels = Transform::Generalized(Generalization::Levels);
        for transform in [Transform::Removed, Transform::Pseudonym, levels] {
            let checked = check(("mrn", &column), transform, &constraint, OLDEST);
            assert_eq!(checked, Err(unavailable("mrn")));
        }
        assert!(check(("mrn", &column), Transform::Clear, &constraint, OLDEST).is_ok());
        let text = Constraint::new(Values::Set(BTreeSet::from([Value::Text("1".to_owned())])), false).unwrap();
        assert_eq!(
            check(("mrn", &column), Transform::Clear, &text, OLDEST)
                .unwrap_err()
                .rule,
            "condition-kind"
        );
    }
}
