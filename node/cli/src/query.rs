//! `concordat query`.

mod estimate;
mod functions;
mod text;

use std::path::PathBuf;

use concordat_documents::problem::Problem;
use concordat_documents::query::{AnswerEnd, AnswerSummary, QueryRequest};
use concordat_protocol::scope::Purpose;

use crate::answer::{Reader, Sink, Written};
use crate::context::Context;
use crate::output::Output;

pub use text::with_comments;
pub(crate) use text::without_margin;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// One SELECT, or `-` to read it from standard input; tables are `institution.dataset`, and `consortium.dataset` for all
    /// members that share it. For your own datasets also `institution.dataset VERSION AS OF number`
    #[arg(required_unless_present_any = ["file", "functions"])]
    sql: Option<String>,
    /// Read the query from FILE
    #[arg(long, value_name = "FILE", conflicts_with = "sql")]
    file: Option<PathBuf>,
    /// The purpose, if the grants permit several
    #[arg(long)]
    purpose: Option<Purpose>,
    /// Accept an answer without the part of a member that is offline, suspended or lacks a column; a remark names each
    #[arg(long)]
    allow_partial: bool,
    /// Write the rows to FILE; its extension (.csv, .parquet, .arrow, .ndjson) selects the format
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write CSV that is safe to open in a spreadsheet: cells that would be formulas begin with an apostrophe, and characters
    /// that change the direction of text or are invisible are replaced
    #[arg(long)]
    spreadsheet_safe: bool,
    /// Show who would be queried, what it would cost, who would refuse, and what would be left out by rule; nothing is sent or counted
    #[arg(long, conflicts_with_all = ["out", "spreadsheet_safe"])]
    estimate: bool,
    /// List what a query can compute, and the lowest tier at which a holder computes it
    #[arg(long, conflicts_with_all = ["sql", "file", "purpose", "allow_partial", "estimate", "out", "spreadsheet_safe"])]
    functions: bool,
}

/// Writes the rows as they arrive. If an answer ends early, its rows stay on standard output, where they were
/// already visible, but no file is left.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Problem> {
    if args.functions {
        return functions::run(context).await;
    }
    let request = QueryRequest {
        sql: text::read(args.sql, args.file.as_deref())?,
        purpose: args.purpose,
        allow_partial: args.allow_partial,
    };
    if args.estimate {
        return estimate::run(&request, context).await;
    }
    // What prevents writing is known before anything is sent: an answer is recorded and signed, and counts against limits.
    let mut sink = match args.out {
        Some(path) => Sink::file(&path, args.spreadsheet_safe)?,
        None => Sink::standard_output(context.out.format(), args.spreadsheet_safe)?,
    };
    let mut reader = Reader::new(context.client()?.raw("/v1/query", &request).await?);
    while let Some(batch) = reader.next().await? {
        sink.write(&batch)?;
    }
    let AnswerEnd { summary, problem } = reader.end()?;
    note_all(&summary, &context.out);
    if let Some(problem) = problem {
        sink.abandon()?;
        return Err(problem);
    }
    let Written { rows, notes } = sink.finish(reader.schema(), &summary)?;
    for note in notes {
        context.out.note(&note);
    }
    if !summary.receipts.is_empty() {
        let rows = pluralized(rows, "row");
        let receipts = pluralized(summary.receipts.len(), "receipt");
        context.out.note(&format!("{rows}; {receipts} signed by both sides"));
    }
    Ok(())
}

/// Every remark, and the notes that are no text of a remark.
fn note_all(summary: &AnswerSummary, out: &Output) {
    for remark in &summary.remarks {
        out.remark(remark);
    }
    let is_remark = |note: &str| summary.remarks.iter().any(|remark| remark.text == note);
    for note in summary.notes.iter().filter(|note| !is_remark(note)) {
        out.note(note);
    }
}

fn pluralized(number: impl std::fmt::Display, noun: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
