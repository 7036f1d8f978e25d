//! `concordat query`.

use std::path::PathBuf;

use concordat_documents::problem::Problem;
use concordat_documents::query::{AnswerEnd, QueryRequest};
use concordat_protocol::scope::Purpose;

use crate::answer::{Reader, Sink};
use crate::context::Context;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// One SELECT; tables are `institution.dataset`, and `consortium.dataset` for all members that share it. For your own
    /// datasets also `institution.dataset VERSION AS OF number`
    sql: String,
    /// The purpose, if the grants permit several
    #[arg(long)]
    purpose: Option<Purpose>,
    /// Write the rows to FILE; its extension (.csv, .parquet, .arrow, .ndjson) selects the format
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write CSV that is safe to open in a spreadsheet: cells that would be formulas begin with an apostrophe, and characters
    /// that change the direction of text or are invisible are replaced
    #[arg(long)]
    spreadsheet_safe: bool,
}

/// Writes the rows as they arrive. If an answer ends early, its rows stay on standard output, where they were
/// already visible, but no file is left.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Problem> {
    let request = QueryRequest {
        sql: args.sql,
        purpose: args.purpose,
    };
    let mut reader = Reader::new(context.client()?.raw("/v1/query", &request).await?);
    let mut sink = match args.out {
        Some(path) => Sink::file(&path, args.spreadsheet_safe)?,
        None => Sink::standard_output(context.out.format(), args.spreadsheet_safe)?,
    };
    while let Some(batch) = reader.next().await? {
        sink.write(&batch)?;
    }
    let AnswerEnd { summary, problem } = reader.end()?;
    for note in &summary.notes {
        context.out.note(note);
    }
    if let Some(problem) = problem {
        sink.abandon()?;
        return Err(problem);
    }
    let rows = sink.finish(reader.schema())?;
    if !summary.receipts.is_empty() {
        let rows = pluralized(rows, "row");
        let receipts = pluralized(summary.receipts.len(), "receipt");
        context.out.note(&format!("{rows}; {receipts} signed by both sides"));
    }
    Ok(())
}

fn pluralized(number: impl std::fmt::Display, noun: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
