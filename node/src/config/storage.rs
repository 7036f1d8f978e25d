//! `[storage]`: where sealed objects lie.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use concordat_storage::objects::{Endpoint, InvalidPlace, ObjectPlace, PlainHttp, Region, S3Place, S3Url};

use super::{ConfigError, NoSuchChoice, credential, keys::is_credential, reader::Section};

/// The longest that one try of one request to a store may take, unless another time is set: four parts of 8 MiB at once go over
/// 9 Mbit/s.
const REQUEST_TIMEOUT: usize = 30;
/// How often a request is tried again unless another number is set: some seconds where a connection is refused, two and a half
/// minutes where nobody answers.
const RETRIES: usize = 4;

/// `[storage]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StorageSection {
    /// In the data directory.
    #[default]
    Local,
    /// In an S3-compatible store.
    S3(Box<StoreSection>),
}

/// `[storage]` with a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSection {
    /// The bucket and the prefix.
    pub url: S3Url,
    /// The server; none for Amazon's own.
    pub endpoint: Option<Endpoint>,
    /// Whether the server may be without TLS.
    pub plain_http: PlainHttpWord,
    /// The region.
    pub region: Region,
    /// Where the key of the store comes from.
    pub credentials: CredentialsFrom,
    /// Seconds that one try of one request may take.
    pub request_timeout: usize,
    /// How often a request is tried again.
    pub retries: usize,
}

/// Where the key of a store comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsFrom {
    /// A file that only its owner can read.
    File(PathBuf),
    /// What the service manager hands over under this name.
    Credential(String),
}

/// `plain_http` as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlainHttpWord(pub PlainHttp);

impl FromStr for PlainHttpWord {
    type Err = NoSuchChoice;

    fn from_str(word: &str) -> Result<Self, NoSuchChoice> {
        match word {
            "refused" => Ok(Self(PlainHttp::Refused)),
            "loopback" => Ok(Self(PlainHttp::Loopback)),
            "danger-anywhere" => Ok(Self(PlainHttp::DangerAnywhere)),
            _ => Err(NoSuchChoice {
                choices: "`refused`, `loopback` and `danger-anywhere`",
            }),
        }
    }
}

impl fmt::Display for PlainHttpWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            PlainHttp::Refused => "refused",
            PlainHttp::Loopback => "loopback",
            PlainHttp::DangerAnywhere => "danger-anywhere",
        })
    }
}

/// Where objects lie, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectsWord {
    /// `local`
    Local,
    /// `s3://…`
    S3(S3Url),
}

impl FromStr for ObjectsWord {
    type Err = InvalidObjects;

    fn from_str(word: &str) -> Result<Self, InvalidObjects> {
        if word == "local" {
            return Ok(Self::Local);
        }
        word.parse().map(Self::S3).map_err(|_| InvalidObjects)
    }
}

/// A word that names no place where objects could lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `local`, `s3://BUCKET` or `s3://BUCKET/PREFIX`, the prefix of letters, digits and `._-`")]
pub struct InvalidObjects;

/// What belongs to a store only.
const OF_A_STORE: [&str; 7] = [
    "endpoint",
    "plain_http",
    "region",
    "credentials",
    "credential",
    "request_timeout",
    "retries",
];

pub(super) fn storage(section: &mut Section<'_>) -> Option<StorageSection> {
    let is_set = section.has("objects");
    match section.optional("objects") {
        Some(ObjectsWord::S3(url)) => store(section, Some(url)),
        // A mistyped store is one, with its other mistakes.
        None if is_set => store(section, None),
        Some(ObjectsWord::Local) | None => {
            for key in OF_A_STORE {
                if section.drop_if_there(key) {
                    section.mistake::<()>(key, "is set, but `storage.objects` names no store");
                }
            }
            Some(StorageSection::Local)
        }
    }
}

