use arrow::{
    array::{
        AsArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array, Int64Array,
        IntervalMonthDayNanoArray, StringArray, StringViewArray, UInt32Array, UInt64Array,
    },
    compute::{cast, take},
    datatypes::{IntervalMonthDayNano, TimeUnit},
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
    let decimals = |values: Vec<i128>, precision, scale| -> ArrayRef {
        let decimals = Decimal128Array::from(values).with_precision_and_scale(precision, scale);
        Arc::new(decimals.unwrap())
    };
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
