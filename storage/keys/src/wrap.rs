//! Sealing of small values: wrapped keys, secrets, state values.
//!
//! XChaCha20-Poly1305 with a random nonce of 24 bytes, long enough that random nonces do not collide. A sealed value opens only
//! with the same *context*: a label and the parts that name its position.
//!
//! Layout: one byte format version (1), 24 bytes nonce, ciphertext, 16 bytes tag.

use std::fmt;

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::{KeyError, raw::RawKey};

const VERSION: u8 = 1;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
/// Bytes that a sealed value has more than its contents.
pub(crate) const OVERHEAD: usize = 1 + NONCE_LEN + TAG_LEN;

/// A sealed key or secret, safe to store anywhere; destroying it makes what it protects unreadable.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped(Vec<u8>);

impl Wrapped {
    /// Wraps bytes from [`Wrapped::as_bytes`]; they are checked when opened.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn seal(key: &RawKey, context: &[u8], plain: &[u8]) -> Result<Self, KeyError> {
        seal(key, context, plain).map(Self)
    }

    pub(crate) fn open(
        &self,
        key: &RawKey,
        context: &[u8],
        what: &'static str,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        open(key, context, &self.0, what)
    }

    pub(crate) fn open_key(&self, key: &RawKey, context: &[u8], what: &'static str) -> Result<RawKey, KeyError> {
        RawKey::from_opened(&self.open(key, context, what)?).ok_or(KeyError::Unopenable { what })
    }
}

/// Associated data: a label and the parts that name a position, each with its length so that no two contexts are equal.
pub(crate) fn context(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(label.len() + parts.iter().map(|part| part.len() + 8).sum::<usize>() + 8);
    for part in std::iter::once(&label.as_bytes()).chain(parts) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A value as CBOR.
pub(super) fn to_cbor<T: Serialize>(value: &T, what: &'static str) -> Result<Vec<u8>, KeyError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).map_err(|_| KeyError::Unopenable { what })?;
    Ok(bytes)
}

/// Seals `plain` for one context.
pub(crate) fn seal(key: &RawKey, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(KeyError::Random)?;
    let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let body = sealed.get_mut(1 + NONCE_LEN..).unwrap_or_default();
    let tag = XChaCha20Poly1305::new(key.bytes().into())
        .encrypt_inout_detached(&XNonce::from(nonce), context, body.into())
        .map_err(|_| KeyError::Unopenable {
            what: "value of more than 256 GiB",
        })?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal`] sealed for the same context.
pub(crate) fn open(
    key: &RawKey,
    context: &[u8],
    sealed: &[u8],
    what: &'static str,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let unopenable = KeyError::Unopenable { what };
    let Some((&version, rest)) = sealed.split_first() else {
        return Err(unopenable);
    };
    if version != VERSION {
        return Err(unopenable);
    }
    let Some((nonce, body)) = rest.split_first_chunk::<NONCE_LEN>() else {
        return Err(unopenable);
    };
    let Some((body, tag)) = body.split_last_chunk::<TAG_LEN>() else {
        return Err(unopenable);
    };
    let mut plain = Zeroizing::new(body.to_vec());
    XChaCha20Poly1305::new(key.bytes().into())
        .decrypt_inout_detached(&XNonce::from(*nonce), context, plain.as_mut_slice().into(), tag.into())
        .map_err(|_| unopenable)?;
    Ok(plain)
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrapped({} bytes)", self.0.len())
    }
}

impl Serialize for Wrapped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Wrapped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(WrappedVisitor)
    }
}

struct WrappedVisitor;

impl de::Visitor<'_> for WrappedVisitor {
    type Value = Wrapped;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sealed bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Wrapped, E> {
        Ok(Wrapped(bytes.to_vec()))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Wrapped, E> {
        Ok(Wrapped(bytes))
    }
}
