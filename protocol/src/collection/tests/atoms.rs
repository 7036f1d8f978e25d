//! Conditions, compared with their meaning for each value of a sample.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

proptest! {
    /// A condition is decided exactly if no atom has values that differ in it, and then for each value as SQL decides.
    #[test]
    fn edges_decide_as_sql_does(at in at(0..12), comparison in comparisons(-2..14)) {
        let levels = edges(ints(at), ColumnKind::Int);
        let sample: Vec<Datum<'_>> = (-5..20).chain([i64::MIN, i64::MAX]).map(Datum::Int).collect();
        prop_assert_eq!(decided(&levels, &comparison, &sample), expected(&levels, &comparison, &sample));
    }

    #[test]
    fn edges_of_numbers_decide_as_sql_does(at in at(0..12), comparison in comparisons(-2..14)) {
        let levels = edges(at.into_iter().map(|n| float(n as f64 / 2.0)).collect(), ColumnKind::Float);
        let numbers = (-10..60).map(|n| f64::from(n) / 4.0);
        let extremes = [-0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 5e-324, -5e-324];
        let near = numbers.clone().flat_map(|n| [n.next_up(), n.next_down()]);
        let sample: Vec<Datum<'_>> = numbers.chain(extremes).chain(near).map(Datum::Float).collect();
        prop_assert_eq!(decided(&levels, &comparison, &sample), expected(&levels, &comparison, &sample));
    }

    #[test]
    fn listed_values_decide_as_sql_does(
        labels in proptest::collection::btree_map(0_i64..8, 0_usize..4, 1..6),
        comparison in comparisons(-1..9),
    ) {
        let names = ["a", "b", "c", "d"];
        let values: Vec<_> = labels.iter().map(|(value, label)| (Value::Int(*value), names[*label])).collect();
        let levels = Levels::check(RawLevels::Values(listed(&values)), Contents::Of(ColumnKind::Int)).unwrap();
        let sample: Vec<Datum<'_>> = (-3..12).map(Datum::Int).collect();
        let decided = decided(&levels, &comparison, &sample);
        // Ranges are refused for lists even if they would be decided.
        if is_equality(&comparison) || decided.is_some() {
            prop_assert_eq!(decided, expected(&levels, &comparison, &sample));
        }
    }

    #[test]
    fn truth_decides_as_sql_does(one in any::<bool>(), other in any::<bool>(), at in 0_usize..9) {
        let comparison = comparison(at, Value::Bool(one), Value::Bool(other), vec![Value::Bool(one)]);
        let sample = [Datum::Truth(false), Datum::Truth(true)];
        prop_assert_eq!(decided(&Levels::Truth, &comparison, &sample), expected(&Levels::Truth, &comparison, &sample));
    }

    /// Compared with a model: the set of sample values that each expression admits, in the logic of three values.
    #[test]
    fn expressions_follow_the_logic_of_three_values(expression in expressions()) {
        let levels = edges(ints([0, 2, 4, 6]), ColumnKind::Int);
        let test = evaluated(&levels, &expression);
        for value in (-2..9).map(Some).chain([None]) {
            let atom = levels.atom_of(value.map_or(Datum::Null, Datum::Int));
            let found = match (test.passing().contains(&atom), test.failing().contains(&atom)) {
                (true, false) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
                (true, true) => panic!("both"),
            };
            prop_assert_eq!(found, model(&expression, value), "{:?}", value);
        }
    }

    #[test]
    fn atom_sets_are_an_algebra(a in sets(), b in sets(), c in sets()) {
        let union = |a: &AtomSet, b: &AtomSet| a.union(b).unwrap();
        let both = |a: &AtomSet, b: &AtomSet| a.intersection(b).unwrap();
        prop_assert_eq!(union(&a, &b), union(&b, &a));
        prop_assert_eq!(both(&a, &union(&b, &c)), union(&both(&a, &b), &both(&a, &c)));
        prop_assert_eq!(union(&a, &b).complement(), both(&a.complement(), &b.complement()));
        prop_assert_eq!(a.complement().complement(), a.clone());
        prop_assert!(both(&a, &a.complement()).is_empty());
        prop_assert_eq!(a.difference(&b).unwrap(), both(&a, &b.complement()));
        for atom in (0..5).map(AtomId::Listed).chain([AtomId::Null]) {
            prop_assert_eq!(a.complement().contains(&atom), !a.contains(&atom));
            prop_assert_eq!(union(&a, &b).contains(&atom), a.contains(&atom) || b.contains(&atom));
        }
    }
}

