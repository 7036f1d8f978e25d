//! Seconds between points in time, numbers in texts, and years of constant dates.

use concordat_protocol::scope::{Generalization, Transform};

use super::{Collection, only, refusal};
use crate::statistic::{CellAggregate, CellColumn, Quantity};

/// What the only aggregate of a query measures.
fn measured(collection: &Collection, aggregate: &str, from: &str) -> Quantity {
    let statistic = only(collection, &format!("SELECT {aggregate} AS m FROM {from}"));
    match statistic.cells() {
        [CellAggregate::Moments { of, .. }] => of.clone(),
        cells => panic!("{cells:?}"),
    }
}

#[test]
fn seconds_have_one_direction_and_the_range_of_days() {
    let synthea = Collection::named("synthea");
    let seconds = measured(&synthea, "avg(EXTRACT(EPOCH FROM stop - start))", "encounters");
    let Quantity::Seconds { from, to } = &seconds else {
        panic!("{seconds:?}")
    };
    assert_ne!(from, to);
    let range = synthea.known.range(&seconds).unwrap();
    assert_eq!((range.low(), range.high()), (-730.0 * 86_400.0, 730.0 * 86_400.0));
    let factor = |aggregate: &str| {
        let lowered = synthea
            .lower(&format!("SELECT {aggregate} AS m FROM encounters"))
            .unwrap();
        match lowered.blocks[0].columns[0] {
            CellColumn::Cell(_) => 1.0,
            CellColumn::Scaled { by, .. } => by.get(),
            CellColumn::Group(_) | CellColumn::Quotient { .. } => panic!("{aggregate}"),
        }
    };
    let one = factor("avg(EXTRACT(EPOCH FROM stop - start))");
    let other = factor("avg(EXTRACT(EPOCH FROM start) - EXTRACT(EPOCH FROM stop))");
    assert_eq!(one, -other);
    assert_eq!(factor("avg(EXTRACT(EPOCH FROM stop - start) / 3600)"), one / 3600.0);
}

/// Seconds have no levels: no condition and no group is finer than a day.
#[test]
fn seconds_are_measured_only() {
    let synthea = Collection::named("synthea");
    let seconds = "EXTRACT(EPOCH FROM stop - start)";
    for refused in [
        format!("SELECT count(*) FROM encounters WHERE {seconds} > 86400"),
        format!("SELECT {seconds} AS s, count(*) FROM encounters GROUP BY 1"),
        "SELECT avg(EXTRACT(EPOCH FROM start)) FROM encounters".to_owned(),
        "SELECT avg(EXTRACT(EPOCH FROM stop) - 2 * EXTRACT(EPOCH FROM start)) FROM encounters".to_owned(),
        "SELECT avg(EXTRACT(EPOCH FROM deathdate) - EXTRACT(EPOCH FROM birthdate)) FROM patients".to_owned(),
        "SELECT sum(EXTRACT(MINUTE FROM stop - start)) FROM encounters".to_owned(),
    ] {
        let found = synthea.planned(&refused).map(|plan| synthea.lower_plan(&plan).is_ok());
        assert_ne!(found, Ok(true), "{refused}");
    }
    let years = Collection::shown("synthea", &|_, column| {
        Some(match column.as_str() {
            "start" => Transform::Generalized(Generalization::Year),
            _ => Transform::Clear,
        })
    });
    let sql = format!("SELECT avg({seconds}) FROM encounters");
    assert!(synthea.lower(&sql).is_ok());
    assert!(
        years.lower(&sql).is_err(),
        "points in time that are shown as years have no seconds"
    );
}

