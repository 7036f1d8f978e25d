//! `[storage]`: where sealed objects are stored.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use concordat_storage::objects::{Endpoint, InvalidLocation, ObjectLocation, PlainHttp, Region, S3Location, S3Url};

use super::choice::InvalidChoice;
use super::error::ConfigError;
use super::keys::{credential, is_credential};
use super::reader::Section;
use super::writer::text;

/// Default timeout of one attempt of one request to a store, in seconds: enough for four concurrent parts of 8 MiB over
/// 9 Mbit/s.
const REQUEST_TIMEOUT: usize = 30;
/// Default number of retries of a request: a few seconds in total if connections are refused, two and a half
/// minutes if there is no answer.
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
    /// The server; `None` for Amazon S3.
    pub endpoint: Option<Endpoint>,
    /// Whether the server may be used without TLS.
    pub plain_http: PlainHttpSetting,
    /// The region.
    pub region: Region,
    /// Where the key of the store comes from.
    pub credentials: CredentialsFrom,
    /// Timeout of one attempt of one request, in seconds.
    pub request_timeout: usize,
    /// Number of retries of a request.
    pub retries: usize,
}

/// Where the key of a store comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsFrom {
    /// A file that only its owner can read.
    File(PathBuf),
    /// What the service manager provides under this name.
    Credential(String),
}

/// `plain_http` as written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlainHttpSetting(pub PlainHttp);

impl FromStr for PlainHttpSetting {
    type Err = InvalidChoice;

    fn from_str(text: &str) -> Result<Self, InvalidChoice> {
        match text {
            "refused" => Ok(Self(PlainHttp::Refused)),
            "loopback" => Ok(Self(PlainHttp::Loopback)),
            "danger-anywhere" => Ok(Self(PlainHttp::DangerAnywhere)),
            _ => Err(InvalidChoice {
                choices: "`refused`, `loopback` and `danger-anywhere`",
            }),
        }
    }
}

impl fmt::Display for PlainHttpSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            PlainHttp::Refused => "refused",
            PlainHttp::Loopback => "loopback",
            PlainHttp::DangerAnywhere => "danger-anywhere",
        })
    }
}

/// `objects` as written in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ObjectsSetting {
    /// `local`
    Local,
    /// `s3://…`
    S3(S3Url),
}

impl FromStr for ObjectsSetting {
    type Err = InvalidObjects;

    fn from_str(text: &str) -> Result<Self, InvalidObjects> {
        if text == "local" {
            return Ok(Self::Local);
        }
        text.parse().map(Self::S3).map_err(|_| InvalidObjects)
    }
}

/// Text that does not name a location for objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `local`, `s3://BUCKET` or `s3://BUCKET/PREFIX`, the prefix of letters, digits and `._-`")]
pub(crate) struct InvalidObjects;

/// Settings that are valid only with a store.
const STORE_SETTINGS: [&str; 7] = [
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
        Some(ObjectsSetting::S3(url)) => store(section, Some(url)),
        // A mistyped store is read as a store, so that its other mistakes are reported as well.
        None if is_set => store(section, None),
        Some(ObjectsSetting::Local) | None => {
            for key in STORE_SETTINGS {
                if section.remove_if_present(key) {
                    section.mistake::<()>(key, "is set, but `storage.objects` does not name a store");
                }
            }
            Some(StorageSection::Local)
        }
    }
}

fn store(section: &mut Section<'_>, url: Option<S3Url>) -> Option<StorageSection> {
    let plain_http: PlainHttpSetting = section.optional("plain_http").unwrap_or_default();
    let endpoint = match section.optional::<String>("endpoint") {
        None => Some(None),
        Some(text) => match Endpoint::new(&text, plain_http.0) {
            Ok(endpoint) => Some(Some(endpoint)),
            Err(error @ InvalidLocation::Plain) => section.mistake("endpoint", error.to_string()),
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
            "is missing: a store needs the path of the file with its key, or `credential` with the name of a systemd credential",
        ),
    }
}

impl StorageSection {
    /// The configured location, for the node in `dir`.
    ///
    /// # Errors
    /// [`ConfigError::NoCredentials`] when the key of a store should come from a service manager that does not provide it.
    pub fn location(&self, dir: &Path) -> Result<ObjectLocation, ConfigError> {
        match self {
            Self::Local => Ok(ObjectLocation::Local),
            Self::S3(store) => Ok(ObjectLocation::S3(Box::new(S3Location {
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
    /// As [`StorageSection::location`].
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
            "# timeout in seconds of one attempt of one request, and the number of retries"
        )?;
        writeln!(
            f,
            "request_timeout = {}\nretries = {}",
            store.request_timeout, store.retries
        )
    }
}
