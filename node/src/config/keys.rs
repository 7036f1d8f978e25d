//! `[keys]`: what unlocks the master key.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use concordat_storage::keys::TokenPlace;

use super::{ConfigError, reader::Section};

/// The environment variable that names the folder of credentials; systemd sets it.
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// `[keys] source`: what unlocks the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysFrom {
    /// A person types it when the node starts.
    Passphrase,
    /// A file that only its owner can read.
    File(PathBuf),
    /// What the service manager hands over under this name (systemd credentials, `systemd.exec(5)`): a key file that is in no
    /// file system that outlives the service, and in no environment variable.
    Credential(String),
    /// A key that never leaves a PKCS#11 token.
    Token {
        /// Which key.
        place: TokenPlace,
        /// Where its PIN comes from.
        pin: PinFrom,
    },
}

/// Where the PIN of a token comes from; never from an argument or the environment, which others can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinFrom {
    /// A person types it when the node starts.
    Prompt,
    /// The first line of a file that only its owner can read.
    File(PathBuf),
    /// What the service manager hands over under this name.
    Credential(String),
}

impl KeysFrom {
    /// The same with its paths taken from `dir`.
    pub(super) fn within(self, dir: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(dir.join(path)),
            Self::Token {
                place,
                pin: PinFrom::File(path),
            } => Self::Token {
                place,
                pin: PinFrom::File(dir.join(path)),
            },
            Self::Passphrase | Self::Credential(_) | Self::Token { .. } => self,
        }
    }
}

/// The settings that belong to one source and to no other.
const OWNED: [(&str, &str); 7] = [
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
    let mut left = OWNED.map(|(key, owner)| (key, owner, section.optional::<String>(key)));
    if !OWNED.iter().any(|(_, owner)| *owner == source) && source != "passphrase" {
        return section.mistake("source", "is none of `passphrase`, `file`, `credential` and `pkcs11`");
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
            let place = place(section, module?.into(), token?, key?)?;
            Some(KeysFrom::Token { place, pin: pin? })
        }
        _ => Some(KeysFrom::Passphrase),
    }
}

fn needed(section: &mut Section<'_>, key: &str, source: &str, value: Option<String>) -> Option<String> {
    value.or_else(|| section.mistake(key, format!("is missing; `keys.source` is `{source}`")))
}

/// A module that is named by its path from the root is never looked for elsewhere.
fn place(section: &mut Section<'_>, module: PathBuf, token: String, key: String) -> Option<TokenPlace> {
    if !module.is_absolute() {
        return section.mistake(
            "module",
            "must be a path from the root, such as `/usr/lib/softhsm/libsofthsm2.so`",
        );
    }
    Some(TokenPlace { module, token, key })
}

fn pin(section: &mut Section<'_>, file: Option<String>, credential: Option<String>) -> Option<PinFrom> {
    match (file, credential) {
        (None, None) => Some(PinFrom::Prompt),
        (Some(path), None) => Some(PinFrom::File(path.into())),
        (None, Some(name)) => is_credential(section, "pin_credential", &name).then_some(PinFrom::Credential(name)),
        (Some(_), Some(_)) => section.mistake("pin_file", "and `keys.pin_credential` are both set; leave one"),
    }
}

/// The name stays in its folder.
pub(super) fn is_credential(section: &mut Section<'_>, key: &str, name: &str) -> bool {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        section.mistake::<()>(key, "is no name of a credential; it may not hold `/`");
        return false;
    }
    true
}

/// The file in which the service manager hands over the credential `name`.
///
/// # Errors
/// [`ConfigError::NoCredentials`] when it hands over none.
pub fn credential(name: &str) -> Result<PathBuf, ConfigError> {
    match std::env::var_os(CREDENTIALS_VARIABLE) {
        Some(folder) => Ok(Path::new(&folder).join(name)),
        None => Err(ConfigError::NoCredentials { name: name.to_owned() }),
    }
}

/// The section as `init` writes it.
impl fmt::Display for KeysFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &dyn fmt::Display| toml::Value::String(value.to_string());
        writeln!(f, "[keys]")?;
        match self {
            Self::Passphrase => writeln!(f, "source = \"passphrase\""),
            Self::File(path) => writeln!(f, "source = \"file\"\nfile = {}", text(&path.display())),
            Self::Credential(name) => writeln!(f, "source = \"credential\"\nname = {}", text(name)),
            Self::Token { place, pin } => {
                writeln!(f, "source = \"pkcs11\"\nmodule = {}", text(&place.module.display()))?;
                writeln!(f, "token = {}\nkey = {}", text(&place.token), text(&place.key))?;
                match pin {
                    PinFrom::Prompt => Ok(()),
                    PinFrom::File(path) => writeln!(f, "pin_file = {}", text(&path.display())),
                    PinFrom::Credential(name) => writeln!(f, "pin_credential = {}", text(name)),
                }
            }
        }
    }
}
