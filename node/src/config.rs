//! `concordat.toml`, parsed once and whole into types.
//!
//! All mistakes are collected and reported at once, each with its key. An unknown key is a mistake, because
//! it is usually a known one mistyped. Relative paths are resolved from the data directory. One setting can come from the
//! environment instead: [`KEY_FILE_VARIABLE`] names the key file, so that a container can provide its own.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "all variants that are not named are handled alike"
)]

mod import;
mod keys;
mod protected;
mod reader;
mod storage;

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    ids::{InstitutionId, Jurisdiction},
    text::LegalName,
};

use crate::network::{DialRange, Dialing, Multiaddr, address};
pub use import::{ImportSection, Inbox, InvalidInbox};
pub use keys::{CREDENTIALS_VARIABLE, KeysFrom, PinFrom, credential};
pub use protected::{INSTITUTION_SETTING, ProtectedSettings};
use reader::{Reader, Section};
pub use storage::{CredentialsFrom, InvalidObjects, ObjectsSetting, PlainHttpSetting, StorageSection, StoreSection};

/// Name of the file in the data directory.
pub const FILE: &str = "concordat.toml";
/// The environment variable that names the key file and takes precedence over `[keys]`.
pub const KEY_FILE_VARIABLE: &str = "CONCORDAT_KEY_FILE";
/// The port for peers, TCP and UDP, unless another is set.
pub const DEFAULT_PORT: u16 = 7400;

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

/// `[node]`.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSection {
    /// Short id of the institution.
    pub institution: InstitutionId,
    /// Its legal name.
    pub name: LegalName,
    /// The country whose law binds it.
    pub jurisdiction: Jurisdiction,
    /// Addresses to listen on; port 0 picks a free one.
    pub listen: Vec<Multiaddr>,
    /// Addresses at which others reach this node, as stated on the roster; empty means those it listens on.
    pub announce: Vec<Multiaddr>,
    /// Ranges of addresses at which members are dialed.
    pub dial: Vec<DialRange>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSection {
    /// The format of a line.
    pub format: LogFormat,
    /// The lowest level that is written.
    pub level: LogLevel,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The lowest level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Only what needs attention now.
    Error,
    /// What may need attention soon.
    Warn,
    /// What the node does.
    #[default]
    Info,
    /// How the node does it; may contain personal identifiers.
    Debug,
    /// Everything.
    Trace,
}

/// `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsSection {
    /// Established connections in total.
    pub connections: usize,
    /// Streams that all peers together have open here.
    pub streams: usize,
    /// Streams that one peer has open here.
    pub streams_per_peer: usize,
    /// Memory that all queries together may use, in MiB.
    pub memory_mib: usize,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let network = crate::network::Limits::default();
        Self {
            connections: network.connections,
            streams: network.streams,
            streams_per_peer: network.streams_per_peer,
            memory_mib: crate::sharing::DEFAULT_MEMORY >> 20,
        }
    }
}

impl From<LimitsSection> for crate::network::Limits {
    fn from(limits: LimitsSection) -> Self {
        Self {
            connections: limits.connections,
            streams: limits.streams,
            streams_per_peer: limits.streams_per_peer,
            ..Self::default()
        }
    }
}

impl Config {
    /// Reads `concordat.toml` in the data directory `dir`.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML or contains mistakes; all of them are named.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ConfigError::NoNode { dir: dir.to_owned() },
            _ => ConfigError::Unreadable {
                path: path.clone(),
                source,
            },
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
        let node = reader.section("node", node);
        let keys = reader.section("keys", keys::keys);
        let storage = reader.section("storage", storage::storage);
        let import = reader.section("import", import::import);
        let log = reader.section("log", log);
        let limits = reader.section("limits", limits);
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

    /// Addresses to listen on at `port`, over TCP and QUIC, on all interfaces.
    pub fn listen_at(port: u16) -> Vec<Multiaddr> {
        address::on_all_interfaces(port)
    }
}

fn node(section: &mut Section<'_>) -> Option<NodeSection> {
    let institution = section.required("institution");
    let name = section.required("name");
    let jurisdiction = section.required("jurisdiction");
    let listen = section
        .list("listen")
        .unwrap_or_else(|| Config::listen_at(DEFAULT_PORT));
    if listen.is_empty() {
        section.mistake::<()>(
            "listen",
            "does not contain an address; a node without one cannot be reached",
        );
    }
    let announce = section.list("announce").unwrap_or_default();
    let dial = section.list("dial").unwrap_or_else(Dialing::default_ranges);
    Some(NodeSection {
        institution: institution?,
        name: name?,
        jurisdiction: jurisdiction?,
        listen,
        announce,
        dial,
    })
}

fn log(section: &mut Section<'_>) -> LogSection {
    LogSection {
        format: section.optional("format").unwrap_or_default(),
        level: section.optional("level").unwrap_or_default(),
    }
}

fn limits(section: &mut Section<'_>) -> LimitsSection {
    let default = LimitsSection::default();
    LimitsSection {
        connections: section.count("connections").unwrap_or(default.connections),
        streams: section.count("streams").unwrap_or(default.streams),
        streams_per_peer: section.count("streams_per_peer").unwrap_or(default.streams_per_peer),
        memory_mib: memory_mib(section).unwrap_or(default.memory_mib),
    }
}

