//! Synthetic heart-disease cohorts for the demonstration.
//!
//! The rows have the shape of the four-hospital heart study of the UCI repository (Detrano et al., 1989): the same fourteen
//! columns, the same codes, `?` for what was not measured. The distributions are drawn, not copied: a subject's age and sex
//! decide how likely the disease is, and the disease moves the other findings in the direction a cardiologist would expect.
//! The hospitals differ as the real ones do: Budapest hardly ever records `slope`, `ca` and `thal`, Zurich examines mostly
//! ill men and hardly ever measures `chol`.
//!
//! They are preceded by four columns that the published study does not have, a record number, a name, a birth date and a
//! postcode, so that there is something to protect. No row describes a person.
//!
//! Everything follows from `(site, seed)`: no clock, no entropy, integers only. A longer cohort starts with the shorter one.

mod names;
mod profile;
mod rng;
mod site;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use profile::Profile;
use rng::{Normal, SplitMix64};
pub use site::Site;

/// The fourteen columns of the heart study in the order of its files, which on the UCI server come without a header.
pub const HEART_COLUMNS: [&str; 14] = [
    "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "slope", "ca", "thal",
    "num",
];

/// The columns a generated cohort has in front of [`HEART_COLUMNS`]: all of them identify a subject, alone or together.
pub const IDENTITY_COLUMNS: [&str; 4] = ["record_number", "name", "birth_date", "postcode"];

/// The year at whose end every subject is examined: age and birth date agree on that day.
const EXAMINED_IN: i64 = 2025;

/// One examined subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CohortRow {
    /// The hospital's number of the subject, such as `CLV-0001234`; unique within a cohort of up to ten million.
    pub record_number: String,
    /// Given and family name in the order of the country.
    pub name: String,
    /// Birth date as `YYYY-MM-DD`.
    pub birth_date: String,
    /// Postcode of the home address.
    pub postcode: String,
    /// The findings.
    pub heart: HeartRecord,
}

/// The findings of one examination; `None` is what was not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartRecord {
    /// Age in years.
    pub age: i64,
    /// 1 male, 0 female.
    pub sex: i64,
    /// Chest pain: 1 typical angina, 2 atypical angina, 3 other pain, 4 none.
    pub cp: i64,
    /// Resting blood pressure in mmHg.
    pub trestbps: i64,
    /// Serum cholesterol in mg/dl.
    pub chol: Option<i64>,
    /// 1 if the fasting blood sugar is above 120 mg/dl.
    pub fbs: Option<i64>,
    /// Resting electrocardiogram: 0 normal, 1 ST-T abnormality, 2 left ventricular hypertrophy.
    pub restecg: i64,
    /// Highest heart rate reached, in beats a minute.
    pub thalach: i64,
    /// 1 if exercise brought on angina.
    pub exang: i64,
    /// ST depression by exercise, in tenths of a millimeter; the file shows millimeters.
    pub oldpeak_tenths: i64,
    /// Slope of the ST segment at peak exercise: 1 up, 2 flat, 3 down.
    pub slope: Option<i64>,
    /// Major vessels colored by fluoroscopy, 0 to 3.
    pub ca: Option<i64>,
    /// Thallium scan: 3 normal, 6 fixed defect, 7 reversible defect.
    pub thal: Option<i64>,
    /// Diagnosis: 0 no narrowing above 50 %, 1 to 4 by severity.
    pub num: i64,
}

impl HeartRecord {
    /// The cells in the order of [`HEART_COLUMNS`], `?` for what was not recorded.
    pub fn cells(&self) -> [String; 14] {
        let cell = |value: Option<i64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        [
            self.age.to_string(),
            self.sex.to_string(),
            self.cp.to_string(),
            self.trestbps.to_string(),
            cell(self.chol),
            cell(self.fbs),
            self.restecg.to_string(),
            self.thalach.to_string(),
            self.exang.to_string(),
            format!("{}.{}", self.oldpeak_tenths / 10, self.oldpeak_tenths % 10),
            cell(self.slope),
            cell(self.ca),
            cell(self.thal),
            self.num.to_string(),
        ]
    }
}

/// The subjects of one hospital, drawn one after the other.
#[derive(Debug, Clone)]
pub struct Cohort {
    site: Site,
    rng: SplitMix64,
    drawn: u64,
    left: usize,
}

impl Cohort {
    /// A cohort of `subjects` rows; the same `site` and `seed` give the same rows on every machine.
    pub fn generate(site: Site, subjects: usize, seed: u64) -> Self {
        Self {
            site,
            rng: SplitMix64::new(seed ^ site.stream()),
            drawn: 0,
            left: subjects,
        }
    }

    /// Writes the header and all remaining rows as CSV in UTF-8. No cell needs quoting.
    ///
    /// # Errors
    /// The error of `out`.
    pub fn write_csv(self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{},{}", IDENTITY_COLUMNS.join(","), HEART_COLUMNS.join(","))?;
        for row in self {
            let CohortRow {
                record_number,
                name,
                birth_date,
                postcode,
                heart,
            } = row;
            writeln!(
                out,
                "{record_number},{name},{birth_date},{postcode},{}",
                heart.cells().join(",")
            )?;
        }
        Ok(())
    }

