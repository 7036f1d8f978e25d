//! What a start depends on, bound into the sealed state, so that the disk does not have to be trusted.
//!
//! | what | where it is stored | bound by |
//! | --- | --- | --- |
//! | roster | sealed state | the state itself, and the ledger's last entry about a roster |
//! | policy set | sealed state | the state itself, its signature, and the ledger's last entry about a policy set |
//! | configuration | `concordat.toml` | the protected settings, in the state, and the ledger's last entry about a configuration |
//! | evidence of queries | sealed state | the ledger's entries about each query; each change of it is stored with the ledger's head |
//! | ledger | `ledger/` | its size and root, in the state ([`concordat_storage::ledger::AnchorError`]) |
//!
//! A start compares all of it before anything is served. Any difference ends the start with the exit code for integrity, and
//! the message states the difference and what to do. If state and ledger are replaced together by older copies, they look like an
//! earlier state of the same node; peers detect that, because they store the heads of each other's ledgers ([`crate::ledger_heads`]).

mod announcements;
mod configuration;

use concordat_protocol::audit::EntryBody;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Attribution, Ledger};
use concordat_storage::meta::{MetaError, SealedDb};

use announcements::Announcements;
pub use configuration::Difference;
pub(crate) use configuration::{AcceptedConfiguration, configuration_digest};

use crate::bound_state::{BoundStateError, Versions};
use crate::changes::{Changes, ReconcileError};
use crate::config::Config;
use crate::evidence::{Evidence, EvidenceError};
use crate::membership::SealedRoster;
use crate::policies::SealedPolicySet;

/// Everything that a start compares.
#[derive(Debug)]
pub(crate) struct StartState {
    configuration: Versions<AcceptedConfiguration>,
    roster: Versions<SealedRoster>,
    policy: Versions<SealedPolicySet>,
    meta: SealedDb,
}

impl StartState {
    /// Opens the records in the sealed state.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(crate) fn open(meta: &SealedDb) -> Result<Self, StartStateError> {
        Ok(Self {
            configuration: Versions::open(meta)?,
            roster: Versions::open(meta)?,
            policy: Versions::open(meta)?,
            meta: meta.clone(),
        })
    }

    /// Completes what a stop interrupted between state and ledger, and compares the two. Must be called before another entry is
    /// written to the ledger.
    ///
    /// # Errors
    /// [`BoundStateError::StateOlder`] if the ledger records something that the state lacks.
    pub(crate) fn reconcile(&self, ledger: &Ledger, now: Timestamp) -> Result<(), StartStateError> {
        self.reconcile_all(ledger, now, Kind::Own)
    }

    /// As [`Self::reconcile`], for the state and the ledger of a snapshot, which is signed as a whole. Its ledger is captured a moment after
    /// its state, and may announce a value that was adopted in between: the snapshot has the one before.
    ///
    /// # Errors
    /// As for [`Self::reconcile`].
    pub(crate) fn reconcile_restored(&self, ledger: &Ledger, now: Timestamp) -> Result<(), StartStateError> {
        self.reconcile_all(ledger, now, Kind::Restored)
    }

    fn reconcile_all(&self, ledger: &Ledger, now: Timestamp, kind: Kind) -> Result<(), StartStateError> {
        Evidence::open(&self.meta, ledger.clone())?.compare()?;
        let mut announced = Announcements::read(&self.meta, ledger)?;
        match kind {
            Kind::Own => self.reconcile_bound(ledger, &announced)?,
            Kind::Restored => {
                self.reconcile_bound(ledger, &Announcements::default())?;
                announced.adopt(self.configuration.current()?.as_ref());
                announced.adopt(self.roster.current()?.as_ref());
                announced.adopt(self.policy.current()?.as_ref());
            }
        }
        announced.store(&self.meta)?;
        // Last, because it writes entries, and the steps above compare with the last entries.
        Ok(Changes::open(&self.meta, ledger.clone())?.reconcile(now)?)
    }

    fn reconcile_bound(&self, ledger: &Ledger, announced: &Announcements) -> Result<(), BoundStateError> {
        let configuration = announced.last::<AcceptedConfiguration>();
        self.configuration.reconcile(ledger, configuration)?;
        self.roster.reconcile(ledger, announced.last::<SealedRoster>())?;
        self.policy.reconcile(ledger, announced.last::<SealedPolicySet>())
    }

    /// Compares the configuration with the accepted one.
    ///
    /// # Errors
    /// [`StartStateError::Configuration`] with each setting that differs.
    pub(crate) fn check_configuration(&self, config: &Config) -> Result<(), StartStateError> {
        let differences = self.differences(config)?;
        if differences.is_empty() {
            Ok(())
        } else {
            Err(StartStateError::Configuration { differences })
        }
    }

    /// The differences between the configuration and the accepted one.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(crate) fn differences(&self, config: &Config) -> Result<Vec<Difference>, StartStateError> {
        let accepted = self.configuration.current()?.map(|accepted| accepted.settings);
        Ok(configuration::differences(
            &accepted.unwrap_or_default(),
            &config.protected_settings(),
        ))
    }

    /// Accepts the configuration: from now on the node starts only with these settings.
    ///
    /// # Errors
    /// [`StartStateError::OtherInstitution`] if it is of another institution; otherwise if state or ledger cannot be written.
    pub(crate) fn accept_configuration(
        &self,
        config: &Config,
        ledger: &Ledger,
        by: &Attribution,
        now: Timestamp,
    ) -> Result<AcceptedConfiguration, StartStateError> {
        let accepted = AcceptedConfiguration {
            settings: config.protected_settings(),
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

/// Where state and ledger come from.
#[derive(Clone, Copy)]
enum Kind {
    /// They are those of this node.
    Own,
    /// They were just restored from a snapshot.
    Restored,
}

/// Why a start is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartStateError {
    /// The configuration differs from the accepted one.
    #[error("`concordat.toml` differs from the accepted configuration")]
    Configuration {
        /// Each setting that differs.
        differences: Vec<Difference>,
    },
    /// The configuration is of another institution.
    #[error("`concordat.toml` names an institution other than the one this node was created for")]
    OtherInstitution,
    /// The records of queries do not match the ledger.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// An interrupted change cannot be resolved, or is none.
    #[error(transparent)]
    Changes(#[from] ReconcileError),
    /// A value does not match the ledger, or cannot be bound.
    #[error(transparent)]
    Bound(#[from] BoundStateError),
    /// The state failed.
    #[error("the sealed state cannot be read or written")]
    State(#[from] MetaError),
}

impl Explain for StartStateError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Configuration { .. } | Self::OtherInstitution => ErrorKind::Integrity,
            Self::Evidence(source) => source.kind(),
            Self::Changes(source) => source.kind(),
            Self::Bound(source) => source.kind(),
            Self::State(source) => source.kind(),
        }
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Configuration { differences } => differences.iter().map(ToString::to_string).collect(),
            Self::OtherInstitution | Self::Evidence(_) | Self::Changes(_) | Self::Bound(_) | Self::State(_) => {
                Vec::new()
            }
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Evidence(source) => source.help(),
            Self::Bound(source) => source.help(),
            Self::Changes(source) => source.help(),
            Self::Configuration { .. } => Some(
                "if the change is intended, an administrator accepts it with `concordat config accept --as NAME`; if not, \
                 undo the change and find out who made it"
                    .to_owned(),
            ),
            Self::OtherInstitution => Some("restore this node's own `concordat.toml`".to_owned()),
            Self::State(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
