//! Aggregates of floating point numbers.
//!
//! In a frame that moves, the library subtracts the numbers that leave: what a large one lost by rounding stays lost in all later rows.
//! Its correlation of groups is computed from sums of squares, which large offsets push outside of [-1, 1], and its quantiles have six
//! digits between two values. Here totals and means have twice as many digits, squares are of distances from the mean, and each frame is
//! computed from its own rows. A figure of finite numbers that is not finite is missing.

mod accumulators;
mod parts;
mod quantile;
mod spread;

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, FieldRef},
};
use datafusion::{
    common::ScalarValue,
    error::{DataFusionError, Result},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, GroupsAccumulator, ReversedUDAF, Signature,
        function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs},
        utils::AggregateOrderSensitivity,
    },
};

use accumulators::{Figure, Groups, Moving, Single};
use parts::{Part, Total};
use quantile::Quantile;
use spread::{Pairs, Spread};

/// The same function, computed here if its arguments are floating point numbers; other functions as they are.
pub(crate) fn exact(library: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    match Reading::of(library.name()) {
        Some(_) => Arc::new(AggregateUDF::new_from_impl(NumericAggregate { library })),
        None => library,
    }
}

/// What a function keeps of its rows, and what it computes from that.
enum Reading {
    Total(Figure<Total>),
    Spread(Figure<Spread>),
    Pairs(Figure<Pairs>),
    Median,
    Percentile,
}

impl Reading {
    /// How the function of this name is computed, as the library names it.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Total(Total::sum),
            "avg" => Self::Total(Total::mean),
            "var" => Self::Spread(Spread::variance_of_sample),
            "var_pop" => Self::Spread(Spread::variance_of_population),
            "stddev" => Self::Spread(Spread::deviation_of_sample),
            "stddev_pop" => Self::Spread(Spread::deviation_of_population),
            "covar_samp" => Self::Pairs(Pairs::covariance_of_sample),
            "covar_pop" => Self::Pairs(Pairs::covariance_of_population),
            "corr" => Self::Pairs(Pairs::correlation),
            "regr_slope" => Self::Pairs(Pairs::slope),
            "regr_intercept" => Self::Pairs(Pairs::intercept),
            "regr_r2" => Self::Pairs(Pairs::r2),
            "regr_avgx" => Self::Pairs(Pairs::mean_of_x),
            "regr_avgy" => Self::Pairs(Pairs::mean_of_y),
            "regr_sxx" => Self::Pairs(Pairs::squares_of_x),
            "regr_syy" => Self::Pairs(Pairs::squares_of_y),
            "regr_sxy" => Self::Pairs(Pairs::products),
            "median" => Self::Median,
            "percentile_cont" => Self::Percentile,
            _ => return None,
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NumericAggregate {
    library: Arc<AggregateUDF>,
}

impl NumericAggregate {
    /// How it is computed here; `None` if the library computes it: from other numbers, and totals and spreads of distinct ones.
    fn reading(&self, fields: &[FieldRef], distinct: bool) -> Result<Option<Reading>> {
        let Some(reading) = Reading::of(self.library.name()) else {
            return Ok(None);
        };
        let double = fields
            .first()
            .is_some_and(|field| field.data_type() == &DataType::Float64);
        let ours = match &reading {
            Reading::Total(_) | Reading::Spread(_) => double && !distinct,
            // The library ignores the word.
            Reading::Pairs(_) if distinct => {
                return Err(DataFusionError::NotImplemented(format!(
                    "`{}` of distinct pairs is not computed",
                    self.library.name()
                )));
            }
            Reading::Pairs(_) => true,
            Reading::Median | Reading::Percentile => {
                fields.first().is_some_and(|field| field.data_type().is_floating())
            }
        };
        Ok(ours.then_some(reading))
    }

    /// The accumulator of a quantile.
    fn quantile(args: &AccumulatorArgs<'_>, at: f64) -> Box<dyn Accumulator> {
        let descending = args.order_bys.first().is_some_and(|order| order.options.descending);
        let data_type = args.return_field.data_type().clone();
        Box::new(Quantile::new(at, descending, args.is_distinct, data_type))
    }