    fn draw(&mut self) -> CohortRow {
        let heart = draw_heart(self.site.profile(), &mut self.rng);
        let profile = self.site.profile();
        let postcode = profile.first_postcode + self.rng.below(profile.postcodes);
        CohortRow {
            record_number: record_number(profile, self.drawn),
            name: names::draw(self.site, heart.sex == 1, &mut self.rng),
            birth_date: birth_date(heart.age, &mut self.rng),
            postcode: postcode.to_string(),
            heart,
        }
    }
}

impl Iterator for Cohort {
    type Item = CohortRow;

    fn next(&mut self) -> Option<CohortRow> {
        self.left = self.left.checked_sub(1)?;
        let row = self.draw();
        self.drawn += 1;
        Some(row)
    }
}

/// Distributes the numbers: the step has no common factor with the modulus, so none occurs twice.
fn record_number(profile: &Profile, drawn: u64) -> String {
    const NUMBERS: u64 = 10_000_000;
    const STEP: u64 = 7_919;
    format!(
        "{}-{:07}",
        profile.record_prefix,
        (1_234 + drawn % NUMBERS * STEP) % NUMBERS
    )
}

fn birth_date(age: i64, rng: &mut SplitMix64) -> String {
    let month = 1 + rng.below(12);
    let day = 1 + rng.below(28);
    format!("{}-{month:02}-{day:02}", EXAMINED_IN - age)
}

fn draw_heart(profile: &Profile, rng: &mut SplitMix64) -> HeartRecord {
    let age = draw_age(profile, rng);
    let older = age - profile.age.mean;
    let male = rng.chance(profile.male);
    let num = draw_diagnosis(profile, older, male, rng);
    let ill = num > 0;
    let missing = &profile.missing;
    HeartRecord {
        age,
        sex: i64::from(male),
        cp: rng.weighted(if ill {
            [(1, 5), (2, 6), (3, 13), (4, 76)]
        } else {
            [(1, 10), (2, 25), (3, 42), (4, 23)]
        }),
        trestbps: (rng.normal(profile.trestbps) + older / 2).clamp(80, 220),
        chol: recorded(missing.chol, (rng.normal(profile.chol) + older).clamp(90, 600), rng),
        fbs: recorded(missing.fbs, i64::from(rng.chance(profile.fasting_sugar_high)), rng),
        restecg: rng.weighted(profile.restecg),
        thalach: (rng.normal(profile.thalach) - older + if ill { -10 } else { 10 }).clamp(60, 205),
        exang: i64::from(rng.chance(if ill { 550 } else { 140 })),
        oldpeak_tenths: rng.normal(if ill { OLDPEAK_ILL } else { OLDPEAK_WELL }).clamp(0, 62),
        slope: recorded(
            missing.slope,
            rng.weighted(if ill { SLOPE_ILL } else { SLOPE_WELL }),
            rng,
        ),
        ca: recorded(missing.ca, rng.weighted(if ill { CA_ILL } else { CA_WELL }), rng),
        thal: recorded(missing.thal, rng.weighted(if ill { THAL_ILL } else { THAL_WELL }), rng),
        num,
    }
}

const OLDPEAK_WELL: Normal = Normal { mean: 3, deviation: 8 };
const OLDPEAK_ILL: Normal = Normal {
    mean: 14,
    deviation: 12,
};
const SLOPE_WELL: [(i64, u64); 3] = [(1, 65), (2, 32), (3, 3)];
const SLOPE_ILL: [(i64, u64); 3] = [(1, 25), (2, 65), (3, 10)];
const CA_WELL: [(i64, u64); 4] = [(0, 80), (1, 15), (2, 4), (3, 1)];
const CA_ILL: [(i64, u64); 4] = [(0, 33), (1, 32), (2, 22), (3, 13)];
const THAL_WELL: [(i64, u64); 3] = [(3, 79), (6, 4), (7, 17)];
const THAL_ILL: [(i64, u64); 3] = [(3, 27), (6, 8), (7, 65)];

/// Most ages follow the hospital's curve; one subject in two hundred is 85 to 94, because the rarest ages are the most
/// identifying.
fn draw_age(profile: &Profile, rng: &mut SplitMix64) -> i64 {
    let usual = rng.normal(profile.age).clamp(28, 79);
    let very_old = 85 + rng.below(10).cast_signed();
    if rng.chance(5) { very_old } else { usual }
}

/// Age raises the risk by 8 per thousand a year; being male moves it up, being female down.
fn draw_diagnosis(profile: &Profile, older: i64, male: bool, rng: &mut SplitMix64) -> i64 {
    let risk = profile.ill + 8 * older + if male { 50 } else { -120 };
    let severity = rng.weighted(profile.severity);
    let ill = rng.chance(risk.clamp(20, 980).unsigned_abs());
    if ill { severity } else { 0 }
}

fn recorded(missing: u64, value: i64, rng: &mut SplitMix64) -> Option<i64> {
    (!rng.chance(missing)).then_some(value)
}
