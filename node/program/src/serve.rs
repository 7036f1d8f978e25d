//! `concordat serve`: the daemon.

use concordat_cli::Context;
use concordat_documents::problem::Problem;
use concordat_node::config::Config;
use concordat_node::{Node, run_daemon, start_logging};

use crate::unlock;

pub(crate) async fn run(context: &Context) -> Result<(), Problem> {
    let config = Config::load(&context.dir)?;
    start_logging(&config.log, context.color);
    let storage = unlock::storage(&config, &context.dir).await?;
    run_daemon(config, storage, &context.dir, |node| announce(node, context)).await
}

/// Prints the identity and the addresses, then that the node is running.
fn announce(node: &Node, context: &Context) -> Result<(), Problem> {
    let identity = node.identity();
    let listen: Vec<String> = node.network().listen_addrs().iter().map(ToString::to_string).collect();
    let who = format!("{} ({}), node {}", identity.name, identity.institution, identity.node());
    context.out.text(&format!("{who}, listens on {}\n", listen.join(" ")))?;
    context.out.text("the node is running\n")?;
    tracing::info!(institution = %identity.institution, node = %identity.node(), ?listen, "running");
    Ok(())
}