#[test]
fn numbers_in_texts_need_a_cast() {
    let omop = Collection::named("omop");
    let number = measured(&omop, "avg(CAST(value_source_value AS DOUBLE))", "measurement");
    assert!(matches!(number, Quantity::InText(_)), "{number:?}");
    assert_eq!(
        number,
        measured(
            &omop,
            "avg(2 * TRY_CAST(value_source_value AS DOUBLE) + 1)",
            "measurement"
        )
    );
    for counted in [
        "CAST(value_source_value AS DOUBLE) >= 100",
        "TRY_CAST(value_source_value AS DOUBLE) IS NULL",
        "value_source_value IS NOT NULL",
    ] {
        let sql = format!("SELECT count(*) FROM measurement WHERE {counted}");
        assert!(omop.lower(&sql).is_ok(), "{counted}");
    }
    let edge = refusal(
        &omop,
        "SELECT count(*) FROM measurement WHERE CAST(value_source_value AS DOUBLE) >= 95",
    );
    assert!(edge.contains("90") && edge.contains("100"), "{edge}");
    for refused in [
        "SELECT count(*) FROM measurement WHERE value_source_value = '100'",
        "SELECT value_source_value, count(*) FROM measurement GROUP BY 1",
        "SELECT count(*) FROM measurement WHERE CAST(value_source_value AS BIGINT) >= 100",
        // No edges are declared.
        "SELECT avg(CAST(gender_source_value AS DOUBLE)) FROM person",
    ] {
        assert!(omop.lower(refused).is_err(), "{refused}");
    }
    // Whether the text is missing, and whether it is a number, are two conditions.
    let conditions = ["value_source_value", "CAST(value_source_value AS DOUBLE)"].map(|operand| {
        only(
            &omop,
            &format!("SELECT count(*) FROM measurement WHERE {operand} IS NULL"),
        )
    });
    assert_ne!(conditions[0], conditions[1]);
}

#[test]
fn year_of_a_constant_date_is_a_constant() {
    let omop = Collection::named("omop");
    let counted = |condition: &str| only(&omop, &format!("SELECT count(*) FROM omop.person WHERE {condition}"));
    assert_eq!(
        counted("EXTRACT(YEAR FROM DATE '2026-11-30') - year_of_birth >= 77"),
        counted("year_of_birth < 1950")
    );
    assert_eq!(
        counted("EXTRACT(YEAR FROM DATE '2026-11-30') - year_of_birth > 76"),
        counted("year_of_birth < 1950")
    );
    // The holder does not read the clock: the consumer writes the day.
    let today = "SELECT count(*) FROM omop.person WHERE EXTRACT(YEAR FROM current_date) - year_of_birth > 76";
    assert!(omop.lower(today).is_err());
}

/// What is left of a sum with a column of listed values, after the other one is measured alone, is a number of rows that was not decided.
#[test]
fn listed_values_are_no_part_of_a_sum() {
    let nhefs = Collection::named("nhefs");
    let exact = nhefs.clone().with_exact_figures();
    for sum in [
        "sum(qsmk + wt71)",
        "sum(wt71 - qsmk)",
        "avg(0.000001 * hbp + wt71)",
        "var_samp(hbp + wt71)",
        "regr_slope(wt71, qsmk + 0.000000001 * ht)",
        "corr(hbp + ht, wt71)",
    ] {
        for collection in [&nhefs, &exact] {
            let refused = refusal(collection, &format!("SELECT {sum} AS m FROM nhefs"));
            assert!(refused.contains("values are listed"), "{sum}: {refused}");
        }
    }
    for collection in [&nhefs, &exact] {
        measured(collection, "avg(wt71 + ht)", "nhefs");
        only(collection, "SELECT sum(qsmk) AS n FROM nhefs");
    }
}

/// Of two listed values the mean is the share of each.
#[test]
fn listed_values_have_no_exact_moments() {
    let nhefs = Collection::named("nhefs");
    let exact = nhefs.clone().with_exact_figures();
    for moment in [
        "avg(hbp)",
        "sum(2 * hbp)",
        "stddev(hbp)",
        "regr_intercept(wt71, hbp)",
        "covar_pop(hbp, ht)",
    ] {
        let sql = format!("SELECT {moment} AS m FROM nhefs");
        only(&nhefs, &sql);
        let refused = refusal(&exact, &sql);
        assert!(refused.contains("values are listed"), "{moment}: {refused}");
    }
}