/// The minimum that is enough for two concurrent remote queries, as a join needs, and one local query.
const MIN_MEMORY_MIB: usize = 512;

fn memory_mib(section: &mut Section<'_>) -> Option<usize> {
    let given = section.count("memory_mib")?;
    if given < MIN_MEMORY_MIB {
        return section.mistake("memory_mib", format!("must be at least {MIN_MEMORY_MIB}"));
    }
    Some(given)
}

/// The file as `init` writes it; settings that are not set have their default values.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &dyn fmt::Display| toml::Value::String(value.to_string());
        let list = |addresses: &[Multiaddr]| toml::Value::Array(addresses.iter().map(|a| text(a)).collect());
        writeln!(
            f,
            "# What this node is and how it runs. `concordat doctor` checks it.\n"
        )?;
        writeln!(f, "[node]\ninstitution = {}", text(&self.node.institution))?;
        writeln!(f, "name = {}", text(&self.node.name))?;
        writeln!(f, "# ISO 3166-1: the country whose law binds the institution")?;
        writeln!(f, "jurisdiction = {}", text(&self.node.jurisdiction))?;
        writeln!(f, "# port 0 picks a free one")?;
        writeln!(f, "listen = {}", list(&self.node.listen))?;
        writeln!(f, "# where others reach this node; if empty, where it listens")?;
        writeln!(f, "announce = {}", list(&self.node.announce))?;
        writeln!(
            f,
            "# addresses of members that are dialed: public, private, loopback, link-local"
        )?;
        writeln!(f, "# and blocks such as 10.20.0.0/16; all others are not")?;
        let dial = self.node.dial.iter().map(|range| text(range)).collect();
        writeln!(f, "dial = {}\n", toml::Value::Array(dial))?;
        write!(f, "{}", self.keys)?;
        writeln!(f, "\n{}", self.storage)?;
        writeln!(f, "{}", self.import)?;
        writeln!(f, "[log]\n# text or json; error, warn, info, debug or trace")?;
        writeln!(
            f,
            "format = {}\nlevel = {}\n",
            text(&self.log.format),
            text(&self.log.level)
        )?;
        writeln!(
            f,
            "[limits]\n# what all peers together, and one of them, may occupy at one time"
        )?;
        writeln!(
            f,
            "connections = {}\nstreams = {}",
            self.limits.connections, self.limits.streams
        )?;
        writeln!(f, "streams_per_peer = {}", self.limits.streams_per_peer)?;
        writeln!(f, "# memory that all queries together may take, in MiB")?;
        writeln!(f, "memory_mib = {}", self.limits.memory_mib)
    }
}

/// Text that is not a valid value of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {choices}")]
pub struct InvalidChoice {
    choices: &'static str,
}

macro_rules! choice {
    ($type:ty, $choices:literal, $($name:literal => $variant:ident),+) => {
        impl FromStr for $type {
            type Err = InvalidChoice;
            fn from_str(text: &str) -> Result<Self, InvalidChoice> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(InvalidChoice { choices: $choices }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name,)+ })
            }
        }
    };
}

choice!(LogFormat, "`text` and `json`", "text" => Text, "json" => Json);
choice!(
    LogLevel, "`error`, `warn`, `info`, `debug` and `trace`",
    "error" => Error, "warn" => Warn, "info" => Info, "debug" => Debug, "trace" => Trace
);

/// One mistake in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key: `section.key`.
    pub key: String,
    /// The description.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.key, self.what)
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No node was set up here.
    #[error("there is no node in `{}`", dir.display())]
    NoNode {
        /// The data directory.
        dir: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("`{}` is not TOML", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
    /// A key should come from the service manager, which does not provide it.
    #[error("the credential `{name}` is needed, but {CREDENTIALS_VARIABLE} is not set")]
    NoCredentials {
        /// The name of the credential.
        name: String,
    },
    /// Settings are missing, unknown or wrong.
    #[error("`{}` contains {} {}", path.display(), mistakes.len(), if mistakes.len() == 1 { "mistake" } else { "mistakes" })]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// All of them, in the order of the file's sections.
        mistakes: Vec<Mistake>,
    },
}

impl Explain for ConfigError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoNode { .. } => ErrorKind::NotFound,
            Self::NoCredentials { .. } => ErrorKind::Locked,
            Self::Unreadable { .. } => ErrorKind::Internal,
            Self::Syntax { .. } => ErrorKind::Usage,
            Self::Mistakes { .. } => ErrorKind::Usage,
        }
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Mistakes { mistakes, .. } => mistakes.iter().map(ToString::to_string).collect(),
            Self::NoNode { .. } | Self::NoCredentials { .. } | Self::Unreadable { .. } | Self::Syntax { .. } => {
                Vec::new()
            }
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::NoNode { .. } => {
                Some("set one up with `concordat init`, or name its directory with `--dir`".to_owned())
            }
            Self::NoCredentials { name } => Some(format!(
                "start it as a service with `LoadCredentialEncrypted={name}:FILE`, or name a file in {} instead (the key file that unlocks it can also be named in {})",
                FILE, KEY_FILE_VARIABLE
            )),
            Self::Mistakes { .. } | Self::Syntax { .. } => Some("fix the file and try again".to_owned()),
            Self::Unreadable { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
