//! `concordat collection show`: one screen.

use std::num::NonZeroU32;

use concordat_documents::collection::Collection;
use concordat_documents::problem::Problem;
use concordat_protocol::ids::{CollectionName, SegmentName};
use concordat_protocol::schema::VersionNumber;
use serde::Serialize;

use crate::context::Context;
use crate::output::{Column, Format};

const DATASETS: [Column; 9] = [
    ("dataset", "name"),
    ("kind", "kind"),
    ("one row a subject", "one_row_a_subject"),
    ("rows", "rows"),
    ("without owner", "unowned"),
    ("columns", "columns"),
    ("with levels", "with_levels"),
    ("proposed", "proposed"),
    ("unclassified", "unclassified"),
];
const UNCLASSIFIED: [Column; 2] = [("dataset", "dataset"), ("columns without a class", "columns")];

/// A collection without its lists.
#[derive(Serialize)]
struct Rest<'a> {
    name: &'a CollectionName,
    segment: &'a SegmentName,
    version: VersionNumber,
    oldest_version: VersionNumber,
    keep: Option<NonZeroU32>,
    subjects: u32,
    published: bool,
}

/// In table format, datasets and columns without a class are separate tables below the rest.
pub(super) fn show(collection: &Collection, context: &Context) -> Result<(), Problem> {
    let out = &context.out;
    match out.format() {
        Format::Json => out.record(collection),
        Format::Csv => out.list(&collection.datasets, &DATASETS),
        Format::Table => {
            out.record(&Rest {
                name: &collection.name,
                segment: &collection.segment,
                version: collection.version,
                oldest_version: collection.oldest_version,
                keep: collection.keep,
                subjects: collection.subjects,
                published: collection.published,
            })?;
            out.text("\n")?;
            out.list(&collection.datasets, &DATASETS)?;
            if collection.unclassified.is_empty() {
                return Ok(());
            }
            out.text("\n")?;
            out.list(&collection.unclassified, &UNCLASSIFIED)
        }
    }
}
