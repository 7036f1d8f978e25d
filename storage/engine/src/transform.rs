//! Transforms the values of a column before they can be released.

use std::{fmt, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, StringArray, StringBuilder, make_array, new_null_array},
    buffer::{Buffer, NullBuffer, OffsetBuffer},
    compute::{DatePart, cast, date_part},
    datatypes::{DataType, Float64Type, Int32Type, Int64Type},
    error::ArrowError,
};
use concordat_keys::{ColumnPseudonyms, PseudonymKey};
use concordat_protocol::scope::{BandWidth, Generalization, Transform};

use super::{QueryError, floats::canonical, shown::shown_field};

/// From this age on there is only one band (45 CFR 164.514(b)(2)(i)(C)).
pub(super) const TOP_AGE: i64 = 90;
/// Length of a pseudonym in bytes, and in hexadecimal digits.
const PSEUDONYM_BYTES: usize = 16;
const PSEUDONYM_DIGITS: usize = 2 * PSEUDONYM_BYTES;

/// A transform that was checked against the type of its column.
#[derive(Clone)]
pub(super) enum Change {
    Keep,
    /// The year, but at least this one.
    Year(i32),
    Band(Arc<Bands>),
    Pseudonym(Box<ColumnPseudonyms>),
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "keep",
            Self::Year(_) => "year",
            Self::Band(_) => "band",
            Self::Pseudonym(_) => "pseudonym",
        })
    }
}

impl Change {
    /// The transform of a visible column; `None` for a removed one.
    ///
    /// # Errors
    /// [`QueryError::TransformMismatch`] if the type does not support the transform.
    pub(super) fn of(
        transform: Transform,
        column: &str,
        found: &DataType,
        key: &PseudonymKey,
        oldest_year: i32,
    ) -> Result<Option<Self>, QueryError> {
        Self::with(transform, (column, found), oldest_year, || key.of_column(column))
    }

    /// The same for a column, with its type, whose pseudonyms `pseudonyms` makes.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(super) fn with(
        transform: Transform,
        (column, found): (&str, &DataType),
        oldest_year: i32,
        pseudonyms: impl FnOnce() -> ColumnPseudonyms,
    ) -> Result<Option<Self>, QueryError> {
        if shown_field("", column, found, transform)?.is_none() {
            return Ok(None);
        }
        Ok(match transform {
            // No type supports levels yet, which was an error above.
            Transform::Removed | Transform::Generalized(Generalization::Levels) => None,
            Transform::Clear => Some(Self::Keep),
            Transform::Generalized(Generalization::Year) => Some(Self::Year(oldest_year)),
            Transform::Generalized(Generalization::AgeBand(width)) => Some(Self::Band(Arc::new(Bands::new(width)))),
            Transform::Pseudonym => Some(Self::Pseudonym(Box::new(pseudonyms()))),
        })
    }

    pub(super) const fn is_clear(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// The transformed values, one for each input value.
    pub(super) fn apply(&self, values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Keep => Ok(canonical(Arc::clone(values))),
            Self::Year(oldest) => Ok(capped(&year(values)?, *oldest)),
            Self::Band(bands) => bands.apply(values),
            Self::Pseudonym(column) => pseudonyms(column.as_ref().clone(), values),
        }
    }
}

/// The year in UTC.
fn year(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let DataType::Timestamp(unit, Some(_)) = values.data_type() else {
        return date_part(values, DatePart::Year);
    };
    let naive = values
        .to_data()
        .into_builder()
        .data_type(DataType::Timestamp(*unit, None))
        .build()?;
    date_part(&make_array(naive), DatePart::Year)
}

/// The years, with all before `oldest` replaced by `oldest`: a person who may be 90 cannot be distinguished from older
/// ones.
fn capped(years: &ArrayRef, oldest: i32) -> ArrayRef {
    match years.as_primitive_opt::<Int32Type>() {
        Some(years) => Arc::new(years.unary::<_, Int32Type>(|year| year.max(oldest))),
        None => new_null_array(&DataType::Int32, years.len()),
    }
}

/// Name and least age of each band of one width, in their order.
pub(super) fn bands(width: BandWidth) -> impl Iterator<Item = (String, i64)> {
    let width = width.years();
    let below = (0..TOP_AGE / width).map(move |band| {
        let least = band * width;
        (format!("{least}-{}", least + width - 1), least)
    });
    below.chain([(format!("{TOP_AGE}+"), TOP_AGE)])
}

