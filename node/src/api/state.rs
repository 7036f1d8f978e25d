//! What handlers work on.

use std::sync::Arc;

use concordat_documents::problem::Problem;

use super::body_budget::BodyBudget;
use super::request_work::RequestWork;
use crate::config::ImportSection;
use crate::node::Node;
use crate::services::transfers::Transfers;

/// Connections that the socket has, if nothing else is known about the process.
const CONNECTIONS: usize = 256;

/// The state that handlers work on; clones share it.
#[derive(Debug, Clone)]
pub struct Api {
    node: Arc<Node>,
    import: Arc<ImportSection>,
    transfers: Transfers,
    bodies: BodyBudget,
    connections: usize,
    work: RequestWork,
}

impl Api {
    /// The API of `node`, which opens files only below the inboxes of `import`.
    pub fn new(node: Node, import: ImportSection) -> Self {
        Self {
            node: Arc::new(node),
            import: Arc::new(import),
            transfers: Transfers::default(),
            bodies: BodyBudget::default(),
            connections: CONNECTIONS,
            work: RequestWork::default(),
        }
    }

    /// The same API, whose socket has at most so many connections at the same time.
    #[must_use]
    pub fn with_connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// How many connections the socket has at the same time.
    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    /// The bodies of requests that are in memory.
    pub(super) fn bodies(&self) -> &BodyBudget {
        &self.bodies
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The import section of the configuration.
    pub fn import(&self) -> &ImportSection {
        &self.import
    }

    /// The uploads, exports and reports that are running.
    pub(crate) fn transfers(&self) -> &Transfers {
        &self.transfers
    }

    /// The requests that are running.
    pub(super) fn work(&self) -> &RequestWork {
        &self.work
    }

    /// Runs work that blocks (password hashing, durable state) off the async threads.
    ///
    /// # Errors
    /// The error of the work.
    pub async fn blocking<T, E>(&self, work: impl FnOnce(&Node) -> Result<T, E> + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let node = Arc::clone(&self.node);
        match tokio::task::spawn_blocking(move || work(&node)).await {
            Ok(done) => done.map_err(Into::into),
            Err(error) => Err(Problem::internal("the operation was interrupted", &error)),
        }
    }
}