    fn percentile(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let at = fraction(&args)?;
        let quantile = Self::quantile(&args, at);
        // The library checks that the fraction is a literal from 0 to 1.
        self.library.accumulator(args).map(|_| quantile)
    }
}

fn fraction(args: &AccumulatorArgs<'_>) -> Result<f64> {
    let none = || DataFusionError::Plan("the fraction of a quantile is a number".to_owned());
    let [_, fraction] = args.exprs else {
        return Err(none());
    };
    let rows = RecordBatch::new_empty(Arc::new(args.schema.clone()));
    let ColumnarValue::Scalar(fraction) = fraction.evaluate(&rows)? else {
        return Err(none());
    };
    if let ScalarValue::Float64(Some(fraction)) = fraction.cast_to(&DataType::Float64)? {
        return Ok(fraction);
    }
    Err(none())
}

impl AggregateUDFImpl for NumericAggregate {
    fn name(&self) -> &str {
        self.library.name()
    }

    fn aliases(&self) -> &[String] {
        self.library.aliases()
    }

    fn signature(&self) -> &Signature {
        self.library.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.library.return_type(types)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.library.coerce_types(types)
    }

    fn is_nullable(&self) -> bool {
        self.library.is_nullable()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.library.default_value(data_type)
    }

    fn supports_within_group_clause(&self) -> bool {
        self.library.supports_within_group_clause()
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.library.supports_null_handling_clause()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.library.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.library.reverse_udf()
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.library.simplify()
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let names = match self.reading(args.input_fields, args.is_distinct)? {
            Some(Reading::Total(_)) => Total::FIELDS,
            Some(Reading::Spread(_)) => Spread::FIELDS,
            Some(Reading::Pairs(_)) => Pairs::FIELDS,
            Some(Reading::Median | Reading::Percentile) | None => return self.library.state_fields(args),
        };
        let field = |part: &&str| -> FieldRef {
            Arc::new(Field::new(format!("{}[{part}]", args.name), DataType::Float64, true))
        };
        Ok(names.iter().map(field).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(match self.reading(args.expr_fields, args.is_distinct)? {
            Some(Reading::Total(figure)) => Box::new(Single::new(figure)),
            Some(Reading::Spread(figure)) => Box::new(Single::new(figure)),
            Some(Reading::Pairs(figure)) => Box::new(Single::new(figure)),
            Some(Reading::Median) => Self::quantile(&args, 0.5),
            Some(Reading::Percentile) => self.percentile(args)?,
            None => self.library.accumulator(args)?,
        })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(match self.reading(args.expr_fields, args.is_distinct)? {
            Some(Reading::Total(figure)) => Box::new(Moving::new(figure)),
            Some(Reading::Spread(figure)) => Box::new(Moving::new(figure)),
            Some(Reading::Pairs(figure)) => Box::new(Moving::new(figure)),
            Some(Reading::Median) => Self::quantile(&args, 0.5),
            Some(Reading::Percentile) => self.percentile(args)?,
            None => self.library.create_sliding_accumulator(args)?,
        })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        match self.reading(args.expr_fields, args.is_distinct) {
            Ok(Some(Reading::Median | Reading::Percentile)) | Err(_) => false,
            Ok(Some(_)) => true,
            Ok(None) => self.library.groups_accumulator_supported(args),
        }
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(match self.reading(args.expr_fields, args.is_distinct)? {
            Some(Reading::Total(figure)) => Box::new(Groups::new(figure)),
            Some(Reading::Spread(figure)) => Box::new(Groups::new(figure)),
            Some(Reading::Pairs(figure)) => Box::new(Groups::new(figure)),
            Some(Reading::Median | Reading::Percentile) | None => self.library.create_groups_accumulator(args)?,
        })
    }
}

#[cfg(test)]
mod tests;