#[test]
fn negation_of_a_condition_excludes_missing_values() {
    let levels = edges(ints([10]), ColumnKind::Int);
    let below = levels.decide(&Comparison::Less(Value::Int(10))).unwrap();
    let not_below = below.clone().negation();
    assert!(!below.passing().has_null() && !not_below.passing().has_null());
    assert_eq!(not_below, levels.decide(&Comparison::AtLeast(Value::Int(10))).unwrap());
    assert!(
        below.passing().complement().has_null(),
        "the complement of a set is another thing"
    );
    let null = levels.decide(&Comparison::IsNull).unwrap();
    assert!(null.passing().has_null() && null.clone().negation().passing() == &levels.all());
    // `NOT (x IS NOT NULL AND x < 10)` is true for missing values, although `x < 10` is neither.
    let not_null = levels.decide(&Comparison::IsNotNull).unwrap();
    assert!(not_null.and(&below).unwrap().negation().passing().has_null());
}

/// Rows are kept by what is true: all conditions that are true for the same atoms are one test then.
#[test]
fn condition_where_true_is_that_of_its_atoms() {
    let levels = edges(ints(vec![10, 20]), ColumnKind::Int);
    let decide = |comparison: Comparison| levels.decide(&comparison).unwrap();
    let less = decide(Comparison::Less(Value::Int(10)));
    let more = decide(Comparison::AtLeast(Value::Int(10)));
    let present = decide(Comparison::IsNotNull);
    let missing = decide(Comparison::IsNull);
    let both = less.and(&present).unwrap();
    assert_ne!(both, less);
    for (condition, expected) in [
        (both, less.clone()),
        (less.or(&more).unwrap(), present.clone()),
        (less.clone(), less.clone()),
        (present.clone(), present),
        (missing.clone(), missing.clone()),
        (
            missing.or(&less).unwrap(),
            more.and(&missing.negation()).unwrap().negation(),
        ),
    ] {
        assert_eq!(condition.passing(), expected.passing());
        assert_eq!(condition.where_true(), expected);
    }
}

