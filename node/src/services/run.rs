//! Where the work of a service runs.

use concordat_documents::problem::Problem;

use super::work;
use crate::node::Node;

/// Runs work that blocks (password hashing, durable state) off the async threads.
///
/// It runs to its end also if the caller stops waiting: an entry in the ledger is followed by its change. If it is part of work that is limited,
/// the permit is held until then.
///
/// # Errors
/// The error of the work.
pub(super) async fn blocking<T, E>(
    node: &Node,
    work: impl FnOnce(&Node) -> Result<T, E> + Send + 'static,
) -> Result<T, Problem>
where
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
{
    let node = node.clone();
    let running = work::current();
    let run = move || match running {
        Some(running) => running.run(|| work(&node)),
        None => work(&node),
    };
    match tokio::task::spawn_blocking(run).await {
        Ok(done) => done.map_err(Into::into),
        Err(error) => Err(Problem::internal("the operation was interrupted", &error)),
    }
}
