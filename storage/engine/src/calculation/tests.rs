use arrow::{
    array::{
        AsArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array,
        IntervalMonthDayNanoArray, StringArray, StringViewArray, UInt32Array, UInt64Array,
    },
    compute::{cast, take},
    datatypes::{Decimal128Type, IntervalMonthDayNano, TimeUnit},
};
use datafusion::{
    common::DFSchema,
    functions::datetime::date_part,
    logical_expr::{col, lit, preimage::PreimageResult, simplify::SimplifyContext},
};

use super::*;
use crate::cast_rule::Casts;

const OPERATORS: [Operator; 5] = [
    Operator::Plus,
    Operator::Minus,
    Operator::Multiply,
    Operator::Divide,
    Operator::Modulo,
];
const TEXTS: [&str; 9] = [
    "",
    "x",
    "7",
    "-1e999",
    "99999999999999999999",
    "2024-02-30",
    "-262143-01-01",
    "2262-04-12T00:00:00",
    "inf",
];

#[test]
fn arithmetic_never_fails_on_extreme_values() {
    let mut tried = 0;
    for op in OPERATORS {
        for (left, right) in pairs() {
            let types = (left.data_type(), right.data_type());
            let coercer = BinaryTypeCoercer::new(types.0, &op, types.1);
            let (Ok(inputs), Ok(result)) = (coercer.get_input_types(), coercer.get_result_type()) else {
                continue;
            };
            if (&inputs.0, &inputs.1) != types {
                continue;
            }
            let calculation = Calculation::new(ARITHMETIC, Operation::Arithmetic(op));
            let operands = every_pair(&left, &right);
            let rows = operands[0].len();
            let values = total(&|operands| calculation.values(operands), &operands, &result).unwrap();
            assert_eq!((values.len(), values.data_type()), (rows, &result), "{op} of {types:?}");
            assert_years(&values);
            tried += 1;
        }
    }
    assert!(tried >= 90, "{tried}");
}

/// Digits, and those of them after the point.
const DECIMALS: [(u8, i8); 9] = [
    (3, 3),
    (5, 2),
    (10, 2),
    (10, 0),
    (19, 0),
    (20, 0),
    (30, 15),
    (38, 10),
    (38, 0),
];

#[test]
fn decimals_are_computed_exactly_in_each_type() {
    let (mut known, mut missing) = (0, 0);
    for op in OPERATORS {
        for (left, right) in DECIMALS.iter().flat_map(|left| DECIMALS.map(|right| (*left, right))) {
            let operands = every_pair(&ends_of(left), &ends_of(right));
            let (found, digits, scale) = computed(op, &operands);
            let sides = [0, 1].map(|side: usize| operands[side].as_primitive::<Decimal128Type>());
            for row in 0..found.len() {
                let side = |side: usize| sides[side].is_valid(row).then(|| sides[side].value(row));
                let value = found.is_valid(row).then(|| found.value(row));
                let (Some(one), Some(other)) = (side(0), side(1)) else {
                    assert_eq!(value, None);
                    continue;
                };
                if other == 0 && matches!(op, Operator::Divide | Operator::Modulo) {
                    assert_eq!(value, None, "{one} of {left:?} {op} zero");
                    missing += 1;
                    continue;
                }
                // Beyond 128 bits on the way, `decimals_have_more_digits_on_the_way` has the values.
                let Some(exact) = exactly(op, (one, left.1), (other, right.1), scale) else {
                    continue;
                };
                let exact = Some(exact).filter(|exact| exact.unsigned_abs() < 10_u128.pow(u32::from(digits)));
                assert_eq!(value, exact, "{one} of {left:?} {op} {other} of {right:?}");
                known += usize::from(exact.is_some());
                missing += usize::from(exact.is_none());
            }
        }
    }
    assert!(known >= 5_000 && missing >= 500, "{known} and {missing}");
}

#[test]
fn decimals_have_more_digits_on_the_way() {
    let ten = |digits: u32| 10_i128.pow(digits);
    for (op, left, right, expected) in [
        // 2e14 / 1: the dividend has 14 more digits on the way.
        (
            Operator::Divide,
            (2 * ten(24), 38, 10),
            (ten(10), 38, 10),
            Some(2 * ten(28)),
        ),
        (
            Operator::Divide,
            (-2 * ten(24), 38, 10),
            (ten(10), 38, 10),
            Some(-2 * ten(28)),
        ),
        (Operator::Divide, (2 * ten(24), 38, 10), (0, 38, 10), None),
        // 1.8e28 - 9e27: the left side has 10 more digits on the way.
        (
            Operator::Minus,
            (18 * ten(27), 38, 0),
            (9 * ten(37), 38, 10),
            Some(9 * ten(37)),
        ),
        (
            Operator::Plus,
            (-18 * ten(27), 38, 0),
            (9 * ten(37), 38, 10),
            Some(-9 * ten(37)),
        ),
        (
            Operator::Modulo,
            (ten(37) + 3, 38, 0),
            (2 * ten(10), 38, 10),
            Some(ten(10)),
        ),
        (Operator::Multiply, (ten(37), 38, 0), (ten(37), 38, 0), None),
        (Operator::Plus, (ten(38) - 1, 38, 0), (1, 38, 0), None),
    ] {
        let operand = |(value, digits, scale): (i128, u8, i8)| decimals(vec![Some(value)], digits, scale);
        let (found, digits, _) = computed(op, &[operand(left), operand(right)]);
        let expected = expected.filter(|value: &i128| value.unsigned_abs() < 10_u128.pow(u32::from(digits)));
        let found = found.is_valid(0).then(|| found.value(0));
        assert_eq!(found, expected, "{left:?} {op} {right:?}");
    }
}

