//! `[keys]`: what unlocks the master key.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use concordat_keys::TokenLocation;

use super::error::ConfigError;
use super::names::CREDENTIALS_VARIABLE;
use super::reader::Section;
use super::writer::text;

/// `[keys] source`: what unlocks the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysFrom {
    /// A person types it when the node starts.
    Passphrase,
    /// A file that only its owner can read.
    File(PathBuf),
    /// What the service manager provides under this name (systemd credentials, `systemd.exec(5)`): a key file that is not in a
    /// file system that outlives the service, and not in an environment variable.
    Credential(String),
    /// A key that never leaves a PKCS#11 token.
    Token {
        /// Which key.
        location: TokenLocation,
        /// Where its PIN comes from.
        pin: PinFrom,
    },
}

/// Where the PIN of a token comes from; never from an argument or the environment, which other users can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinFrom {
    /// A person types it when the node starts.
    Prompt,
    /// The first line of a file that only its owner can read.
    File(PathBuf),
    /// What the service manager provides under this name.
    Credential(String),
}

impl KeysFrom {
    /// The same, with relative paths resolved from `dir`.
    pub(super) fn within(self, dir: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(dir.join(path)),
            Self::Token {
                location,
                pin: PinFrom::File(path),
            } => Self::Token {
                location,
                pin: PinFrom::File(dir.join(path)),
            },
            Self::Passphrase | Self::Credential(_) | Self::Token { .. } => self,
        }
    }
}

/// The settings that are valid with only one source, and that source.
const SOURCE_SETTINGS: [(&str, &str); 7] = [
    ("file", "file"),
    ("name", "credential"),
    ("module", "pkcs11"),
    ("token", "pkcs11"),
    ("key", "pkcs11"),
    ("pin_file", "pkcs11"),
    ("pin_credential", "pkcs11"),
];

/// Reads the section.
pub(super) fn keys(section: &mut Section<'_>) -> Option<KeysFrom> {
    let source = section.required::<String>("source")?;
    let mut left = SOURCE_SETTINGS.map(|(key, owner)| (key, owner, section.optional::<String>(key)));
    if !SOURCE_SETTINGS.iter().any(|(_, owner)| *owner == source) && source != "passphrase" {
        return section.mistake(
            "source",
            "must be one of `passphrase`, `file`, `credential` and `pkcs11`",
        );
    }
    for (key, owner, value) in &left {
        if value.is_some() && *owner != source {
            section.mistake::<()>(key, format!("is set, but `keys.source` is not `{owner}`"));
        }
    }
    let mut given = |wanted: &str| {
        let found = left.iter_mut().find(|(key, ..)| *key == wanted);
        found
            .and_then(|(.., value)| value.take())
            .filter(|text| !text.is_empty())
    };
    match source.as_str() {
        "file" => needed(section, "file", &source, given("file")).map(|path| KeysFrom::File(path.into())),
        "credential" => {
            let name = needed(section, "name", &source, given("name"))?;
            is_credential(section, "name", &name).then_some(KeysFrom::Credential(name))
        }
        "pkcs11" => {
            let module = needed(section, "module", &source, given("module"));
            let token = needed(section, "token", &source, given("token"));
            let key = needed(section, "key", &source, given("key"));
            let pin = pin(section, given("pin_file"), given("pin_credential"));
            let location = token_location(section, module?.into(), token?, key?)?;
            Some(KeysFrom::Token { location, pin: pin? })
        }
        _ => Some(KeysFrom::Passphrase),
    }
}

fn needed(section: &mut Section<'_>, key: &str, source: &str, value: Option<String>) -> Option<String> {
    value.or_else(|| section.mistake(key, format!("is missing; `keys.source` is `{source}`")))
}

/// The module must be named by an absolute path, so that it is not searched for elsewhere.
fn token_location(section: &mut Section<'_>, module: PathBuf, token: String, key: String) -> Option<TokenLocation> {
    if !module.is_absolute() {
        return section.mistake(
            "module",
            "must be an absolute path, such as `/usr/lib/softhsm/libsofthsm2.so`",
        );
    }
    Some(TokenLocation { module, token, key })
}

fn pin(section: &mut Section<'_>, file: Option<String>, credential: Option<String>) -> Option<PinFrom> {
    match (file, credential) {
        (None, None) => Some(PinFrom::Prompt),
        (Some(path), None) => Some(PinFrom::File(path.into())),
        (None, Some(name)) => is_credential(section, "pin_credential", &name).then_some(PinFrom::Credential(name)),
        (Some(_), Some(_)) => section.mistake("pin_file", "and `keys.pin_credential` are both set; remove one"),
    }
}

/// Checks that the name cannot leave the folder of credentials.
pub(super) fn is_credential(section: &mut Section<'_>, key: &str, name: &str) -> bool {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        section.mistake::<()>(key, "is not the name of a credential; it must not contain `/`");
        return false;
    }
    true
}

/// The file in which the service manager provides the credential `name`.
///
/// # Errors
/// [`ConfigError::NoCredentials`] when it does not provide any.
pub fn credential(name: &str) -> Result<PathBuf, ConfigError> {
    match std::env::var_os(CREDENTIALS_VARIABLE) {
        Some(folder) => Ok(Path::new(&folder).join(name)),
        None => Err(ConfigError::NoCredentials { name: name.to_owned() }),
    }
}

/// The section as `init` writes it.
impl fmt::Display for KeysFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[keys]")?;
        match self {
            Self::Passphrase => writeln!(f, "source = \"passphrase\""),
            Self::File(path) => writeln!(f, "source = \"file\"\nfile = {}", text(&path.display())),
            Self::Credential(name) => writeln!(f, "source = \"credential\"\nname = {}", text(name)),
            Self::Token { location, pin } => {
                writeln!(f, "source = \"pkcs11\"\nmodule = {}", text(&location.module.display()))?;
                writeln!(f, "token = {}\nkey = {}", text(&location.token), text(&location.key))?;
                match pin {
                    PinFrom::Prompt => Ok(()),
                    PinFrom::File(path) => writeln!(f, "pin_file = {}", text(&path.display())),
                    PinFrom::Credential(name) => writeln!(f, "pin_credential = {}", text(name)),
                }
            }
        }
    }
}
