//! The settings of an object location.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// Where the sealed objects of a data directory are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ObjectLocation {
    /// In the folder `objects` of the data directory.
    #[default]
    Local,
    /// In an S3-compatible store.
    S3(Box<S3Location>),
}

/// A location in an S3-compatible store, and how to connect to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    /// The bucket, and the prefix of the names of all objects.
    pub url: S3Url,
    /// The server; `None` for Amazon's server of the region.
    pub endpoint: Option<Endpoint>,
    /// The region that requests are signed for.
    pub region: Region,
    /// The file with the key; see [`crate::objects`].
    pub credentials: PathBuf,
    /// The longest that one attempt of one request may take.
    pub request_timeout: Duration,
    /// How often a request is retried.
    pub retries: usize,
}

/// `s3://BUCKET` or `s3://BUCKET/PREFIX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Url {
    bucket: String,
    prefix: String,
}

impl S3Url {
    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The prefix of the names of all objects, without a `/` at its ends; may be empty.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl FromStr for S3Url {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        let rest = text.strip_prefix("s3://").ok_or(InvalidLocation::Url)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !is_bucket(bucket) || !(prefix.is_empty() || prefix.split('/').all(is_step)) {
            return Err(InvalidLocation::Url);
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for S3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix.is_empty() {
            return Ok(());
        }
        write!(f, "/{}", self.prefix)
    }
}

/// Amazon's rule, which other stores share.
fn is_bucket(name: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| ends(Some(byte)) || b".-".contains(byte))
}

/// Only characters that mean the same in every store, and no part that path normalization would remove.
fn is_step(step: &str) -> bool {
    !matches!(step, "" | "." | "..")
        && step
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether a store may be used without TLS. Objects are sealed either way; without TLS the network sees the names of objects
/// and who requests them, and it can change responses at will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Never.
    #[default]
    Refused,
    /// Only on this machine.
    Loopback,
    /// Anywhere.
    DangerAnywhere,
}

/// The server of a store: `https://HOST[:PORT]`, or `http://…` where that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    is_plain: bool,
}

impl Endpoint {
    /// Parses the address of a server.
    ///
    /// # Errors
    /// [`InvalidLocation::Endpoint`], and [`InvalidLocation::Plain`] if it is without TLS and `plain` does not allow that.
    pub fn new(text: &str, plain: PlainHttp) -> Result<Self, InvalidLocation> {
        let url = text.strip_suffix('/').unwrap_or(text);
        let (scheme, authority) = url.split_once("://").ok_or(InvalidLocation::Endpoint)?;
        let host = host(authority).ok_or(InvalidLocation::Endpoint)?;
        let is_plain = match scheme {
            "https" => false,
            "http" => true,
            _ => return Err(InvalidLocation::Endpoint),
        };
        let allowed = match plain {
            PlainHttp::Refused => !is_plain,
            PlainHttp::Loopback => !is_plain || is_loopback(host),
            PlainHttp::DangerAnywhere => true,
        };
        if !allowed {
            return Err(InvalidLocation::Plain);
        }
        Ok(Self {
            url: url.to_owned(),
            is_plain,
        })
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Whether it is without TLS.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// The host of `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
    let rest_is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    (is_host && rest_is_port).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The name of a region, for which requests are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name that stores other than Amazon's use.
impl Default for Region {
    fn default() -> Self {
        Self("us-east-1".to_owned())
    }
}

impl FromStr for Region {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        let is_name = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLocation::Region)
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a valid location setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocation {
    /// Not the address of a bucket.
    #[error("must be `s3://BUCKET` or `s3://BUCKET/PREFIX`, the prefix of letters, digits and `._-`")]
    Url,
    /// Not the address of a server.
    #[error("must be `https://HOST` or `https://HOST:PORT`")]
    Endpoint,
    /// A server without TLS.
    #[error(
        "does not use TLS; use `https://`, or allow it with `plain_http = \"loopback\"` for a server on this machine"
    )]
    Plain,
    /// Not the name of a region.
    #[error("must be the name of a region, such as `eu-central-1`")]
    Region,
}
