//! The cohorts are repeatable, plausible, and different in the way the hospitals are.

use super::*;
use std::collections::BTreeSet;

const SITES: [Site; 3] = [Site::Cleveland, Site::Budapest, Site::Zurich];
const SUBJECTS: usize = 4_000;

fn cohort(site: Site) -> Vec<CohortRow> {
    Cohort::generate(site, SUBJECTS, 7).collect()
}

fn mean(values: impl Iterator<Item = i64>) -> f64 {
    let values: Vec<i64> = values.collect();
    assert!(!values.is_empty(), "no values to take the mean of");
    values.iter().map(|value| *value as f64).sum::<f64>() / values.len() as f64
}

fn missing(rows: &[CohortRow], column: impl Fn(&HeartRecord) -> Option<i64>) -> f64 {
    mean(rows.iter().map(|row| i64::from(column(&row.heart).is_none())))
}

#[track_caller]
fn assert_near(value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{value} is not within {tolerance} of {expected}"
    );
}

#[test]
fn the_generator_follows_the_published_stream() {
    let mut rng = SplitMix64::new(1_234_567);
    let stream = [rng.next(), rng.next(), rng.next()];
    assert_eq!(
        stream,
        [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423
        ]
    );
}

#[test]
fn cohort_same_seed_gives_the_same_rows() {
    for site in SITES {
        let long = cohort(site);
        assert_eq!(long, cohort(site));
        assert_eq!(Cohort::generate(site, 10, 7).collect::<Vec<_>>(), long[..10]);
        assert_ne!(Cohort::generate(site, SUBJECTS, 8).collect::<Vec<_>>(), long);
    }
}

#[test]
fn record_numbers_are_unique_and_carry_the_hospital() {
    for (site, prefix) in SITES.into_iter().zip(["CLV-", "BUD-", "ZRH-"]) {
        let rows = cohort(site);
        let numbers: BTreeSet<&str> = rows.iter().map(|row| row.record_number.as_str()).collect();
        assert_eq!(numbers.len(), SUBJECTS);
        assert!(
            numbers
                .iter()
                .all(|number| number.starts_with(prefix) && number.len() == 11)
        );
    }
}

#[test]
fn every_finding_is_in_its_range_and_agrees_with_the_birth_date() {
    for row in SITES.into_iter().flat_map(cohort) {
        let HeartRecord {
            age,
            sex,
            cp,
            trestbps,
            chol,
            fbs,
            restecg,
            thalach,
            exang,
            ..
        } = row.heart;
        assert!((28..=94).contains(&age) && (0..=1).contains(&sex) && (1..=4).contains(&cp));
        assert!((80..=220).contains(&trestbps) && (60..=205).contains(&thalach));
        assert!(chol.is_none_or(|chol| (90..=600).contains(&chol)) && fbs.is_none_or(|fbs| (0..=1).contains(&fbs)));
        assert!((0..=2).contains(&restecg) && (0..=1).contains(&exang));

        let HeartRecord {
            oldpeak_tenths,
            slope,
            ca,
            thal,
            num,
            ..
        } = row.heart;
        assert!((0..=62).contains(&oldpeak_tenths) && (0..=4).contains(&num));
        assert!(slope.is_none_or(|slope| (1..=3).contains(&slope)) && ca.is_none_or(|ca| (0..=3).contains(&ca)));
        assert!(thal.is_none_or(|thal| [3, 6, 7].contains(&thal)));
        let (born, _) = row.birth_date.split_once('-').unwrap();
        assert_eq!(born.parse::<i64>().unwrap() + age, EXAMINED_IN);
    }
}

#[test]
fn the_hospitals_resemble_the_published_ones() {
    let published = [
        (Site::Cleveland, 54.4, 0.68, 0.46, 131.6),
        (Site::Budapest, 47.8, 0.72, 0.36, 132.6),
    ];
    for (site, age, male, ill, trestbps) in published {
        let rows = cohort(site);
        assert_near(mean(rows.iter().map(|row| row.heart.age)), age, 1.0);
        assert_near(mean(rows.iter().map(|row| row.heart.sex)), male, 0.03);
        assert_near(mean(rows.iter().map(|row| i64::from(row.heart.num > 0))), ill, 0.05);
        assert_near(mean(rows.iter().map(|row| row.heart.trestbps)), trestbps, 2.0);
        assert_near(mean(rows.iter().filter_map(|row| row.heart.chol)), 249.0, 6.0);
        assert_near(mean(rows.iter().map(|row| row.heart.oldpeak_tenths)), 9.0, 2.0);
    }
    let zurich = cohort(Site::Zurich);
    assert!(mean(zurich.iter().map(|row| i64::from(row.heart.num > 0))) > 0.85);
    assert!(mean(zurich.iter().map(|row| row.heart.sex)) > 0.88);
}

#[test]
fn each_hospital_misses_what_the_real_one_misses() {
    let cleveland = cohort(Site::Cleveland);
    let budapest = cohort(Site::Budapest);
    let zurich = cohort(Site::Zurich);
    assert!(missing(&cleveland, |heart| heart.chol) == 0.0 && missing(&cleveland, |heart| heart.slope) == 0.0);
    assert_near(missing(&budapest, |heart| heart.slope), 0.65, 0.03);
    assert_near(missing(&budapest, |heart| heart.ca), 0.99, 0.01);
    assert_near(missing(&budapest, |heart| heart.thal), 0.90, 0.02);
    assert_near(missing(&zurich, |heart| heart.chol), 0.80, 0.03);
    assert_near(missing(&zurich, |heart| heart.ca), 0.96, 0.02);
}

#[test]
fn findings_move_together_as_they_do_in_patients() {
    for site in SITES {
        let rows = cohort(site);
        let split = site.profile().age.mean;
        let rate = |older: bool| {
            mean(
                rows.iter()
                    .map(|r| &r.heart)
                    .filter(|h| (h.age > split) == older)
                    .map(|h| h.thalach),
            )
        };
        assert!(rate(false) - rate(true) > 8.0, "older hearts reach lower rates");
        let angina = |ill: bool| {
            mean(
                rows.iter()
                    .map(|r| &r.heart)
                    .filter(|h| (h.num > 0) == ill)
                    .map(|h| h.exang),
            )
        };
        assert!(angina(true) - angina(false) > 0.25, "exercise brings angina to the ill");
    }
}

#[test]
fn some_subjects_are_old_enough_for_the_open_age_band() {
    for site in SITES {
        assert!(cohort(site).iter().any(|row| row.heart.age >= 90));
    }
}

#[test]
fn the_csv_has_a_header_one_row_a_subject_and_no_cell_to_quote() {
    let mut csv = Vec::new();
    Cohort::generate(Site::Budapest, 500, 7).write_csv(&mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let mut lines = csv.lines();
    assert_eq!(
        lines.next().unwrap().split(',').collect::<Vec<_>>(),
        [&IDENTITY_COLUMNS[..], &HEART_COLUMNS[..]].concat()
    );
    assert!(csv.contains(",?,") && !csv.contains('"'));
    assert!(lines.clone().all(|line| line.split(',').count() == 18));
    assert_eq!(lines.count(), 500);
}
