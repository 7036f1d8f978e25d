//! The accepted configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use concordat_protocol::audit::{Cause, EntryBody};
use concordat_protocol::ids::Digest32;
use concordat_protocol::time::Timestamp;
use concordat_storage::meta::TreeId;
use serde::{Deserialize, Serialize};

use crate::bound_state::Bound;
use crate::config::{INSTITUTION_SETTING, ProtectedSettings};

/// Domain of the digest of a configuration.
const DIGEST: &str = "concordat/configuration/1";

/// The protected settings, as they were accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedConfiguration {
    /// Each setting by its key.
    pub settings: ProtectedSettings,
    /// Who accepted it.
    pub by: Cause,
    /// When it was accepted.
    pub at: Timestamp,
}

impl AcceptedConfiguration {
    /// Digest of the settings.
    pub(crate) fn digest(&self) -> Digest32 {
        configuration_digest(&self.settings)
    }

    pub(super) fn institution(&self) -> Option<&String> {
        self.settings.get(INSTITUTION_SETTING)
    }
}

/// Digest of protected settings.
pub(crate) fn configuration_digest(settings: &ProtectedSettings) -> Digest32 {
    let mut bytes = Vec::new();
    for text in settings.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    Digest32::sha256(DIGEST, &bytes)
}

impl Bound for AcceptedConfiguration {
    const WHAT: &'static str = "configuration";
    const TREE: TreeId = TreeId::new("accepted-configuration");
    const HISTORY: Option<TreeId> = None;

    fn digest(&self) -> Digest32 {
        Self::digest(self)
    }

    fn number(&self) -> u64 {
        0
    }

    fn announced(entry: &EntryBody) -> Option<Digest32> {
        if let EntryBody::ConfigurationAccepted { digest, .. } = entry {
            Some(*digest)
        } else {
            None
        }
    }
}

/// A setting that differs from its accepted value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its key, `section.key`.
    pub key: String,
    /// The accepted value, if it was set.
    pub accepted: Option<String>,
    /// The present value, if it is set.
    pub found: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| {
            value
                .as_ref()
                .map_or("not set".to_owned(), |value| format!("`{value}`"))
        };
        write!(
            f,
            "`{}` was {} and is {}",
            self.key,
            shown(&self.accepted),
            shown(&self.found)
        )
    }
}

pub(super) fn differences(accepted: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<Difference> {
    let keys: BTreeSet<&String> = accepted.keys().chain(found.keys()).collect();
    let changed = keys.into_iter().filter(|key| accepted.get(*key) != found.get(*key));
    let differences = changed.map(|key| Difference {
        key: key.clone(),
        accepted: accepted.get(key).cloned(),
        found: found.get(key).cloned(),
    });
    differences.collect()
}
