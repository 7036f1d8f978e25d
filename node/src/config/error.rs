//! Why a configuration cannot be used.

use std::fmt;
use std::path::PathBuf;

use concordat_protocol::error_kind::{ErrorKind, Explain};

use super::names::{CREDENTIALS_VARIABLE, FILE, KEY_FILE_VARIABLE};

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
