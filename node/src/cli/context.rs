//! What every command works with.

use std::path::PathBuf;

use concordat_documents::problem::Problem;

use super::{output::Output, session_store};
use crate::api::client::Client;

/// What every command works with.
#[derive(Debug)]
pub(super) struct Context {
    /// The data directory.
    pub(super) dir: PathBuf,
    /// Where output goes.
    pub(super) out: Output,
    /// Whether output may be colored.
    pub(super) color: bool,
}

impl Context {
    /// A client of the daemon, with the session of the logged-in person if there is one.
    ///
    /// # Errors
    /// If the session file cannot be read.
    pub(super) fn client(&self) -> Result<Client, Problem> {
        Ok(Client::new(&self.dir).with_token(session_store::token(&self.dir)?))
    }
}