/// The bands of one width, by age.
#[derive(Debug)]
pub(super) struct Bands {
    /// The name of the band of each age up to [`TOP_AGE`]: looked up faster than an age is divided.
    names: Vec<String>,
}

impl Bands {
    fn new(width: BandWidth) -> Self {
        let bands: Vec<(String, i64)> = bands(width).collect();
        let of_age = |age: i64| bands.iter().rfind(|(_, least)| *least <= age);
        let names = (0..=TOP_AGE).filter_map(|age| of_age(age).map(|(name, _)| name.clone()));
        Self { names: names.collect() }
    }

    fn apply(&self, ages: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        if let Some(ages) = ages.as_primitive_opt::<Int64Type>() {
            return Ok(self.collect(ages.len(), ages.iter()));
        }
        let Some(ages) = ages.as_primitive_opt::<Float64Type>() else {
            return Err(ArrowError::InvalidArgumentError("ages are numbers".to_owned()));
        };
        Ok(self.collect(ages.len(), ages.iter().map(|age| age.and_then(whole_years))))
    }

    fn collect(&self, len: usize, ages: impl Iterator<Item = Option<i64>>) -> ArrayRef {
        let mut bands = StringBuilder::with_capacity(len, len.saturating_mul(5));
        for age in ages {
            bands.append_option(age.and_then(|age| self.name(age)));
        }
        Arc::new(bands.finish())
    }

    fn name(&self, age: i64) -> Option<&str> {
        let age = usize::try_from(age.min(TOP_AGE)).ok()?;
        self.names.get(age).map(String::as_str)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the number is between 0 and 90")]
fn whole_years(age: f64) -> Option<i64> {
    (age >= 0.0).then(|| age.min(90.0).floor() as i64)
}

/// Keyed BLAKE3 of the value as text, its first 128 bits in hexadecimal.
#[expect(clippy::wildcard_enum_match_arm, reason = "only timestamps have a time zone to drop")]
fn pseudonyms(column: ColumnPseudonyms, values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if let Some(texts) = values.as_string_view_opt() {
        return pseudonyms_of(column, texts.iter(), texts.nulls());
    }
    let naive = match values.data_type() {
        DataType::Timestamp(..) => cast(values, &DataType::Int64)?,
        _ => Arc::clone(values),
    };
    let texts = cast(&naive, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    pseudonyms_of(column, texts.iter(), texts.nulls())
}

/// The pseudonyms of `texts`, of which `nulls` states which are missing. Their digits are collected first and checked as one text.
fn pseudonyms_of<'a>(
    mut column: ColumnPseudonyms,
    texts: impl ExactSizeIterator<Item = Option<&'a str>>,
    nulls: Option<&NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let mut lengths = Vec::with_capacity(texts.len());
    let mut digits = Vec::with_capacity(texts.len());
    for text in texts {
        lengths.push(text.map_or(0, |_| PSEUDONYM_DIGITS));
        digits.extend(text.map(|text| hexadecimal(column.pseudonym(text))));
    }
    let digits = Buffer::from_vec(digits.into_flattened().into_flattened());
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0).cloned();
    let pseudonyms = StringArray::try_new(OffsetBuffer::from_lengths(lengths), digits, nulls)?;
    Ok(Arc::new(pseudonyms))
}

/// The two digits of each byte.
fn hexadecimal(bytes: [u8; PSEUDONYM_BYTES]) -> [[u8; 2]; PSEUDONYM_BYTES] {
    bytes.map(|byte| [digit(byte >> 4), digit(byte & 15)])
}

/// The digit of a number below 16, without a branch that depends on it.
const fn digit(number: u8) -> u8 {
    const LETTERS: u8 = b'a' - b'0' - 10;
    number + b'0' + LETTERS * (number > 9) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Float64Array, Int64Array, StringViewArray};
    use concordat_keys::PseudonymSecret;

    fn texts(array: &ArrayRef) -> Vec<Option<&str>> {
        array.as_string::<i32>().iter().collect()
    }

    fn start(hasher: &blake3::Hasher) -> String {
        hasher.finalize().to_hex().chars().take(PSEUDONYM_DIGITS).collect()
    }

