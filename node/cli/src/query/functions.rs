//! `concordat query --functions`.

use concordat_documents::Items;
use concordat_documents::problem::Problem;
use concordat_documents::query::FunctionRule;

use crate::context::Context;

/// What the list shows of a rule.
const COLUMNS: [(&str, &str); 3] = [("name", "name"), ("kind", "kind"), ("tier", "tier")];
/// What a missing tier means.
const LOCAL: &str =
    "what has no tier is computed by your own node, from the records that a grant of tier `records` allows it to read";

pub(super) async fn run(context: &Context) -> Result<(), Problem> {
    let rules: Items<FunctionRule> = context.client()?.get("/v1/query/functions").await?;
    context.out.list(&rules.items, &COLUMNS)?;
    if rules.items.iter().any(|rule| rule.tier.is_none()) {
        context.out.note(LOCAL);
    }
    Ok(())
}
