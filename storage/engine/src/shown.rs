//! The columns that a grant shows, and the form in which it shows them.
//!
//! A generalized or pseudonymous column does not have the meaning of the column that is stored: a band of ages is a text, and still not
//! a text to compare with other texts. So the form is part of the schema, as metadata of the field, and the checks of
//! [`meaning`](crate::meaning()) read it there. Provider and consumer derive the schema with the same function.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use concordat_protocol::{
    ids::ColumnName,
    schema::ColumnKind,
    scope::{BandWidth, Columns, Generalization, Transform},
};

use super::QueryError;

/// Key of the form: `band-5`, `band-10`, `year`, `pseudonym`, or `clear` where a computed column would inherit another one.
pub(crate) const FORM: &str = "concordat.form";
/// Key of the kind that is stored, for bands and years.
const STORED: &str = "concordat.stored";
/// Key of the oldest year, for years: it and all years before it are shown as it.
const OLDEST: &str = "concordat.oldest";
/// Key of whose pseudonyms a column has, and of which domain.
const ORIGIN: &str = "concordat.origin";
/// The value of [`FORM`] of a column without a form of its own.
pub(crate) const CLEAR: &str = "clear";

const BAND_5: &str = "band-5";
const BAND_10: &str = "band-10";
const YEAR: &str = "year";
const PSEUDONYM: &str = "pseudonym";
const WHOLE: &str = "whole-numbers";
const DATE: &str = "dates";

/// What a grant shows of one stored column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownColumn {
    /// Its name.
    pub name: String,
    /// What is stored.
    pub kind: ColumnKind,
    /// How it is shown.
    pub transform: Transform,
}

/// The form of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is stored, or computed.
    Clear,
    /// Bands of ages, as text.
    Band(BandWidth),
    /// The year of a date or timestamp, as a whole number.
    Year,
    /// Pseudonyms, as text.
    Pseudonym,
}

/// A form with what decides comparisons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// No form.
    Clear,
    /// Bands; whether the stored ages are whole numbers.
    Band { width: BandWidth, whole: bool },
    /// Years.
    Year(Years),
    /// Pseudonyms of this origin.
    Pseudonym { origin: String },
}

/// What decides comparisons of years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Years {
    /// Whether the stored values are dates, without a time of day.
    pub(crate) dates: bool,
    /// This year and all before it are shown as it; `None` if every year is shown as itself.
    pub(crate) oldest: Option<i32>,
}

/// The columns as a grant shows them: nullable, with their Arrow types ([`DataType::Utf8`] for text, bands and pseudonyms,
/// [`DataType::Int32`] for years), the form as metadata; removed columns are left out.
///
/// `origin` names whose pseudonyms these are, by dataset and grant: two pseudonyms are comparable only if origin and column agree. From
/// which year on years are distinguished is added by [`with_oldest_year`].
///
/// # Errors
/// [`QueryError::TransformMismatch`] if a kind does not support its transform.
pub fn shown_schema(origin: &str, columns: &[ShownColumn]) -> Result<SchemaRef, QueryError> {
    shown_dataset(origin, columns, &|column| column.to_owned())
}

/// The columns of a dataset of a collection, as [`shown_schema`]: `origin` is that of the collection, and `domain_of` a column is the text of
/// its [`KeyDomain`](concordat_protocol::collection::KeyDomain). Pseudonyms are comparable if their origins and domains agree, whatever the
/// columns are called.
///
/// # Errors
/// As [`shown_schema`].
pub fn shown_dataset(
    origin: &str,
    columns: &[ShownColumn],
    domain_of: &dyn Fn(&str) -> String,
) -> Result<SchemaRef, QueryError> {
    let fields = columns.iter().map(|column| {
        let stored = data_type(column.kind);
        let origin = pseudonym_origin(origin, &domain_of(&column.name));
        shown_field(&origin, &column.name, &stored, column.transform)
    });
    let fields: Result<Vec<Option<Field>>, _> = fields.collect();
    Ok(Arc::new(Schema::new(fields?.into_iter().flatten().collect::<Vec<_>>())))
}