    #[test]
    fn pseudonym_is_the_start_of_the_hash_in_hexadecimal() {
        let key = PseudonymSecret::random().unwrap().key(Some(&[7; 16]));
        let long = "a value that is longer than one block of the hash, which has 64 bytes, and than two of them, which have 128";
        let values = [Some("R00000001"), None, Some(""), Some(long), Some("R00000001")];
        let expected = values.map(|value| {
            let mut hasher = key.column_hasher("record_number");
            value.map(|value| start(hasher.update(value.as_bytes())))
        });
        let change = Change::Pseudonym(Box::new(key.of_column("record_number")));
        let stored: [ArrayRef; 2] = [
            Arc::new(StringViewArray::from(values.to_vec())),
            Arc::new(StringArray::from(values.to_vec())),
        ];
        for stored in stored {
            let found = change.apply(&stored).unwrap();
            assert_eq!(texts(&found), expected.each_ref().map(Option::as_deref));
        }
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, -2]));
        let found = change.apply(&numbers).unwrap();
        let number = |text: &[u8]| start(key.column_hasher("record_number").update(text));
        let expected = [number(b"1"), number(b"1"), number(b"-2")];
        assert_eq!(texts(&found), expected.each_ref().map(|text| Some(text.as_str())));
    }

    #[test]
    fn every_byte_has_its_two_hexadecimal_digits() {
        for byte in 0..=u8::MAX {
            let digits = hexadecimal([byte; PSEUDONYM_BYTES]);
            assert!(
                digits.iter().all(|two| *two == format!("{byte:02x}").as_bytes()),
                "{byte}"
            );
        }
    }

    #[test]
    fn ages_become_bands_and_impossible_ages_null() {
        let ages: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(0),
            Some(49),
            Some(50),
            Some(89),
            Some(90),
            Some(130),
            Some(-1),
            None,
        ]));
        let ten = Bands::new(BandWidth::Ten).apply(&ages).unwrap();
        assert_eq!(
            texts(&ten),
            [
                Some("0-9"),
                Some("40-49"),
                Some("50-59"),
                Some("80-89"),
                Some("90+"),
                Some("90+"),
                None,
                None
            ]
        );
        let ages: ArrayRef = Arc::new(Float64Array::from(vec![44.9, 45.0, 89.99, 1e300, -0.5, f64::NAN]));
        let five = Bands::new(BandWidth::Five).apply(&ages).unwrap();
        assert_eq!(
            texts(&five),
            [Some("40-44"), Some("45-49"), Some("85-89"), Some("90+"), None, None]
        );
    }

    #[test]
    fn dates_become_years_before_and_after_1970() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(-1), Some(0), Some(20_000), None]));
        let years = |oldest| {
            let years = Change::Year(oldest).apply(&days).unwrap();
            years.as_primitive::<Int32Type>().iter().collect::<Vec<_>>()
        };
        assert_eq!(years(0), [Some(1969), Some(1970), Some(2024), None]);
        assert_eq!(years(1970), [Some(1970), Some(1970), Some(2024), None]);
        assert_eq!(years(2000), [Some(2000), Some(2000), Some(2024), None]);
    }

    /// If two people are 90 or older before a grant ends, it shows the same values for both.
    #[test]
    fn age_ninety_is_indistinguishable_from_older_ages() {
        let end = 2026;
        let oldest = end - i32::try_from(TOP_AGE).unwrap();
        let born = |year: i32| (year - 1970) * 365 + (year - 1968).div_euclid(4) + 200;
        for (width, age) in [(BandWidth::Five, 90), (BandWidth::Ten, 90)]
            .into_iter()
            .flat_map(|(w, _)| (90..120).map(move |a| (w, a)))
        {
            let days: ArrayRef = Arc::new(Date32Array::from(vec![
                born(end - 90),
                born(end - i32::try_from(age).unwrap()),
            ]));
            let years = Change::Year(oldest).apply(&days).unwrap();
            let years = years.as_primitive::<Int32Type>();
            assert_eq!(years.value(0), years.value(1), "{age}");
            let ages: ArrayRef = Arc::new(Int64Array::from(vec![90, age]));
            let bands = Bands::new(width).apply(&ages).unwrap();
            assert_eq!(texts(&bands)[0], texts(&bands)[1], "{age}");
        }
        let younger: ArrayRef = Arc::new(Date32Array::from(vec![born(end - 90), born(end - 89)]));
        let years = Change::Year(oldest).apply(&younger).unwrap();
        let years = years.as_primitive::<Int32Type>();
        assert_ne!(years.value(0), years.value(1), "a younger person is distinguishable");
    }
}
