//! `concordat.toml`, parsed once and whole into types.
//!
//! All mistakes are collected and reported at once, each with its key. An unknown key is a mistake, because
//! it is usually a known one mistyped. Relative paths are resolved from the data directory. One setting can come from the
//! environment instead: [`KEY_FILE_VARIABLE`] names the key file, so that a container can provide its own.

mod choice;
mod error;
mod import;
mod keys;
mod limits;
mod log;
mod names;
mod node;
mod protected;
mod reader;
mod storage;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use concordat_keys::fs::read_regular_text;

pub use error::ConfigError;
pub use import::ImportSection;
pub use keys::{KeysFrom, PinFrom, credential};
pub(crate) use limits::DEFAULT_MEMORY_MIB;
pub use limits::LimitsSection;
pub use log::{LogFormat, LogLevel, LogSection};
pub use names::{FILE, KEY_FILE_VARIABLE};
pub use node::{DEFAULT_PORT, NodeSection};
pub(crate) use protected::{INSTITUTION_SETTING, ProtectedSettings};
use reader::Reader;
pub use storage::StorageSection;

/// Most bytes of the file.
const MAX_FILE: u64 = 1024 * 1024;

/// Everything that an operator can set.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[node]`: the institution and the addresses of the node.
    pub node: NodeSection,
    /// `[keys]`: what unlocks the master key.
    pub keys: KeysFrom,
    /// `[storage]`: where sealed objects are stored.
    pub storage: StorageSection,
    /// `[import]`: the folders with files that the node itself may open.
    pub import: ImportSection,
    /// `[log]`: what is logged, and how.
    pub log: LogSection,
    /// `[limits]`: what peers may occupy at one time.
    pub limits: LimitsSection,
}

impl Config {
    /// Reads `concordat.toml` in the data directory `dir`.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML or contains mistakes; all of them are named.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        let text = read_regular_text(&path, MAX_FILE).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                ConfigError::NoNode { dir: dir.to_owned() }
            } else {
                ConfigError::Unreadable {
                    path: path.clone(),
                    source,
                }
            }
        })?;
        Self::parse(&text, &path)
    }

    /// Parses the text of the file at `path`; the path is only used in errors.
    ///
    /// # Errors
    /// If it is not TOML or contains mistakes; all of them are named.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let table = text.parse::<toml::Table>().map_err(|source| ConfigError::Syntax {
            path: path.to_owned(),
            source,
        })?;
        let mut reader = Reader::new(table);
        let node = reader.section("node", node::node);
        let keys = reader.section("keys", keys::keys);
        let storage = reader.section("storage", storage::storage);
        let import = reader.section("import", import::import);
        let log = reader.section("log", log::log);
        let limits = reader.section("limits", limits::limits);
        let mistakes = reader.finish();
        match (node, keys, storage) {
            (Some(node), Some(keys), Some(storage)) if mistakes.is_empty() => Ok(Self {
                node,
                keys,
                storage,
                import,
                log,
                limits,
            }),
            _ => Err(ConfigError::Mistakes {
                path: path.to_owned(),
                mistakes,
            }),
        }
    }

    /// What unlocks the node in `dir`: the key file that the environment names, otherwise the setting in `[keys]`. Relative paths are
    /// resolved from `dir`.
    pub fn keys_from(&self, dir: &Path) -> KeysFrom {
        if let Some(path) = std::env::var_os(KEY_FILE_VARIABLE) {
            return KeysFrom::File(PathBuf::from(path));
        }
        self.keys.clone().within(dir)
    }
}

/// The file as `init` writes it; settings that are not set have their default values.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            node,
            keys,
            storage,
            import,
            log,
            limits,
        } = self;
        writeln!(
            f,
            "# What this node is and how it runs. `concordat doctor` checks it.\n"
        )?;
        write!(f, "{node}\n{keys}\n{storage}\n{import}\n{log}\n{limits}")
    }
}

#[cfg(test)]
mod tests;