#[test]
fn every_value_belongs_to_one_atom() {
    let numbers = edges(vec![float(0.0), float(1.5)], ColumnKind::Float);
    for (number, atom) in [
        (f64::NEG_INFINITY, 0),
        (-5e-324, 0),
        (-0.0, 1),
        (0.0, 1),
        (1.5_f64.next_down(), 1),
        (1.5, 2),
        (f64::INFINITY, 2),
        (f64::NAN, 2),
        (-f64::NAN, 2),
        (f64::from_bits(0x7fff_ffff_ffff_ffff), 2),
    ] {
        assert_eq!(numbers.atom_of(Datum::Float(number)), AtomId::Listed(atom), "{number}");
    }
    let days = edges(vec![Value::Date(0)], ColumnKind::Date);
    for (day, atom) in [(i32::MIN, 0), (-1, 0), (0, 1), (i32::MAX, 1)] {
        assert_eq!(days.atom_of(Datum::Date(day)), AtomId::Listed(atom), "{day}");
    }
    let times = edges(vec![Value::Date(1)], ColumnKind::Timestamp);
    for (time, atom) in [(i64::MIN, 0), (86_399_999, 0), (86_400_000, 1), (i64::MAX, 1)] {
        assert_eq!(times.atom_of(Datum::Millis(time)), AtomId::Listed(atom), "{time}");
    }
    let texts = Levels::check(
        RawLevels::Values(listed(&[(text("M"), "male")])),
        Contents::Of(ColumnKind::Text),
    )
    .unwrap();
    for (value, atom) in [("M", 0), ("m", 1), ("", 1)] {
        assert_eq!(texts.atom_of(Datum::Text(value)), AtomId::Listed(atom), "{value}");
    }
    assert_eq!(Levels::Truth.atom_of(Datum::Truth(true)), AtomId::Listed(1));
    let listed_numbers = Levels::check(
        RawLevels::Values(listed(&[(float(0.0), "none")])),
        Contents::Of(ColumnKind::Float),
    )
    .unwrap();
    for (number, atom) in [(-0.0, 0), (f64::NAN, 1), (f64::INFINITY, 1)] {
        assert_eq!(
            listed_numbers.atom_of(Datum::Float(number)),
            AtomId::Listed(atom),
            "{number}"
        );
    }
    for levels in [
        numbers,
        days,
        times,
        texts,
        Levels::Truth,
        Levels::None,
        codes(ColumnKind::Int),
    ] {
        assert_eq!(levels.atom_of(Datum::Null), AtomId::Null);
    }
}

#[test]
fn undecided_condition_names_the_nearest_levels() {
    let levels = edges(ints([120, 140, 160]), ColumnKind::Int);
    let refused = |comparison: &Comparison| levels.decide(comparison).unwrap_err();
    let nearest = |edges: &[i64]| Undecided::OffEdge {
        nearest: ints(edges.iter().copied()),
    };
    assert_eq!(refused(&Comparison::Less(Value::Int(130))), nearest(&[120, 140]));
    assert_eq!(refused(&Comparison::AtMost(Value::Int(120))), nearest(&[120, 140]));
    assert_eq!(refused(&Comparison::Less(Value::Int(7))), nearest(&[120]));
    assert_eq!(refused(&Comparison::AtLeast(Value::Int(161))), nearest(&[160]));
    assert!(matches!(
        refused(&Comparison::Less(text("130"))),
        Undecided::OtherKind { .. }
    ));
    assert_eq!(
        Levels::None.decide(&Comparison::Equal(Value::Int(1))),
        Err(Undecided::NoLevels)
    );
    let values = RawLevels::Values(listed(&[
        (Value::Int(1), "one"),
        (Value::Int(2), "two"),
        (Value::Int(3), "two"),
    ]));
    let values = Levels::check(values, Contents::Of(ColumnKind::Int)).unwrap();
    for (value, labels) in [(0, &["one"][..]), (2, &["two"]), (9, &["two"])] {
        let nearest = labels.iter().map(|label| (*label).to_owned()).collect();
        let found = values.decide(&Comparison::Equal(Value::Int(value)));
        assert_eq!(found, Err(Undecided::NotListed { nearest }), "{value}");
    }
    let letters = RawLevels::Values(listed(&[(text("d"), "d"), (text("m"), "m"), (text("w"), "w")]));
    let letters = Levels::check(letters, Contents::Of(ColumnKind::Text)).unwrap();
    for (value, label) in [("W", "w"), ("D", "d")] {
        let nearest = vec![label.to_owned()];
        let found = letters.decide(&Comparison::Equal(text(value)));
        assert_eq!(found, Err(Undecided::NotListed { nearest }), "{value}");
    }
    let unlisted = values.decide(&Comparison::NotIn(vec![Value::Int(1), Value::Int(9)]));
    let sentence = unlisted.unwrap_err().to_string();
    assert!(
        sentence.ends_with("the nearest are `two`; the others are `NOT IN` all listed values"),
        "{sentence}"
    );
    assert_eq!(
        values.decide(&Comparison::Less(Value::Int(2))),
        Err(Undecided::NotOrdered)
    );
}

