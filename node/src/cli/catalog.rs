//! `concordat catalog`.

use serde_json::Value;

use super::context::Context;
use super::output::Format;
use crate::api::client::segment;
use crate::json::Field as _;
use concordat_documents::problem::Problem;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this institution's
    #[arg(long, value_name = "ID")]
    peer: Option<String>,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Problem> {
    let path = args.peer.map_or_else(
        || "/v1/catalog".to_owned(),
        |peer| format!("/v1/catalog?peer={}", segment(&peer)),
    );
    let mut catalog: Value = context.client()?.get(&path).await?;
    for member in catalog.at("unreachable").as_array().into_iter().flatten() {
        context.out.note(&format!(
            "{} is not included: {}",
            member.text("institution"),
            member.text("reason")
        ));
    }
    let Some(items) = catalog.get_mut("items") else {
        return Ok(());
    };
    if context.out.format() != Format::Json {
        items.as_array_mut().into_iter().flatten().for_each(name_columns);
    }
    let columns = [
        ("dataset", "dataset"),
        ("about rows", "about_rows"),
        ("tier", "tier"),
        ("columns", "columns"),
    ];
    context.out.list(items, &columns)
}

/// Replaces the columns by their names in one line, for a table.
fn name_columns(item: &mut Value) {
    let names: Vec<String> = item
        .at("columns")
        .as_array()
        .into_iter()
        .flatten()
        .map(|column| column.text("name"))
        .collect();
    if let Some(object) = item.as_object_mut() {
        object.insert("columns".to_owned(), names.join(", ").into());
    }
}
