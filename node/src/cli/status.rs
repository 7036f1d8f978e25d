//! `concordat status`.

use crate::json::Field as _;
use serde_json::Value;

use super::Context;
use crate::problem::{Code, Problem};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Exit with code 5 unless a request would be served now
    #[arg(long)]
    ready: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Problem> {
    let status: Value = context.client()?.get("/v1/status").await?;
    context.out.record(&status)?;
    if args.ready && *status.at("ready") != Value::Bool(true) {
        let reasons = status
            .at("reasons")
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        return Err(Problem::new(Code::Unreachable, "the node is not ready").because(reasons));
    }
    Ok(())
}
