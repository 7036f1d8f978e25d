//! What a start depends on, bound into the sealed state: the disk is trusted with none of it.
//!
//! | what | where its contents are | bound by |
//! | --- | --- | --- |
//! | roster | sealed state | the state itself, and the ledger's entries |
//! | policy set | sealed state | the state itself, its signature, and the ledger's entries |
//! | configuration | `concordat.toml` | the settings that decide something, in the state |
//! | evidence of queries | sealed state | the ledger's entries about each query |
//! | ledger | `ledger/` | its size and root, in the state ([`concordat_storage::ledger::AnchorError`]) |
//!
//! A start compares all of it before anything is served. What differs ends the start with the exit code for integrity, and
//! the message says what differs and what to do. State and ledger replaced together by older copies look like an earlier day of
//! the same node; that is noticed through peers, which keep the heads
//! of each other's ledgers ([`crate::ledger_heads`]).

mod configuration;
mod versions;

use concordat_protocol::audit::EntryBody;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Attribution, Ledger, LedgerError};
use concordat_storage::meta::{MetaError, SealedDb};

pub use configuration::{AcceptedConfiguration, Difference, configuration_digest};
pub use versions::{Bound, Versions};

use crate::changes::{ChangeEntryError, Changes};
use crate::config::Config;
use crate::evidence::{Evidence, EvidenceError};
use crate::fault::{Code, Explain};
use crate::membership::SealedRoster;
use crate::policy::SealedPolicySet;

/// Everything that a start compares.
#[derive(Debug)]
pub struct StartState {
    configuration: Versions<AcceptedConfiguration>,
    roster: Versions<SealedRoster>,
    policy: Versions<SealedPolicySet>,
    evidence: Evidence,
    meta: SealedDb,
}

impl StartState {
    /// Opens the records in the sealed state.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn open(meta: &SealedDb) -> Result<Self, StartStateError> {
        Ok(Self {
            configuration: Versions::open(meta)?,
            roster: Versions::open(meta)?,
            policy: Versions::open(meta)?,
            evidence: Evidence::open(meta)?,
            meta: meta.clone(),
        })
    }

    /// Completes what a stop broke off between state and ledger, and compares the two. To be called before the ledger takes
    /// another entry.
    ///
    /// # Errors
    /// [`StartStateError::StateOlder`] if the ledger tells of something that the state lacks.
    pub fn settle(&self, ledger: &Ledger, now: Timestamp) -> Result<(), StartStateError> {
        self.evidence.compare(ledger)?;
        self.configuration.settle(ledger)?;
        self.roster.settle(ledger)?;
        self.policy.settle(ledger)?;
        // It enters what was not made; what compares with the last entries comes before.
        Ok(Changes::open(&self.meta, ledger.clone())?.settle(now)?)
    }

    /// Compares the configuration with the one that was accepted.
    ///
    /// # Errors
    /// [`StartStateError::Configuration`] names each setting that differs.
    pub fn check_configuration(&self, config: &Config) -> Result<(), StartStateError> {
        let differences = self.differences(config)?;
        if differences.is_empty() {
            Ok(())
        } else {
            Err(StartStateError::Configuration { differences })
        }
    }

    /// Where the configuration differs from the one that was accepted.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn differences(&self, config: &Config) -> Result<Vec<Difference>, StartStateError> {
        let accepted = self.configuration.current()?.map(|accepted| accepted.settings);
        Ok(configuration::differences(
            &accepted.unwrap_or_default(),
            &config.deciding(),
        ))
    }

    /// Accepts the configuration: from here on the node starts with these settings and no others.
    ///
    /// # Errors
    /// [`StartStateError::OtherInstitution`] if it is of another institution; otherwise if state or ledger cannot be written.
    pub fn accept_configuration(
        &self,
        config: &Config,
        ledger: &Ledger,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<AcceptedConfiguration, StartStateError> {
        let accepted = AcceptedConfiguration {
            settings: config.deciding(),
            by: by.cause().clone(),
            at: now,
        };
        if let Some(before) = self.configuration.current()?
            && before.institution() != accepted.institution()
        {
            return Err(StartStateError::OtherInstitution);
        }
        let entry = EntryBody::ConfigurationAccepted {
            digest: accepted.digest(),
        };
        self.configuration.adopt(accepted.clone(), ledger, entry, by, now)?;
        Ok(accepted)
    }
}

/// Why a start is refused.
#[derive(Debug, thiserror::Error)]
pub enum StartStateError {
    /// The ledger tells of something that the state lacks.
    #[error(
        "the folder `meta` was replaced by an older copy: the ledger tells of a {what} that the sealed state lacks"
    )]
    StateOlder {
        /// What it lacks.
        what: &'static str,
    },
    /// The configuration is not the one that was accepted.
    #[error("`concordat.toml` is not the configuration that was accepted")]
    Configuration {
        /// Each setting that differs.
        differences: Vec<Difference>,
    },
    /// The configuration is of another institution.
    #[error("`concordat.toml` names another institution than the one this node was set up for")]
    OtherInstitution,
    /// The records of queries are not those that the ledger tells of.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// What the last stop broke off cannot be settled.
    #[error(transparent)]
    Changes(#[from] ChangeEntryError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state failed.
    #[error("the sealed state cannot be read or written")]
    State(#[from] MetaError),
}

impl Explain for StartStateError {
    fn code(&self) -> Code {
        match self {
            Self::StateOlder { .. } | Self::Configuration { .. } | Self::OtherInstitution => Code::Integrity,
            Self::Evidence(source) => source.code(),
            Self::Changes(source) => source.code(),
            Self::Ledger(source) => source.code(),
            Self::State(source) => source.code(),
        }
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Configuration { differences } => differences.iter().map(ToString::to_string).collect(),
            Self::StateOlder { .. }
            | Self::OtherInstitution
            | Self::Evidence(_)
            | Self::Changes(_)
            | Self::Ledger(_)
            | Self::State(_) => Vec::new(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Evidence(source) => source.help(),
            Self::StateOlder { .. } => Some(
                "put the newest copy of `meta` back, or restore a backup into an empty directory".to_owned(),
            ),
            Self::Configuration { .. } => Some(
                "if an operator meant it, an administrator accepts it with `concordat config accept --as NAME`; if not, \
                 undo the change and find out who made it"
                    .to_owned(),
            ),
            Self::OtherInstitution => Some("put this node's own `concordat.toml` back".to_owned()),
            Self::Changes(_) | Self::Ledger(_) | Self::State(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
