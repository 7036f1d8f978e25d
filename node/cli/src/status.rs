//! `concordat status`.

use concordat_documents::problem::Problem;
use concordat_documents::status::Status;
use concordat_protocol::error_kind::ErrorKind;

use crate::context::Context;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Exit with code 5 unless a request would be served now
    #[arg(long)]
    ready: bool,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<(), Problem> {
    let status: Status = context.client()?.get("/v1/status").await?;
    context.out.record_with_lists(&status, &["peer_rules"])?;
    if args.ready && !status.ready {
        return Err(Problem::new(ErrorKind::Unreachable, "the node is not ready").because(status.reasons));
    }
    Ok(())
}
