//! `concordat dataset notes`: what the steward should know about the latest import of a dataset.

use concordat_documents::import::DatasetNotes;
use concordat_documents::problem::Problem;
use concordat_protocol::ids::DatasetName;
use serde::Serialize;

use crate::context::Context;
use crate::output::{Column, Format};
use concordat_client::Client;

const NOTES: [Column; 1] = [("note", "note")];

/// A note as a line of a table.
#[derive(Serialize)]
struct Line<'a> {
    note: &'a str,
}

pub(super) async fn run(name: &DatasetName, client: &Client, context: &Context) -> Result<(), Problem> {
    let found = fetch(name, client).await?;
    match context.out.format() {
        Format::Json => context.out.record(&found),
        Format::Csv | Format::Table => context.out.list(&lines(&found.notes), &NOTES),
    }
}

/// Points to the notes of a dataset that members can see now, if it has any.
pub(super) async fn point_to(name: &DatasetName, client: &Client, context: &Context) {
    let notes = match fetch(name, client).await {
        Ok(found) => found.notes.len(),
        // There are none, or the person may not read them: the next request reports what is wrong.
        Err(_) => 0,
    };
    if notes > 0 {
        context.out.note(&format!(
            "the latest import left {notes} notes: see `concordat dataset notes {name}`"
        ));
    }
}

/// Notes below another table, if there are any.
pub(super) fn list(notes: &[String], context: &Context) -> Result<(), Problem> {
    if notes.is_empty() {
        return Ok(());
    }
    context.out.text("\n")?;
    context.out.list(&lines(notes), &NOTES)
}

async fn fetch(name: &DatasetName, client: &Client) -> Result<DatasetNotes, Problem> {
    client.get(&format!("/v1/datasets/{name}/notes")).await
}

fn lines(notes: &[String]) -> Vec<Line<'_>> {
    notes.iter().map(|note| Line { note }).collect()
}