/// The same columns where `oldest` and all years before it are shown as `oldest`, which is
/// [`Window::oldest_year`](concordat_protocol::scope::Window::oldest_year) of the permission. A column that has a later one keeps it.
///
/// A consumer may state a later year than the provider's: then it refuses comparisons that the provider would compute, and never the
/// reverse.
#[must_use]
pub fn with_oldest_year(shown: &Schema, oldest: i32) -> Schema {
    let field = |field: &Arc<Field>| match shape_of(field) {
        Shape::Year(years) => {
            let shape = Shape::Year(Years {
                oldest: years.oldest.max(Some(oldest)),
                ..years
            });
            Arc::new(field.as_ref().clone().with_metadata(metadata(&shape)))
        }
        Shape::Clear | Shape::Band { .. } | Shape::Pseudonym { .. } => Arc::clone(field),
    };
    Schema::new(shown.fields().iter().map(field).collect::<Vec<_>>())
}

/// The column `left` for the values of `right` too: bands or years, with what is true of both. `None` if the two are not shown in the same
/// form, or not in one of these.
#[must_use]
pub fn with_values_of(left: &Field, right: &Field) -> Option<Field> {
    let shape = in_common(&shape_of(left), &shape_of(right))?;
    Some(left.clone().with_metadata(metadata(&shape)))
}

/// What is true of the values of two columns of bands, or of two of years.
pub(crate) fn in_common(left: &Shape, right: &Shape) -> Option<Shape> {
    match (left, right) {
        (
            Shape::Band { width, whole },
            Shape::Band {
                width: other,
                whole: also,
            },
        ) if width == other => Some(Shape::Band {
            width: *width,
            whole: *whole && *also,
        }),
        (Shape::Year(left), Shape::Year(right)) => Some(Shape::Year(Years {
            dates: left.dates && right.dates,
            oldest: left.oldest.max(right.oldest),
        })),
        (Shape::Clear | Shape::Band { .. } | Shape::Year(_) | Shape::Pseudonym { .. }, _) => None,
    }
}

/// The form of a column of [`shown_schema`], or of a plan over it.
#[must_use]
pub fn form_of(field: &Field) -> Form {
    match shape_of(field) {
        Shape::Clear => Form::Clear,
        Shape::Band { width, .. } => Form::Band(width),
        Shape::Year(_) => Form::Year,
        Shape::Pseudonym { .. } => Form::Pseudonym,
    }
}

/// The form of a column, with what decides comparisons.
pub(crate) fn shape_of(field: &Field) -> Shape {
    let metadata = field.metadata();
    let value = |key: &str| metadata.get(key).map(String::as_str);
    let band = |width| Shape::Band {
        width,
        whole: value(STORED) == Some(WHOLE),
    };
    match value(FORM) {
        Some(BAND_5) => band(BandWidth::Five),
        Some(BAND_10) => band(BandWidth::Ten),
        Some(YEAR) => Shape::Year(Years {
            dates: value(STORED) == Some(DATE),
            oldest: value(OLDEST).and_then(|year| year.parse().ok()),
        }),
        Some(PSEUDONYM) => Shape::Pseudonym {
            origin: value(ORIGIN).unwrap_or_default().to_owned(),
        },
        _ => Shape::Clear,
    }
}

/// The metadata of a column of this shape.
pub(crate) fn metadata(shape: &Shape) -> HashMap<String, String> {
    let (form, stored, oldest, origin) = match shape {
        Shape::Clear => return HashMap::new(),
        Shape::Band { width, whole } => (band(*width), whole.then_some(WHOLE), None, None),
        Shape::Year(years) => (YEAR, years.dates.then_some(DATE), years.oldest, None),
        Shape::Pseudonym { origin } => (PSEUDONYM, None, None, Some(origin)),
    };
    let mut stated = HashMap::from([(FORM.to_owned(), form.to_owned())]);
    stated.extend(stored.map(|kind| (STORED.to_owned(), kind.to_owned())));
    stated.extend(oldest.map(|year| (OLDEST.to_owned(), year.to_string())));
    stated.extend(origin.map(|origin| (ORIGIN.to_owned(), origin.clone())));
    stated
}

