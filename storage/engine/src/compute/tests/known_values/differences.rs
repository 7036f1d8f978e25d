//! Days and seconds between points in time, and numbers in texts.

use super::*;

#[test]
fn days_between_far_dates_are_numbers() {
    let mut world = nothing(3);
    for (owner, day, born) in [(0, i32::MIN, i32::MAX), (1, i32::MAX, i32::MIN), (2, DAY, DAY - 30)] {
        world.rows[EVENT].push(event(owner, &[("day", Item::Date(day))]));
        world.rows[PERSON].push(record(PERSON, Some(owner), &[("birth", Item::Date(born))]));
    }
    let scope = everything();
    let known = known(&world, &scope);
    let birth = path("event", Row::This, &[Step::Subject(dataset("person"))], "birth");
    let days = Quantity::Days {
        from: Day::Column(birth.clone()),
        to: Day::Column(path("event", Row::This, &[], "day")),
    };
    let age = Quantity::Age {
        born: birth,
        at: Day::Column(path("event", Row::This, &[], "day")),
    };
    let within = is(
        &known,
        days.clone(),
        &Comparison::Between(Value::Int(0), Value::Int(30)),
    );
    let late = is(&known, days, &Comparison::Greater(Value::Int(730)));
    let old = is(&known, age, &Comparison::AtLeast(Value::Int(90)));
    for (condition, expected) in [(within, 2), (late, 1), (old, 1)] {
        let report = answer(
            &world,
            &scope,
            &statistic(&known, "event", condition, Vec::new(), vec![ALL_ROWS]),
        );
        assert_eq!(units(&only(&report).subjects), BTreeSet::from([expected]));
    }
}

/// Seconds are clipped to the longest declared number of days, and are missing if one of the two points in time is.
#[test]
fn seconds_between_points_in_time_are_measured() {
    let mut world = nothing(4);
    let time = |millis: i64| Item::Millis(i64::from(DAY) * 86_400_000 + millis);
    for (owner, from, to) in [
        (0, time(0), time(90_500)),
        (1, time(500), time(0)),
        (2, time(0), time(10_000 * 86_400_000)),
        (3, time(0), Item::Null),
    ] {
        world.rows[EVENT].push(event(owner, &[("time", from), ("until", to)]));
    }
    let scope = everything();
    let known = known(&world, &scope);
    let seconds = Quantity::Seconds {
        from: path("event", Row::This, &[], "time"),
        to: path("event", Row::This, &[], "until"),
    };
    let longest = known.range(&seconds).unwrap().high();
    let cells = vec![moments(seconds, Output::Sum)];
    let report = answer(
        &world,
        &scope,
        &statistic(&known, "event", Condition::All, Vec::new(), cells),
    );
    assert_eq!(units(&only(&report).subjects), BTreeSet::from([0, 1, 2]));
    assert_eq!(sum(&report, Monomial::X), 90.5 - 0.5 + longest);
}

/// What is not a number is missing, and no text makes a query fail.
#[test]
fn numbers_in_texts_are_compared_and_measured() {
    let mut world = nothing(6);
    for (owner, note) in (0..).zip(["12", "40.5", "never", "NaN", "12 mg", "1e9"]) {
        world.rows[EVENT].push(event(owner, &[("note", Item::Text(note.to_owned()))]));
    }
    let scope = everything();
    let known = known(&world, &scope);
    let number = Quantity::InText(path("event", Row::This, &[], "note"));
    let high = is(&known, number.clone(), &Comparison::AtLeast(Value::Int(40)));
    let missing = is(&known, number.clone(), &Comparison::IsNull);
    let text = is(&known, own("event", "note"), &Comparison::IsNotNull);
    for (condition, expected) in [
        (high, BTreeSet::from([1, 5])),
        (missing, BTreeSet::from([2, 3, 4])),
        (text, BTreeSet::from([0, 1, 2, 3, 4, 5])),
    ] {
        let rows = statistic(&known, "event", condition, Vec::new(), vec![ALL_ROWS]);
        assert_eq!(units(&only(&answer(&world, &scope, &rows)).subjects), expected);
    }
    let cells = vec![moments(number, Output::Sum)];
    let report = answer(
        &world,
        &scope,
        &statistic(&known, "event", Condition::All, Vec::new(), cells),
    );
    // The largest one is clipped to the range.
    assert_eq!(sum(&report, Monomial::X), 12.0 + 40.5 + 100.0);
    assert_eq!(known.range(&own("event", "note")), None);
}

/// Another process may send any statistic: what the declarations do not have is computed of no row.
#[test]
fn numbers_and_seconds_that_are_not_declared_are_refused() {
    let mut world = nothing(1);
    world.rows[EVENT].push(event(0, &[("day", Item::Date(DAY))]));
    let scope = everything();
    let known = known(&world, &scope);
    let name = path("event", Row::This, &[Step::Subject(dataset("person"))], "sex");
    let day = path("event", Row::This, &[], "day");
    let time = path("event", Row::This, &[], "time");
    for of in [Quantity::InText(name), Quantity::Seconds { from: day, to: time }] {
        let present = is(&known, of, &Comparison::IsNotNull);
        let rows = statistic(&known, "event", present, Vec::new(), vec![ALL_ROWS]);
        let refused = reported(&world, &world.stored(4), &scope, &rows);
        assert!(matches!(refused, Err(QueryError::Invalid { .. })));
    }
}
