//! `concordat query` and `concordat why`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::answer::{Reader, Sink};
use super::context::Context;
use super::output::Format;
use crate::json::Field as _;
use concordat_documents::problem::Problem;
use concordat_documents::query::{AnswerEnd, QueryRequest};
use concordat_protocol::scope::Purpose;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
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

#[derive(Debug, clap::Args)]
pub(super) struct WhyArgs {
    /// A grant, a request id from the ledger, or a SELECT in quotes
    subject: String,
    /// The purpose, if the grants permit several
    #[arg(long)]
    purpose: Option<Purpose>,
}

/// Writes the rows as they arrive. If an answer ends early, its rows stay on standard output, where they were
/// already visible, but no file is left.
pub(super) async fn run(args: Args, context: &Context) -> Result<(), Problem> {
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
        let (rows, receipts) = (pluralized(rows, "row"), pluralized(summary.receipts.len(), "receipt"));
        context.out.note(&format!("{rows}; {receipts} signed by both sides"));
    }
    Ok(())
}

fn pluralized(number: impl std::fmt::Display, noun: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

pub(super) async fn why(args: WhyArgs, context: &Context) -> Result<(), Problem> {
    let body = json!({ "subject": args.subject, "purpose": args.purpose });
    let mut answer: Value = context.client()?.post("/v1/why", &body).await?;
    if context.out.format() != Format::Json
        && let Some(object) = answer.as_object_mut()
    {
        for field in ["steps", "reasons", "narrowings", "columns"] {
            if let Some(list) = object.get_mut(field) {
                *list = lines(list).into();
            }
        }
        if let Some(steps) = object.get_mut("policy") {
            *steps = rules(steps).into();
        }
    }
    context.out.record(&answer)
}

/// Steps of a policy decision as text: each with its decision, followed by the rules that took effect. If nothing permits, the
/// rules that could have are named.
fn rules(steps: &Value) -> String {
    let mut text = Vec::new();
    for step in steps.as_array().into_iter().flatten() {
        let allowed = step.at("allowed").as_bool() == Some(true);
        let decision = if allowed { "yes" } else { "no" };
        text.push(format!("{decision}: {} of {}", step.text("action"), step.text("about")));
        for rule in step.at("rules").as_array().into_iter().flatten() {
            let (met, permits) = (rule.at("met").as_bool() == Some(true), rule.text("effect") == "permit");
            let reason = rule.at("reason");
            match (met, permits) {
                (true, true) => text.push(format!("  permitted by {}", reason.text("rule"))),
                (true, false) => text.push(format!(
                    "  forbidden by {}: {}",
                    reason.text("rule"),
                    reason.text("text")
                )),
                (false, true) if !allowed => text.push(format!(
                    "  {} would permit it, but its conditions are not met",
                    reason.text("rule")
                )),
                (false, _) => {}
            }
        }
    }
    text.join("\n")
}

/// A list as text, one item per line.
fn lines(list: &Value) -> String {
    let line = |item: &Value| match item.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let fields = item
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(_, value)| value.as_str());
            fields.collect::<Vec<_>>().join("; ")
        }
    };
    list.as_array()
        .into_iter()
        .flatten()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}
