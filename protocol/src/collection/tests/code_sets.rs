//! Sets of codes, compared with the codes of a sample.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn code_sets_are_the_sets_of_their_codes(expression in expressions()) {
        let set = evaluated(&expression);
        for code in sample() {
            prop_assert_eq!(set.contains(&AtomId::Code(text(&code))), model(&expression, Some(&code)), "{}", code);
        }
        prop_assert_eq!(set.contains(&AtomId::Null), model(&expression, None));
    }

    /// The sample distinguishes any two sets that these expressions can describe, and no set has two forms.
    #[test]
    fn code_sets_with_the_same_codes_are_equal(a in expressions(), b in expressions()) {
        let same = sample().iter().map(Some).chain([None]).all(|code| {
            model(&a, code.map(String::as_str)) == model(&b, code.map(String::as_str))
        });
        prop_assert_eq!(evaluated(&a) == evaluated(&b), same);
    }

    #[test]
    fn code_set_has_one_encoding(expression in expressions()) {
        let set = evaluated(&expression);
        let bytes = crate::signed::encode(&set).unwrap();
        prop_assert_eq!(crate::signed::decode::<AtomSet>(&bytes).unwrap(), set);
    }
}

#[test]
fn codes_are_compared_for_equality_and_by_prefix_only() {
    let levels = codes(ColumnKind::Text);
    for comparison in [
        Comparison::Less(text("I21")),
        Comparison::AtLeast(text("I21")),
        Comparison::Between(text("I20"), text("I25")),
    ] {
        assert_eq!(levels.decide(&comparison), Err(Undecided::NotOrdered));
    }
    let wrong = levels.decide(&Comparison::Equal(Value::Int(21)));
    assert!(matches!(wrong, Err(Undecided::OtherKind { .. })));
    let whole = codes(ColumnKind::Int);
    assert_eq!(
        whole.decide(&Comparison::Prefix("2".to_owned())),
        Err(Undecided::NotOrdered)
    );
    let long = "x".repeat(MAX_TEXT + 1);
    assert_eq!(
        levels.decide(&Comparison::Prefix(long.clone())),
        Err(Undecided::TooLong)
    );
    assert_eq!(levels.decide(&Comparison::Equal(text(&long))), Err(Undecided::TooLong));
    let all = levels.decide(&Comparison::Prefix(String::new())).unwrap();
    assert_eq!(all.passing(), &levels.all());
}

#[test]
fn sets_of_different_levels_have_no_union() {
    let set = |levels: &Levels| levels.all();
    let sets = [
        set(&codes(ColumnKind::Int)),
        set(&codes(ColumnKind::Text)),
        set(&Levels::Truth),
        set(&edges(ints([1, 2]), ColumnKind::Int)),
    ];
    for (at, a) in sets.iter().enumerate() {
        for (other, b) in sets.iter().enumerate() {
            assert_eq!(a.union(b).is_ok(), at == other);
        }
    }
}

/// All texts of up to four letters; `c` occurs in no condition.
fn sample() -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut last = texts.clone();
    for _ in 0..4 {
        last = last
            .iter()
            .flat_map(|text| ["a", "b", "c"].map(|letter| format!("{text}{letter}")))
            .collect();
        texts.extend(last.clone());
    }
    texts
}

#[derive(Clone, Debug)]
enum Expression {
    Code(String),
    Prefix(String),
    IsNull,
    Complement(Box<Self>),
    Union(Box<Self>, Box<Self>),
    Both(Box<Self>, Box<Self>),
    Difference(Box<Self>, Box<Self>),
}

fn expressions() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        "[ab]{0,3}".prop_map(Expression::Code),
        "[ab]{0,2}".prop_map(Expression::Prefix),
        Just(Expression::IsNull),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        let two = (inner.clone(), inner.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        prop_oneof![
            inner.prop_map(|one| Expression::Complement(Box::new(one))),
            two.clone().prop_map(|(a, b)| Expression::Union(a, b)),
            two.clone().prop_map(|(a, b)| Expression::Both(a, b)),
            two.prop_map(|(a, b)| Expression::Difference(a, b)),
        ]
    })
}

fn evaluated(expression: &Expression) -> AtomSet {
    let decided = |comparison: &Comparison| codes(ColumnKind::Text).decide(comparison).unwrap().passing().clone();
    match expression {
        Expression::Code(code) => decided(&Comparison::Equal(text(code))),
        Expression::Prefix(prefix) => decided(&Comparison::Prefix(prefix.clone())),
        Expression::IsNull => decided(&Comparison::IsNull),
        Expression::Complement(one) => evaluated(one).complement(),
        Expression::Union(a, b) => evaluated(a).union(&evaluated(b)).unwrap(),
        Expression::Both(a, b) => evaluated(a).intersection(&evaluated(b)).unwrap(),
        Expression::Difference(a, b) => evaluated(a).difference(&evaluated(b)).unwrap(),
    }
}

fn model(expression: &Expression, code: Option<&str>) -> bool {
    match expression {
        Expression::Code(one) => code == Some(one),
        Expression::Prefix(prefix) => code.is_some_and(|code| code.starts_with(prefix)),
        Expression::IsNull => code.is_none(),
        Expression::Complement(one) => !model(one, code),
        Expression::Union(a, b) => model(a, code) || model(b, code),
        Expression::Both(a, b) => model(a, code) && model(b, code),
        Expression::Difference(a, b) => model(a, code) && !model(b, code),
    }
}