/// Whose pseudonyms the columns of a domain have.
pub(crate) fn pseudonym_origin(origin: &str, domain: &str) -> String {
    format!("{origin}/{domain}")
}

/// One column as a grant shows it; `None` if it is removed. `origin` is that of its pseudonyms ([`pseudonym_origin`]).
///
/// # Errors
/// [`QueryError::TransformMismatch`] if the stored type does not support the transform.
pub(crate) fn shown_field(
    origin: &str,
    name: &str,
    stored: &DataType,
    transform: Transform,
) -> Result<Option<Field>, QueryError> {
    let field = |shown: DataType, shape: &Shape| Some(Field::new(name, shown, true).with_metadata(metadata(shape)));
    let year = |dates| Shape::Year(Years { dates, oldest: None });
    let band = |width, whole| Shape::Band { width, whole };
    let shown = match (transform, stored) {
        (Transform::Removed, _) => None,
        (Transform::Clear, stored) => field(stored.clone(), &Shape::Clear),
        (Transform::Generalized(Generalization::Year), DataType::Date32) => field(DataType::Int32, &year(true)),
        (Transform::Generalized(Generalization::Year), DataType::Timestamp(..)) => field(DataType::Int32, &year(false)),
        (Transform::Generalized(Generalization::AgeBand(width)), DataType::Int64) => {
            field(DataType::Utf8, &band(width, true))
        }
        (Transform::Generalized(Generalization::AgeBand(width)), DataType::Float64) => {
            field(DataType::Utf8, &band(width, false))
        }
        (Transform::Pseudonym, stored) if has_pseudonym(stored) => {
            let origin = origin.to_owned();
            field(DataType::Utf8, &Shape::Pseudonym { origin })
        }
        (Transform::Generalized(_) | Transform::Pseudonym, _) => {
            return Err(QueryError::TransformMismatch {
                column: name.to_owned(),
                found: stored.to_string(),
                transform: transform.to_string(),
            });
        }
    };
    Ok(shown)
}

/// The stored columns that `columns` of a scope show, in their order; `origin_of` a column is that of its pseudonyms.
///
/// # Errors
/// [`QueryError::TransformMismatch`] if a stored type does not support its transform.
pub(crate) fn shown_of(
    stored: &Schema,
    columns: &Columns,
    origin_of: &dyn Fn(&ColumnName) -> String,
    oldest_year: i32,
) -> Result<Schema, QueryError> {
    let mut fields = Vec::new();
    for field in stored.fields() {
        let transform = columns.iter().find(|(name, _)| name.as_str() == field.name());
        if let Some((name, transform)) = transform {
            fields.extend(shown_field(
                &origin_of(name),
                field.name(),
                field.data_type(),
                transform,
            )?);
        }
    }
    Ok(with_oldest_year(&Schema::new(fields), oldest_year))
}

/// The same columns as the engine reads them: stored text as views into the pages that it was read from.
pub(crate) fn as_read(shown: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| match (field.data_type(), shape_of(field)) {
        (DataType::Utf8, Shape::Clear) => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(shown.fields().iter().map(field).collect::<Vec<_>>()))
}

const fn band(width: BandWidth) -> &'static str {
    match width {
        BandWidth::Five => BAND_5,
        BandWidth::Ten => BAND_10,
    }
}

const fn has_pseudonym(stored: &DataType) -> bool {
    matches!(
        stored,
        DataType::Int64 | DataType::Utf8 | DataType::Date32 | DataType::Float64 | DataType::Timestamp(..)
    )
}

/// The Arrow type of a stored column, the same as at an import.
fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Int => DataType::Int64,
        ColumnKind::Float => DataType::Float64,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Date => DataType::Date32,
        ColumnKind::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
        ColumnKind::TimestampUtc => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        ColumnKind::Text => DataType::Utf8,
    }
}

/// The same columns without metadata.
pub(crate) fn bare_schema(schema: &Schema) -> Schema {
    let field = |field: &Arc<arrow::datatypes::Field>| field.as_ref().clone().with_metadata(HashMap::new());
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}