/// Day 1 of a column of points in time begins at midnight, and "up to day 1" ends in the middle of it.
#[test]
fn point_in_time_is_not_its_day() {
    let times = edges(vec![Value::Date(1), Value::Date(2)], ColumnKind::TimestampUtc);
    assert!(times.decide(&Comparison::Less(Value::Date(1))).is_ok());
    assert!(times.decide(&Comparison::AtMost(Value::Date(1))).is_err());
    assert!(times.decide(&Comparison::Equal(Value::Date(1))).is_err());
    let days = edges(vec![Value::Date(1), Value::Date(2)], ColumnKind::Date);
    assert_eq!(
        days.decide(&Comparison::AtMost(Value::Date(1))),
        days.decide(&Comparison::Less(Value::Date(2)))
    );
    assert!(days.decide(&Comparison::Equal(Value::Date(1))).is_ok());
}

#[test]
fn long_list_in_a_condition_is_refused() {
    let levels = edges(ints([0, 2_000]), ColumnKind::Int);
    let list = |count| Comparison::In(ints(0..count));
    assert_eq!(levels.decide(&list(1_001)), Err(Undecided::TooLong));
    assert!(matches!(levels.decide(&list(1_000)), Err(Undecided::OffEdge { .. })));
    let levels = edges(ints([0, 1_000]), ColumnKind::Int);
    assert_eq!(
        levels.decide(&list(1_000)),
        levels.decide(&Comparison::Between(Value::Int(0), Value::Int(999)))
    );
}

/// Which sample values pass; `None` if the condition is refused.
fn decided(levels: &Levels, comparison: &Comparison, sample: &[Datum<'_>]) -> Option<Vec<bool>> {
    let test = levels.decide(comparison).ok()?;
    let passes = |value: &Datum<'_>| {
        let atom = levels.atom_of(*value);
        let passes = test.passing().contains(&atom);
        assert_ne!(passes, test.failing().contains(&atom));
        passes
    };
    Some(sample.iter().map(passes).collect())
}

/// Which sample values pass; `None` if two of one atom differ.
fn expected(levels: &Levels, comparison: &Comparison, sample: &[Datum<'_>]) -> Option<Vec<bool>> {
    let mut by_atom = BTreeMap::new();
    let results: Vec<bool> = sample.iter().map(|value| sql(*value, comparison)).collect();
    for (value, result) in sample.iter().zip(&results) {
        if by_atom
            .insert(levels.atom_of(*value), *result)
            .is_some_and(|other| other != *result)
        {
            return None;
        }
    }
    Some(results)
}

/// The comparison as SQL defines it, with NaN above all other numbers.
fn sql(value: Datum<'_>, comparison: &Comparison) -> bool {
    let order = |literal: &Value| match (value, literal) {
        (Datum::Int(a), Value::Int(b)) => a.cmp(b),
        (Datum::Int(a), Value::Float(b)) => (a as f64).partial_cmp(&b.get()).unwrap(),
        (Datum::Float(a), _) if a.is_nan() => std::cmp::Ordering::Greater,
        (Datum::Float(a), Value::Float(b)) => a.partial_cmp(&b.get()).unwrap(),
        (Datum::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)).unwrap(),
        (Datum::Truth(a), Value::Bool(b)) => a.cmp(b),
        other => panic!("{other:?}"),
    };
    match comparison {
        Comparison::Equal(one) => order(one).is_eq(),
        Comparison::NotEqual(one) => order(one).is_ne(),
        Comparison::Less(one) => order(one).is_lt(),
        Comparison::AtMost(one) => order(one).is_le(),
        Comparison::Greater(one) => order(one).is_gt(),
        Comparison::AtLeast(one) => order(one).is_ge(),
        Comparison::In(list) => list.iter().any(|one| order(one).is_eq()),
        Comparison::NotIn(list) => list.iter().all(|one| order(one).is_ne()),
        Comparison::Between(low, high) => order(low).is_ge() && order(high).is_le(),
        Comparison::Prefix(_) | Comparison::IsNull | Comparison::IsNotNull => panic!("{comparison:?}"),
    }
}

