//! `concordat catalog sample`: invented rows, so that people write their code before they have access.

mod draw;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use concordat_documents::problem::Problem;
use concordat_documents::query::{AnswerRemark, AnswerSummary, PublishedDataset, RemarkKind};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::{CollectionRef, DatasetName, DatasetRef};

use self::rows::Shape;
use super::show::published;
use crate::answer::{Sink, Written};
use crate::context::Context;

/// Rows that are made together.
const CHUNK: u64 = 4096;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The dataset or the collection, as INSTITUTION/NAME
    #[arg(value_name = "INSTITUTION/NAME")]
    collection: CollectionRef,
    /// Rows of each dataset
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rows: u32,
    /// Another number makes other rows
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The file, whose extension (.csv, .parquet, .arrow, .ndjson) selects the format; of a collection of several datasets a new
    /// folder, with a CSV file for each
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes rows that have the columns of what the holder publishes, and no value of it.
pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Problem> {
    let datasets = published(&args.collection, context).await?;
    let named: Result<Vec<(DatasetName, &PublishedDataset)>, Problem> = datasets.iter().map(named).collect();
    let shape = Shape::new(named?);
    let begun = begin(&shape, &args.out)?;
    let count = u64::from(args.rows);
    for ((name, dataset), (path, mut sink)) in shape.datasets().zip(begun) {
        let mut first: u64 = 1;
        while first <= count {
            let end = first.saturating_add(CHUNK).min(count.saturating_add(1));
            let rows = shape.rows((name, dataset), first..end, (args.seed, count));
            let rows = rows.map_err(|error| Problem::internal("the rows cannot be made", &error))?;
            sink.write(&rows)?;
            first = end;
        }
        let Written { notes, .. } = sink.finish(None, &invented(name, dataset))?;
        for note in notes {
            context.out.note(&note);
        }
        context.out.note(&format!(
            "{}: {count} invented rows of `{}`",
            path.display(),
            dataset.dataset
        ));
    }
    Ok(())
}

/// The file of each dataset, begun before the first row is made.
fn begin(shape: &Shape<'_>, out: &Path) -> Result<Vec<(PathBuf, Sink)>, Problem> {
    let names: Vec<&DatasetName> = shape.datasets().map(|(name, _)| name).collect();
    let paths: Vec<PathBuf> = match names.as_slice() {
        [_] => vec![out.to_owned()],
        several => {
            fs::create_dir(out).map_err(|error| {
                Problem::usage(format!("cannot create the folder `{}`: {error}", out.display()))
                    .help("these are several datasets: choose a folder that does not exist")
            })?;
            several.iter().map(|name| out.join(format!("{name}.csv"))).collect()
        }
    };
    let begun = paths.into_iter().map(|path| {
        let sink = Sink::file(&path, false)?;
        Ok((path, sink))
    });
    begun.collect()
}

fn named(dataset: &PublishedDataset) -> Result<(DatasetName, &PublishedDataset), Problem> {
    let reference: Result<DatasetRef, _> = dataset.dataset.parse();
    let reference = reference.map_err(|error| Problem::new(ErrorKind::Internal, error.to_string()))?;
    Ok((reference.dataset, dataset))
}

/// What a reader of the rows has to know, which is kept with them.
fn invented(name: &DatasetName, dataset: &PublishedDataset) -> AnswerSummary {
    let text = format!(
        "every row is invented from the names and types of the columns of `{}`: none is about a person, and nothing follows from them",
        dataset.dataset
    );
    AnswerSummary {
        receipts: Vec::new(),
        notes: vec![text.clone()],
        remarks: vec![AnswerRemark {
            kind: RemarkKind::InventedRows,
            institution: Some(dataset.institution.clone()),
            dataset: Some(name.clone()),
            column: None,
            cells: Vec::new(),
            text,
        }],
    }
}
