//! The values whose changes are recorded in the ledger.

use concordat_storage::catalog::{DATASETS, SEGMENTS};
use concordat_storage::data_dir::{MASTER_KEY_FILE, MASTER_KEY_RECORD};
use concordat_storage::meta::TreeId;
use serde::{Deserialize, Serialize};

/// The accounts of people, by name.
pub(crate) const ACCOUNTS: TreeId = TreeId::new("accounts");
/// The grants, by id.
pub(crate) const GRANTS: TreeId = TreeId::new("grants");
/// The negotiations, by id.
pub(crate) const NEGOTIATIONS: TreeId = TreeId::new("negotiations");
/// The hosts that people allowed, by institution.
pub(crate) const ALLOWED_HOSTS: TreeId = TreeId::new("dialed-hosts");
/// The people whose queries below `records` are locked, by collection and institution.
pub(crate) const RELEASE_LOCKS: TreeId = TreeId::new("release-locks");

/// Which value changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The account of a person.
    Account(String),
    /// The record of a dataset.
    Dataset(String),
    /// A grant.
    Grant(String),
    /// A negotiation.
    Negotiation(String),
    /// The hosts that are dialed for an institution.
    AllowedHosts(String),
    /// The people of an institution whose queries to a collection are locked.
    ReleaseLocks(String),
    /// The key of a segment.
    Segment(String),
    /// The master key.
    MasterKey,
}

impl Subject {
    /// Where it is in the state.
    pub(super) fn location(&self) -> (TreeId, &str) {
        match self {
            Self::Account(key) => (ACCOUNTS, key),
            Self::Dataset(key) => (DATASETS, key),
            Self::Grant(key) => (GRANTS, key),
            Self::Negotiation(key) => (NEGOTIATIONS, key),
            Self::AllowedHosts(key) => (ALLOWED_HOSTS, key),
            Self::ReleaseLocks(key) => (RELEASE_LOCKS, key),
            Self::Segment(key) => (SEGMENTS, key),
            Self::MasterKey => (MASTER_KEY_FILE, MASTER_KEY_RECORD),
        }
    }
}
