//! `concordat catalog`.

mod sample;
mod show;

use clap::Subcommand;
use concordat_documents::query::{Catalog, PublishedDataset};
use concordat_protocol::ids::DatasetName;
use concordat_protocol::scope::Tier;
use serde::Serialize;

use crate::context::Context;
use crate::output::Format;
use concordat_client::segment;
use concordat_documents::problem::Problem;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only this institution's
    #[arg(long, value_name = "ID")]
    peer: Option<String>,
    /// Only the dataset of this name, or the datasets of the collection of this name
    #[arg(value_name = "DATASET")]
    dataset: Option<DatasetName>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The data dictionary of a dataset or a collection of another institution: columns, types, classes, units and keys
    Show(show::Args),
    /// Invented rows with the same columns, to write code before there is a grant
    Sample(sample::Args),
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Problem> {
    match args.command {
        Some(Command::Show(args)) => show::run(&args, context).await,
        Some(Command::Sample(args)) => sample::run(&args, context).await,
        None => list(args.peer, args.dataset, context).await,
    }
}

async fn list(peer: Option<String>, dataset: Option<DatasetName>, context: &Context) -> Result<(), Problem> {
    let peer = peer.map(|peer| format!("peer={}", segment(&peer)));
    let dataset = dataset.map(|dataset| format!("dataset={}", segment(dataset.as_str())));
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