fn store(section: &mut Section<'_>, url: Option<S3Url>) -> Option<StorageSection> {
    let plain_http: PlainHttpWord = section.optional("plain_http").unwrap_or_default();
    let endpoint = match section.optional::<String>("endpoint") {
        None => Some(None),
        Some(text) => match Endpoint::new(&text, plain_http.0) {
            Ok(endpoint) => Some(Some(endpoint)),
            Err(error @ InvalidPlace::Plain) => section.mistake("endpoint", error.to_string()),
            Err(error) => section.mistake("endpoint", format!("is `{text}`: {error}")),
        },
    };
    let region = section.optional("region").unwrap_or_default();
    let credentials = credentials(section);
    let request_timeout = section.count("request_timeout").unwrap_or(REQUEST_TIMEOUT);
    let retries = section.number("retries").unwrap_or(RETRIES);
    Some(StorageSection::S3(Box::new(StoreSection {
        url: url?,
        endpoint: endpoint?,
        plain_http,
        region,
        credentials: credentials?,
        request_timeout,
        retries,
    })))
}

fn credentials(section: &mut Section<'_>) -> Option<CredentialsFrom> {
    let file = section.optional::<PathBuf>("credentials");
    let name = section.optional::<String>("credential");
    match (file, name) {
        (Some(path), None) => Some(CredentialsFrom::File(path)),
        (None, Some(name)) => {
            is_credential(section, "credential", &name).then_some(CredentialsFrom::Credential(name))
        }
        (Some(_), Some(_)) => section.mistake("credential", "is set, but `storage.credentials` names a file already"),
        (None, None) => section.mistake(
            "credentials",
            "is missing: a store needs the path of the file that holds its key, or `credential` with its name at systemd",
        ),
    }
}

impl StorageSection {
    /// The place that the settings name, for the node in `dir`.
    ///
    /// # Errors
    /// [`ConfigError::NoCredentials`] when the key of a store should come from a service manager that hands over nothing.
    pub fn place(&self, dir: &Path) -> Result<ObjectPlace, ConfigError> {
        match self {
            Self::Local => Ok(ObjectPlace::Local),
            Self::S3(store) => Ok(ObjectPlace::S3(Box::new(S3Place {
                url: store.url.clone(),
                endpoint: store.endpoint.clone(),
                region: store.region.clone(),
                credentials: store.key_file(dir)?,
                request_timeout: Duration::from_secs(store.request_timeout as u64),
                retries: store.retries,
            }))),
        }
    }
}

impl StoreSection {
    /// The file with the key of the store.
    ///
    /// # Errors
    /// As [`StorageSection::place`].
    pub fn key_file(&self, dir: &Path) -> Result<PathBuf, ConfigError> {
        match &self.credentials {
            CredentialsFrom::File(path) => Ok(dir.join(path)),
            CredentialsFrom::Credential(name) => credential(name),
        }
    }
}

/// The section as `init` writes it.
impl fmt::Display for StorageSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &dyn fmt::Display| toml::Value::String(value.to_string());
        writeln!(
            f,
            "[storage]\n# local, or s3://BUCKET/PREFIX: see docs/guides/object-storage.md"
        )?;
        let Self::S3(store) = self else {
            return writeln!(f, "objects = \"local\"");
        };
        writeln!(f, "objects = {}", text(&store.url))?;
        if let Some(endpoint) = &store.endpoint {
            writeln!(f, "endpoint = {}", text(endpoint))?;
        }
        writeln!(
            f,
            "plain_http = {}\nregion = {}",
            text(&store.plain_http),
            text(&store.region)
        )?;
        match &store.credentials {
            CredentialsFrom::File(path) => writeln!(f, "credentials = {}", text(&path.display()))?,
            CredentialsFrom::Credential(name) => writeln!(f, "credential = {}", text(name))?,
        }
        writeln!(
            f,
            "# seconds for one try of one request, and how often it is tried again"
        )?;
        writeln!(
            f,
            "request_timeout = {}\nretries = {}",
            store.request_timeout, store.retries
        )
    }
}
