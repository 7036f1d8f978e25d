//! What changes between two policy sets.

use serde::{Deserialize, Serialize};

use crate::ids::Digest32;

/// What a sample of the possible requests contains, for people who rely on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicySample))]
#[serde(deny_unknown_fields)]
pub struct Sampled {
    /// The number of requesting institutions, the holder included.
    pub institutions: usize,
    /// The number of datasets.
    pub datasets: usize,
    /// The number of columns in them.
    pub columns: usize,
    /// The purposes.
    pub purposes: Vec<String>,
    /// The values that are in it because rules name them.
    pub named: Vec<String>,
    /// The number of values that rules name and that are not in it.
    pub left_out: usize,
}

/// The difference between two policy sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyDiff {
    /// What was denied and is now permitted.
    pub opens: Vec<String>,
    /// What was permitted and is now denied.
    pub closes: Vec<String>,
    /// The total number of added permissions; the list may be shorter.
    pub opens_in_all: usize,
    /// The total number of removed permissions; the list may be shorter.
    pub closes_in_all: usize,
    /// What the rules of the second set permit although no set may: it stays denied, and the set is refused.
    pub never_allowed: Vec<String>,
    /// How many requests were evaluated under both.
    pub compared: usize,
    /// What these requests are: a sample of those that are possible.
    pub sample: Sampled,
    /// Whether there were more requests in the sample than were evaluated.
    pub incomplete: bool,
    /// Settings that differ.
    pub settings: Vec<String>,
    /// The texts that differ.
    pub text: Vec<FileDiff>,
    /// Digest of the set before.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub from: Digest32,
    /// Digest of the set after.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub to: Digest32,
}

/// The difference in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyFileDiff))]
#[serde(deny_unknown_fields)]
pub struct FileDiff {
    /// The file.
    pub file: String,
    /// Its lines: ` ` before those of both sets, `-` of the first, `+` of the second.
    pub lines: Vec<String>,
}