#[test]
fn operation_of_another_type_is_no_missing_value() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let same = |operands: &[ArrayRef]| Ok(Arc::clone(&operands[0]));
    assert!(total(&same, &[Arc::clone(&numbers)], &DataType::Int64).is_ok());
    let error = total(&same, &[Arc::clone(&numbers)], &DataType::Int32).unwrap_err();
    assert!(matches!(error, DataFusionError::Internal(_)), "{error}");
    let fewer = |operands: &[ArrayRef]| Ok(operands[0].slice(0, 1));
    assert!(total(&fewer, &[numbers], &DataType::Int64).is_err());
}

/// The result, which is a decimal with so many digits, and so many of them after the point.
fn computed(op: Operator, operands: &[ArrayRef; 2]) -> (Decimal128Array, u8, i8) {
    let coercer = BinaryTypeCoercer::new(operands[0].data_type(), &op, operands[1].data_type());
    let result = coercer.get_result_type().unwrap();
    let DataType::Decimal128(digits, scale) = result else {
        panic!("{result} of {op}");
    };
    let calculation = Calculation::new(ARITHMETIC, Operation::Arithmetic(op));
    let found = total(&|operands| calculation.values(operands), operands, &result).unwrap();
    assert_eq!(found.data_type(), &result);
    (found.as_primitive::<Decimal128Type>().clone(), digits, scale)
}

/// The exact result with `scale` digits after the point, cut; `None` if 128 bits are too few for it.
fn exactly(op: Operator, (left, left_scale): (i128, i8), (right, right_scale): (i128, i8), scale: i8) -> Option<i128> {
    let shifted = |value: i128, by: i8| value.checked_mul(10_i128.checked_pow(u32::try_from(by).unwrap())?);
    if op == Operator::Multiply {
        return left.checked_mul(right);
    }
    if op == Operator::Divide {
        return Some(shifted(left, scale - left_scale + right_scale)? / right);
    }
    let (left, right) = (shifted(left, scale - left_scale)?, shifted(right, scale - right_scale)?);
    if op == Operator::Plus {
        left.checked_add(right)
    } else if op == Operator::Minus {
        left.checked_sub(right)
    } else {
        Some(left % right)
    }
}

/// Values at the ends of a type of decimals, and between them.
fn ends_of((digits, scale): (u8, i8)) -> ArrayRef {
    let most = 10_i128.pow(u32::from(digits)) - 1;
    let middle = 10_i128.pow(u32::from(digits) / 2) + 7;
    let values = [-most, -middle, -7, -1, 0, 1, 2, 150, middle, most / 3, most];
    let values = values.into_iter().map(Some).chain([None]);
    decimals(values.collect(), digits, scale)
}

fn decimals(values: Vec<Option<i128>>, digits: u8, scale: i8) -> ArrayRef {
    let decimals = Decimal128Array::from(values).with_precision_and_scale(digits, scale);
    Arc::new(decimals.unwrap())
}

#[test]
fn casts_never_fail_on_extreme_values() {
    let (mut total_ones, mut others) = (0, 0);
    for from in extremes() {
        let negation = Calculation::new(NEGATION, Operation::Negation);
        total(
            &|operands| negation.values(operands),
            std::slice::from_ref(&from),
            from.data_type(),
        )
        .unwrap();
        for to in extremes().iter().map(|values| values.data_type().clone()) {
            if !can_cast_types(from.data_type(), &to) {
                continue;
            }
            let calculation = Calculation::new(CONVERSION, Operation::Cast(to.clone()));
            let operands = [Arc::clone(&from)];
            if is_total_cast(from.data_type(), &to) {
                total_ones += 1;
                let operand = Arc::new(physical::Column::new("operand", 0));
                let expression = physical::TryCastExpr::new(operand, to.clone());
                let values = attempted(|| evaluated(&expression, &operands));
                assert!(values.is_some(), "{} to {to} fails on a value", from.data_type());
            } else {
                others += 1;
                let values = total(&|operands| calculation.values(operands), &operands, &to).unwrap();
                assert_eq!((values.len(), values.data_type()), (from.len(), &to));
                if *from.data_type() != to {
                    assert_years(&values);
                }
            }
        }
    }
    assert!(total_ones >= 60 && others >= 60, "{total_ones} and {others}");
}

