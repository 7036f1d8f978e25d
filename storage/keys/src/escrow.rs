//! The keys of a node, encrypted to recovery keys, for when nothing else unlocks the node.
//!
//! The outer format is an age file (<https://age-encryption.org/v1>, X25519 recipients, ASCII armor): the holder of one of the
//! recovery keys can open it with any implementation of age. The contents:
//!
//! ```text
//! version 1, 1 byte | master key, 32 | root keys of state, ledger and identity, 32 each | for each segment:
//!     length of its name, 1 byte | name | key, 32
//! ```
//!
//! Datasets' keys are not included: they are in the state and in its backups, wrapped under their segments' keys.

mod shares;

use std::{
    fmt,
    io::{Read, Write},
    path::Path,
    str::FromStr,
};

use age::{
    Decryptor, Encryptor,
    armor::{ArmoredReader, ArmoredWriter, Format},
    x25519,
};
use zeroize::Zeroizing;

use super::{KeyError, KeyProvider, MasterKey, SegmentKey, master::Material, raw::RawKey};

pub use shares::{Share, ShareError, SharePlan};

const VERSION: u8 = 1;

/// A recovery key's public half: `age1…`.
#[derive(Clone)]
pub struct Recipient(x25519::Recipient);

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        text.trim().parse().map(Self).map_err(|_| KeyError::Recipient {
            text: text.chars().take(80).collect(),
        })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.0)
    }
}

/// A recovery key's private half, as `age-keygen` writes it: the line that begins with `AGE-SECRET-KEY-1`.
pub struct RecoveryKey(x25519::Identity);

impl RecoveryKey {
    /// Finds the key in the contents of a file; other lines are comments.
    ///
    /// # Errors
    /// [`KeyError::NoRecoveryKey`] if there is none.
    pub fn in_file(contents: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(contents).map_err(|_| KeyError::NoRecoveryKey)?;
        let found = text.lines().find_map(|line| line.trim().parse().ok());
        found.map(Self).ok_or(KeyError::NoRecoveryKey)
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

/// The keys of a node from an opened escrow.
#[derive(Debug)]
pub struct Escrow {
    material: Material,
    segments: Vec<SegmentKey>,
}

impl Escrow {
    /// Encrypts the keys of a node to the recipients, each of whom can open it alone.
    ///
    /// # Errors
    /// [`KeyError::NoRecipient`] if there is none.
    pub fn seal(master: &MasterKey, segments: &[SegmentKey], recipients: &[Recipient]) -> Result<String, KeyError> {
        let plain = encode(&master.material(), segments);
        let recipients = recipients.iter().map(|recipient| &recipient.0 as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(|_| KeyError::NoRecipient)?;
        let mut text = Vec::new();
        let written = ArmoredWriter::wrap_output(&mut text, Format::AsciiArmor)
            .and_then(|armor| encryptor.wrap_output(armor))
            .and_then(|mut out| {
                out.write_all(&plain)?;
                out.finish()?.finish()
            });
        written.map_err(|_| KeyError::NoRecipient)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Opens what [`Escrow::seal`] made.
    ///
    /// # Errors
    /// [`KeyError::WrongRecoveryKey`] if it was not encrypted to this key, or is not such a file.
    pub fn open(sealed: &[u8], key: &RecoveryKey) -> Result<Self, KeyError> {
        let opened = Decryptor::new_buffered(ArmoredReader::new(sealed))
            .and_then(|decryptor| decryptor.decrypt(std::iter::once(&key.0 as &dyn age::Identity)));
        let mut reader = opened.map_err(|_| KeyError::WrongRecoveryKey)?;
        let mut plain = Zeroizing::new(Vec::with_capacity(64 * 1024));
        reader.read_to_end(&mut plain).map_err(|_| KeyError::WrongRecoveryKey)?;
        decode(&plain).ok_or(KeyError::Unopenable { what: "escrow of keys" })
    }

    /// The keys above those of segments, which [`MasterKey::rewrite`] stores at `path` for `provider` to unlock; an existing file is
    /// replaced.
    ///
    /// # Errors
    /// As for the provider.
    pub fn master_key(&self, path: &Path, provider: &dyn KeyProvider) -> Result<MasterKey, KeyError> {
        MasterKey::of_escrow(path, &self.material, provider)
    }

    /// The key of a segment at the time of the escrow.
    #[must_use]
    pub fn segment(&self, name: &str) -> Option<&SegmentKey> {
        self.segments.iter().find(|segment| segment.name() == name)
    }
}

fn encode(material: &Material, segments: &[SegmentKey]) -> Zeroizing<Vec<u8>> {
    let size = segments.iter().map(|segment| 33 + segment.name().len()).sum::<usize>();
    let mut plain = Zeroizing::new(Vec::with_capacity(1 + 4 * 32 + size));
    plain.push(VERSION);
    for key in material.keys() {
        plain.extend_from_slice(key.bytes());
    }
    for segment in segments {
        // INVARIANT on segment names: at most 63 bytes.
        plain.push(u8::try_from(segment.name().len()).unwrap_or(u8::MAX));
        plain.extend_from_slice(segment.name().as_bytes());
        plain.extend_from_slice(segment.raw().bytes());
    }
    plain
}

fn decode(plain: &[u8]) -> Option<Escrow> {
    let (&version, mut rest) = plain.split_first()?;
    if version != VERSION {
        return None;
    }
    let mut key = || {
        let (bytes, after) = rest.split_first_chunk::<32>()?;
        rest = after;
        RawKey::from_opened(bytes)
    };
    let material = Material {
        master: key()?,
        state: key()?,
        ledger: key()?,
        identity: key()?,
    };
    let mut segments = Vec::new();
    while let Some((&len, after)) = rest.split_first() {
        let (name, after) = after.split_at_checked(usize::from(len))?;
        let (bytes, after) = after.split_first_chunk::<32>()?;
        let name = std::str::from_utf8(name).ok()?;
        segments.push(SegmentKey::from_escrow(name, RawKey::from_opened(bytes)?));
        rest = after;
    }
    Some(Escrow { material, segments })
}
