//! `concordat audit …`: the ledger, which can also be checked on the disk of a stopped node.

use concordat_cli::{AuditCommand, Context, print_audit_report};
use concordat_documents::problem::Problem;
use concordat_node::config::Config;
use concordat_node::offline::verify_ledger;
use concordat_protocol::error_kind::ErrorKind;

use crate::unlock;

pub(crate) async fn run(command: AuditCommand, context: &Context) -> Result<(), Problem> {
    let is_check = matches!(command, AuditCommand::Verify);
    match command.run(context).await {
        Err(problem) if is_check && problem.code == ErrorKind::Unreachable => verify_on_disk(context).await,
        done => done,
    }
}

/// Checks the ledger of a stopped node, including one that cannot start because of its ledger.
async fn verify_on_disk(context: &Context) -> Result<(), Problem> {
    let config = Config::load(&context.dir)?;
    let storage = unlock::storage(&config, &context.dir).await?;
    print_audit_report(&verify_ledger(&storage)?, context)
}