/// Dates and timestamps are of the years 1 to 9999, as texts show.
fn assert_years(values: &ArrayRef) {
    if !matches!(values.data_type(), DataType::Date32 | DataType::Timestamp(..)) {
        return;
    }
    let texts = cast(values, &DataType::Utf8).unwrap();
    assert_eq!(texts.null_count(), values.null_count(), "a value without a text");
    for text in texts.as_string::<i32>().iter().flatten() {
        let year = text.split('-').next().unwrap();
        assert!(year.len() == 4 && year != "0000", "{text} of {:?}", values.data_type());
    }
}

#[test]
fn calculation_is_null_only_for_values_that_fail() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![
        Some(0),
        Some(i32::MAX),
        None,
        Some(1),
        Some(i32::MIN),
    ]));
    let text = Calculation::new(CONVERSION, Operation::Cast(DataType::Utf8));
    let texts = total(&|operands| text.values(operands), &[days], &DataType::Utf8).unwrap();
    let texts: Vec<_> = texts.as_string::<i32>().iter().collect();
    assert_eq!(texts, [Some("1970-01-01"), None, None, Some("1970-01-02"), None]);
}

#[test]
fn years_are_compared_by_days_that_dates_have() {
    let zoned = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let columns = [DataType::Date32, zoned].map(|data_type| Field::new("day", data_type, true));
    for column in columns {
        let schema = DFSchema::try_from(Schema::new(vec![column])).unwrap();
        let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
        let call = ScalarFunction::new_udf(date_part(), vec![lit("year"), col("day")]);
        let Expr::ScalarFunction(call) = guarded(call, Casts::Strict, &schema).unwrap() else {
            panic!("another expression");
        };
        for (year, known) in [
            (-1, false),
            (0, false),
            (1, true),
            (2020, true),
            (9998, true),
            (9999, false),
            (10_000, false),
        ] {
            let found = call.func.preimage(&call.args, &lit(year), &context).unwrap();
            assert_eq!(matches!(found, PreimageResult::Range { .. }), known, "{year}");
        }
    }
}

/// The types that expressions over stored columns can have, each with values at its ends.
fn extremes() -> Vec<ArrayRef> {
    let wide: ArrayRef = Arc::new(Int64Array::from(vec![
        Some(i64::MIN),
        Some(i64::MIN + 1),
        Some(-1),
        Some(0),
        Some(1),
        Some(86_400),
        Some(i64::MAX - 1),
        Some(i64::MAX),
        None,
    ]));
    let narrow = vec![
        Some(i32::MIN),
        Some(-1),
        Some(0),
        Some(1),
        Some(47),
        Some(i32::MAX),
        None,
    ];
    let most = 10_i128.pow(20) - 1;
    let all_digits = 10_i128.pow(38) - 1;
    let decimals = |values: Vec<i128>, digits, scale| decimals(values.into_iter().map(Some).collect(), digits, scale);
    let interval = |months, days, nanos| IntervalMonthDayNano::new(months, days, nanos);
    let mut all: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(narrow.clone())),
        Arc::new(Date32Array::from(narrow)),
        Arc::new(UInt32Array::from(vec![0, 1, u32::MAX])),
        Arc::new(UInt64Array::from(vec![0, 1, u64::MAX])),
        Arc::new(Float32Array::from(vec![
            f32::NAN,
            f32::INFINITY,
            f32::MAX,
            f32::MIN,
            0.0,
            -0.5,
        ])),
        Arc::new(Float64Array::from(vec![
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            0.0,
            -0.5,
        ])),
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(StringArray::from(TEXTS.to_vec())),
        Arc::new(StringViewArray::from(TEXTS.to_vec())),
        decimals(vec![-most, -1, 0, 1, most], 20, 0),
        decimals(vec![-all_digits, 0, 1, all_digits], 38, 10),
        Arc::new(IntervalMonthDayNanoArray::from(vec![
            interval(i32::MIN, i32::MIN, i64::MIN),
            interval(0, 0, 1),
            interval(i32::MAX, i32::MAX, i64::MAX),
        ])),
    ];
    for unit in [
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
    ] {
        all.push(cast(&wide, &DataType::Timestamp(unit, None)).unwrap());
        all.push(cast(&wide, &DataType::Duration(unit)).unwrap());
    }
    all.push(wide);
    all
}

fn pairs() -> impl Iterator<Item = (ArrayRef, ArrayRef)> {
    let all = extremes();
    let others = all.clone();
    all.into_iter()
        .flat_map(move |left| others.clone().into_iter().map(move |right| (Arc::clone(&left), right)))
}

/// Each value on the left with each on the right.
fn every_pair(left: &ArrayRef, right: &ArrayRef) -> [ArrayRef; 2] {
    let ends = |values: &ArrayRef| u32::try_from(values.len()).unwrap();
    let (lefts, rights): (Vec<u32>, Vec<u32>) = (0..ends(left))
        .flat_map(|one| (0..ends(right)).map(move |other| (one, other)))
        .unzip();
    [
        take(left, &UInt32Array::from(lefts), None).unwrap(),
        take(right, &UInt32Array::from(rights), None).unwrap(),
    ]
}
