//! What is kept of the latest import of a dataset, beside its manifest: what the steward should know, and how the file was read.

use concordat_protocol::schema::VersionNumber;
use serde::{Deserialize, Serialize};

/// The latest import of a dataset. Like all state it is sealed; it contains names of columns and lines, never values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatestImport {
    /// The version that it created.
    pub version: VersionNumber,
    /// The options of the import, as the caller has written them for the next one.
    pub options: String,
    /// What the steward should know, one sentence each.
    pub notes: Vec<String>,
}
