//! `concordat catalog`.

use concordat_documents::query::{Catalog, PublishedDataset};
use concordat_protocol::ids::DatasetName;
use concordat_protocol::scope::Tier;
use serde::Serialize;

use crate::context::Context;
use crate::output::Format;
use concordat_client::segment;
use concordat_documents::problem::Problem;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this institution's
    #[arg(long, value_name = "ID")]
    peer: Option<String>,
    /// Only the dataset of this name
    #[arg(value_name = "DATASET")]
    dataset: Option<DatasetName>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Problem> {
    let peer = args.peer.map(|peer| format!("peer={}", segment(&peer)));
    let dataset = args
        .dataset
        .map(|dataset| format!("dataset={}", segment(dataset.as_str())));
    let parameters: Vec<String> = peer.into_iter().chain(dataset).collect();
    let path = match parameters.is_empty() {
        true => "/v1/catalog".to_owned(),
        false => format!("/v1/catalog?{}", parameters.join("&")),
    };
    let catalog: Catalog = context.client()?.get(&path).await?;
    for member in &catalog.unreachable {
        context
            .out
            .note(&format!("{} is not included: {}", member.institution, member.reason));
    }
    let columns = [
        ("dataset", "dataset"),
        ("about rows", "about_rows"),
        ("tier", "tier"),
        ("columns", "columns"),
    ];
    match context.out.format() {
        Format::Json => context.out.list(&catalog.items, &columns),
        Format::Table | Format::Csv => {
            let lines: Vec<Line> = catalog.items.into_iter().map(Line::from).collect();
            context.out.list(&lines, &columns)
        }
    }
}

/// A dataset in a table: its columns by name, on one line.
#[derive(Serialize)]
struct Line {
    dataset: String,
    about_rows: u64,
    tier: Tier,
    columns: String,
}

impl From<PublishedDataset> for Line {
    fn from(published: PublishedDataset) -> Self {
        let names: Vec<String> = published.columns.iter().map(|column| column.name.to_string()).collect();
        Self {
            dataset: published.dataset,
            about_rows: published.about_rows,
            tier: published.tier,
            columns: names.join(", "),
        }
    }
}