fn is_equality(comparison: &Comparison) -> bool {
    matches!(
        comparison,
        Comparison::Equal(_) | Comparison::NotEqual(_) | Comparison::In(_) | Comparison::NotIn(_)
    )
}

fn at(within: std::ops::Range<i64>) -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::btree_set(within, 1..6).prop_map(|edges| edges.into_iter().collect())
}

/// Whole numbers, and halves and quarters, which no whole number equals.
fn comparisons(within: std::ops::Range<i64>) -> impl Strategy<Value = Comparison> {
    let literal = (within, 0..6).prop_map(|(n, part)| match part {
        0 => float(n as f64),
        1 => float(n as f64 + 0.5),
        2 => float(n as f64 + 0.25),
        _ => Value::Int(n),
    });
    let list = proptest::collection::vec(literal.clone(), 0..7);
    (0_usize..9, literal.clone(), literal, list).prop_map(|(at, one, other, list)| comparison(at, one, other, list))
}

fn comparison(at: usize, one: Value, other: Value, list: Vec<Value>) -> Comparison {
    match at {
        0 => Comparison::Equal(one),
        1 => Comparison::NotEqual(one),
        2 => Comparison::Less(one),
        3 => Comparison::AtMost(one),
        4 => Comparison::Greater(one),
        5 => Comparison::AtLeast(one),
        6 => Comparison::In(list),
        7 => Comparison::NotIn(list),
        _ => Comparison::Between(one, other),
    }
}

fn sets() -> impl Strategy<Value = AtomSet> {
    let levels = edges(ints([0, 2, 4, 6]), ColumnKind::Int);
    (proptest::collection::vec(any::<bool>(), 5), any::<bool>()).prop_map(move |(chosen, null)| {
        let mut set = levels.all().complement().with_null(null);
        for (at, _) in (0_i64..).zip(&chosen).filter(|(_, chosen)| **chosen) {
            let one = Comparison::Between(Value::Int(2 * at - 2), Value::Int(2 * at - 1));
            let one = if at == 0 { Comparison::Less(Value::Int(0)) } else { one };
            let one = if at == 4 {
                Comparison::AtLeast(Value::Int(6))
            } else {
                one
            };
            set = set.union(levels.decide(&one).unwrap().passing()).unwrap();
        }
        set
    })
}

#[derive(Clone, Debug)]
enum Expression {
    Below(i64),
    IsNull,
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

fn expressions() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        (0_i64..4).prop_map(|n| Expression::Below(2 * n)),
        Just(Expression::IsNull)
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| Expression::Not(Box::new(one))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Expression::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Expression::Or(Box::new(a), Box::new(b))),
        ]
    })
}

fn evaluated(levels: &Levels, expression: &Expression) -> AtomTest {
    match expression {
        Expression::Below(n) => levels.decide(&Comparison::Less(Value::Int(*n))).unwrap(),
        Expression::IsNull => levels.decide(&Comparison::IsNull).unwrap(),
        Expression::Not(one) => evaluated(levels, one).negation(),
        Expression::And(a, b) => evaluated(levels, a).and(&evaluated(levels, b)).unwrap(),
        Expression::Or(a, b) => evaluated(levels, a).or(&evaluated(levels, b)).unwrap(),
    }
}

/// Kleene's logic, value by value.
fn model(expression: &Expression, value: Option<i64>) -> Option<bool> {
    match expression {
        Expression::Below(n) => value.map(|value| value < *n),
        Expression::IsNull => Some(value.is_none()),
        Expression::Not(one) => model(one, value).map(|result| !result),
        Expression::And(a, b) => match (model(a, value), model(b, value)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Expression::Or(a, b) => match (model(a, value), model(b, value)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
    }
}
