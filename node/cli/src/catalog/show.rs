//! `concordat catalog show`: the data dictionary.

use concordat_client::segment;
use concordat_documents::problem::Problem;
use concordat_documents::query::{Catalog, PublishedColumn, PublishedDataset, PublishedKey};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::CollectionRef;
use serde::Serialize;

use crate::context::Context;
use crate::output::{Column, Format};

const COLUMNS: [Column; 6] = [
    ("dataset", "dataset"),
    ("column", "column"),
    ("type", "type"),
    ("class", "class"),
    ("unit", "unit"),
    ("key", "key"),
];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The dataset or the collection, as INSTITUTION/NAME
    #[arg(value_name = "INSTITUTION/NAME")]
    collection: CollectionRef,
}

/// Shows what the holder publishes of each column. As JSON, the datasets as the catalog has them.
pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Problem> {
    let datasets = published(&args.collection, context).await?;
    if context.out.format() == Format::Json {
        return context.out.list(&datasets, &COLUMNS);
    }
    let lines: Vec<Line<'_>> = datasets.iter().flat_map(Line::of_each).collect();
    context.out.list(&lines, &COLUMNS)?;
    for dataset in &datasets {
        context.out.note(&format!(
            "{}: about {} rows; a request can get at most tier `{}`",
            dataset.dataset, dataset.about_rows, dataset.tier
        ));
    }
    Ok(())
}

/// The datasets of a collection, as its holder publishes them.
///
/// # Errors
/// `not_found` if the holder shows none.
pub(super) async fn published(collection: &CollectionRef, context: &Context) -> Result<Vec<PublishedDataset>, Problem> {
    let institution = collection.institution.as_str();
    let path = format!(
        "/v1/catalog?peer={}&dataset={}",
        segment(institution),
        segment(collection.collection.as_str())
    );
    let catalog: Catalog = context.client()?.get(&path).await?;
    let mut datasets = catalog.items;
    datasets.retain(|dataset| dataset.collection == collection.collection);
    if datasets.is_empty() {
        let detail = format!(
            "{institution} publishes no `{}` that you may see",
            collection.collection
        );
        let help = format!("`concordat catalog --peer {institution}` lists what it publishes");
        return Err(Problem::new(ErrorKind::NotFound, detail).help(help));
    }
    Ok(datasets)
}

/// A column in a table.
#[derive(Serialize)]
struct Line<'a> {
    dataset: &'a str,
    column: &'a str,
    r#type: &'a str,
    class: Option<&'a str>,
    unit: Option<&'a str>,
    key: Option<String>,
}

impl<'a> Line<'a> {
    fn of_each(dataset: &'a PublishedDataset) -> impl Iterator<Item = Self> {
        let columns = dataset.columns.iter();
        columns.map(move |column| Self::of(&dataset.dataset, column))
    }

    fn of(dataset: &'a str, column: &'a PublishedColumn) -> Self {
        Self {
            dataset,
            column: column.name.as_str(),
            r#type: &column.kind,
            class: Some(column.class.as_str()).filter(|class| !class.is_empty()),
            unit: column.unit.as_deref(),
            key: column.key.as_ref().map(key),
        }
    }
}

fn key(key: &PublishedKey) -> String {
    match key {
        PublishedKey::Subject => "subject".to_owned(),
        PublishedKey::Own => "own".to_owned(),
        PublishedKey::Of { dataset, column } => format!("{dataset}.{column}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionary_line_names_unit_and_key() {
        let column = |unit: Option<&str>, key| PublishedColumn {
            name: "visit_id".parse().unwrap(),
            kind: "integer".to_owned(),
            class: String::new(),
            unit: unit.map(str::to_owned),
            key,
        };
        let link = PublishedKey::Of {
            dataset: "visit".parse().unwrap(),
            column: "id".parse().unwrap(),
        };
        let shown = column(Some("mmHg"), Some(link));
        let line = serde_json::to_value(Line::of("budapest.omop.note", &shown)).unwrap();
        assert_eq!(line["type"], "integer");
        assert_eq!(line["unit"], "mmHg");
        assert_eq!(line["key"], "visit.id");
        assert!(line["class"].is_null(), "it has none");
        let plain = column(None, None);
        let line = serde_json::to_value(Line::of("budapest.heart", &plain)).unwrap();
        assert!(line["unit"].is_null() && line["key"].is_null());
    }
}
