//! What has to be known of a place to find it.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// Where the sealed objects of a data directory lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ObjectPlace {
    /// In the folder `objects` of the data directory.
    #[default]
    Local,
    /// In an S3-compatible store.
    S3(Box<S3Place>),
}

/// A place in an S3-compatible store, and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    /// The bucket, and what the names of all objects begin with.
    pub url: S3Url,
    /// The server; none for Amazon's own of the region.
    pub endpoint: Option<Endpoint>,
    /// The region that requests are signed for.
    pub region: Region,
    /// The file with the key; see [`crate::objects`].
    pub credentials: PathBuf,
    /// The longest that one try of one request may take.
    pub request_timeout: Duration,
    /// How often a request is tried again.
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

    /// What the names of all objects begin with, without a `/` at its ends; may be empty.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl FromStr for S3Url {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let rest = text.strip_prefix("s3://").ok_or(InvalidPlace::Url)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !is_bucket(bucket) || !(prefix.is_empty() || prefix.split('/').all(is_step)) {
            return Err(InvalidPlace::Url);
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

/// The rule of Amazon, which the others share.
fn is_bucket(name: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| ends(Some(byte)) || b".-".contains(byte))
}

/// Characters that mean the same in every store, and no step that a path could lose.
fn is_step(step: &str) -> bool {
    !matches!(step, "" | "." | "..")
        && step
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether a store may be spoken to without TLS. What it sees is sealed either way; what the network sees without TLS are the
/// names of objects and who asks for them, and it can change answers at will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Never.
    #[default]
    Refused,
    /// On this machine.
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
    /// Reads the address of a server.
    ///
    /// # Errors
    /// [`InvalidPlace::Endpoint`], and [`InvalidPlace::Plain`] if it is without TLS and `plain` does not allow that.
    pub fn new(text: &str, plain: PlainHttp) -> Result<Self, InvalidPlace> {
        let url = text.strip_suffix('/').unwrap_or(text);
        let (scheme, authority) = url.split_once("://").ok_or(InvalidPlace::Endpoint)?;
        let host = host(authority).ok_or(InvalidPlace::Endpoint)?;
        let is_plain = match scheme {
            "https" => false,
            "http" => true,
            _ => return Err(InvalidPlace::Endpoint),
        };
        let allowed = match plain {
            PlainHttp::Refused => !is_plain,
            PlainHttp::Loopback => !is_plain || is_loopback(host),
            PlainHttp::DangerAnywhere => true,
        };
        if !allowed {
            return Err(InvalidPlace::Plain);
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

/// The name of a region, as requests are signed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stores other than Amazon's call theirs.
impl Default for Region {
    fn default() -> Self {
        Self("us-east-1".to_owned())
    }
}

impl FromStr for Region {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let is_name = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPlace::Region)
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlace {
    /// No address of a bucket.
    #[error("must be `s3://BUCKET` or `s3://BUCKET/PREFIX`, the prefix of letters, digits and `._-`")]
    Url,
    /// No address of a server.
    #[error("must be `https://HOST` or `https://HOST:PORT`")]
    Endpoint,
    /// A server without TLS.
    #[error(
        "is without TLS; use `https://`, or allow it with `plain_http = \"loopback\"` for a server on this machine"
    )]
    Plain,
    /// No name of a region.
    #[error("must be the name of a region, such as `eu-central-1`")]
    Region,
}
