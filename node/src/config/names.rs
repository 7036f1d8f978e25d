//! The names by which a node finds its configuration and its secrets.

/// Name of the file in the data directory.
pub const FILE: &str = "concordat.toml";
/// The environment variable that names the key file and takes precedence over `[keys]`.
pub const KEY_FILE_VARIABLE: &str = "CONCORDAT_KEY_FILE";
/// The environment variable that names the folder of credentials; systemd sets it.
pub(crate) const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
