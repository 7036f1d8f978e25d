//! The accepted configuration of a stopped node, and a changed one to be accepted.

use concordat_documents::problem::Problem;
use concordat_keys::{Argon2Cost, Secret};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::Digest32;
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::{Attribution, Ledger};

use super::reconcile::open_reconciled;
use crate::clock::Clock;
use crate::config::Config;
use crate::iam::{Accounts, Action, Sessions};
use crate::start_state::{Difference, StartState, configuration_digest};

/// A node that is not running, with its configuration as it is now.
#[derive(Debug)]
pub struct StoppedNode {
    config: Config,
    storage: Storage,
    ledger: Ledger,
    state: StartState,
}

impl StoppedNode {
    /// Opens the ledger, and compares it with the state as at a start.
    ///
    /// # Errors
    /// If they cannot be read, or do not match.
    pub fn open(config: Config, storage: Storage) -> Result<Self, Problem> {
        let (ledger, state) = open_reconciled(&storage, config.node.institution.clone())?;
        Ok(Self {
            config,
            storage,
            ledger,
            state,
        })
    }

    /// Where the configuration differs from the accepted one.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn differences(&self) -> Result<Vec<Difference>, Problem> {
        Ok(self.state.differences(&self.config)?)
    }

    /// Accepts the configuration, as the person with the account `name`: from now on the node starts only with these settings. Returns
    /// their digest.
    ///
    /// # Errors
    /// If the password is wrong, the person's roles do not permit it, the settings do not have the digest `expected`, or state or ledger
    /// cannot be written.
    pub async fn accept_configuration(
        &self,
        name: String,
        password: Secret,
        expected: Option<Digest32>,
    ) -> Result<Digest32, Problem> {
        let by = self.authorized(name, password).await?;
        if let Some(expected) = expected {
            self.matches_expected(expected)?;
        }
        let now = Clock::system().now();
        let accepted = self.state.accept_configuration(&self.config, &self.ledger, &by, now)?;
        Ok(accepted.digest())
    }

    /// Authenticates the person who accepts with their password: only an authorized person can change what the node starts with.
    async fn authorized(&self, name: String, password: Secret) -> Result<Attribution, Problem> {
        let institution = self.config.node.institution.clone();
        let accounts = Accounts::open(self.storage.meta(), institution, Argon2Cost::default())?;
        let now = Clock::system().now();
        let login = move || Sessions::new(accounts).login(&name, &password, now);
        let login = tokio::task::spawn_blocking(login).await;
        let login = login.map_err(|error| Problem::internal("the operation was interrupted", &error))?;
        Ok(login?.actor.authorize(Action::AcceptConfiguration)?)
    }

    fn matches_expected(&self, expected: Digest32) -> Result<(), Problem> {
        let found = configuration_digest(&self.config.protected_settings());
        if found == expected {
            return Ok(());
        }
        let detail = format!("the settings have the digest {found}, not the expected one");
        Err(Problem::new(ErrorKind::Integrity, detail).help("compare them with `concordat config diff`"))
    }
}
