//! `concordat query --functions`.

use concordat_documents::Items;
use concordat_documents::problem::Problem;
use concordat_documents::query::FunctionRule;

use crate::context::Context;

/// What the list shows of a rule.
const COLUMNS: [(&str, &str); 5] = [
    ("name", "name"),
    ("kind", "kind"),
    ("below records", "parts"),
    ("from tier", "tier"),
    ("at records", "records"),
];
/// What the columns mean.
const BELOW: &str =
    "below tier `records` a query may have it in the parts that are listed; `figures` is what is above the groups";
/// What a missing tier means.
const LOCAL: &str =
    "what has no tier is computed by your own node, from the records that a grant of tier `records` allows it to read";

pub(super) async fn run(context: &Context) -> Result<(), Problem> {
    let rules: Items<FunctionRule> = context.client()?.get("/v1/query/functions").await?;
    context.out.list(&rules.items, &COLUMNS)?;
    context.out.note(BELOW);
    if rules.items.iter().any(|rule| rule.tier.is_none()) {
        context.out.note(LOCAL);
    }
    Ok(())
}
