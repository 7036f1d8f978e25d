//! Keys of institutions and nodes.
//!
//! An institution has one Ed25519 key that represents it: it signs certificates, grants and checkpoints, and the
//! roster pins it. Each node has a key of its own for routine messages; a certificate by the institution's key binds it.
//! The two are different types, so a node key cannot sign where the institution's key is required.

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::ids::{Digest32, InstitutionId, NodeId};
use crate::labels;

/// A public key and what it may be trusted to sign; implemented by [`InstitutionPublicKey`] and [`NodeId`].
pub trait PublicKey: Copy + fmt::Debug + PartialEq {
    /// The 32 bytes of the key (RFC 8032).
    fn key_bytes(&self) -> [u8; 32];

    /// Checks a signature strictly: small-order keys and non-canonical encodings are refused.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else {
            return false;
        };
        VerifyingKey::from_bytes(&self.key_bytes()).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

/// A private key with the public half it belongs to; implemented by [`InstitutionKey`] and [`NodeKey`].
pub trait PrivateKey {
    /// The kind of its public half.
    type Public: PublicKey;

    /// Its public half.
    fn public(&self) -> Self::Public;

    /// Signs `message` (RFC 8032, Ed25519, deterministic): 64 bytes.
    fn sign(&self, message: &[u8]) -> Vec<u8>;
}

impl<K: PrivateKey> PrivateKey for Arc<K> {
    type Public = K::Public;

    fn public(&self) -> K::Public {
        self.as_ref().public()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.as_ref().sign(message)
    }
}

/// The public half of an [`InstitutionKey`]; always a valid curve point.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstitutionPublicKey([u8; 32]);

impl InstitutionPublicKey {
    /// Checks that `bytes` are a usable Ed25519 public key.
    ///
    /// # Errors
    /// [`InvalidKey`] if they are not a curve point, or are a weak one.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, InvalidKey> {
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| InvalidKey)?;
        if key.is_weak() {
            Err(InvalidKey)
        } else {
            Ok(Self(bytes))
        }
    }

    /// Fingerprint to read out over the telephone: 8 groups of 4 hexadecimal digits of the key's SHA-256.
    pub fn fingerprint(&self) -> String {
        let hex: Vec<char> = Digest32::sha256(labels::FINGERPRINT, &self.0)
            .to_string()
            .chars()
            .take(32)
            .collect();
        hex.chunks(4)
            .map(|group| group.iter().collect::<String>())
            .collect::<Vec<_>>()
            .join("-")
    }
}

impl PublicKey for InstitutionPublicKey {
    fn key_bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl PublicKey for NodeId {
    fn key_bytes(&self) -> [u8; 32] {
        *self.as_bytes()
    }
}

impl fmt::Debug for InstitutionPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstitutionPublicKey({})", self.fingerprint())
    }
}

impl fmt::Display for InstitutionPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl Serialize for InstitutionPublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Digest32::from_bytes(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InstitutionPublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Digest32::deserialize(deserializer)?;
        Self::from_bytes(*bytes.as_bytes()).map_err(de::Error::custom)
    }
}

/// An institution with the key that represents it. Agreements and messages belong to the key: another key under the same
/// name is another party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// Its id.
    pub institution: InstitutionId,
    /// The key that represents it.
    pub key: InstitutionPublicKey,
}

/// The key that represents an institution. Zeroized when dropped (ed25519-dalek), never shown.
pub struct InstitutionKey(SigningKey);

/// The key of one node, for routine messages. Zeroized when dropped (ed25519-dalek), never shown.
pub struct NodeKey(SigningKey);

macro_rules! private_key {
    ($name:ident, $public:ty, $make:expr) => {
        impl $name {
            /// From the 32 bytes of the seed (RFC 8032 private key).
            pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Self {
                Self(SigningKey::from_bytes(seed))
            }

            /// The seed, to be sealed and stored, or passed to the transport. Handle with care.
            pub fn expose_seed(&self) -> Zeroizing<[u8; 32]> {
                Zeroizing::new(self.0.to_bytes())
            }
        }

        impl PrivateKey for $name {
            type Public = $public;

            fn public(&self) -> $public {
                let make: fn([u8; 32]) -> $public = $make;
                make(self.0.verifying_key().to_bytes())
            }

            fn sign(&self, message: &[u8]) -> Vec<u8> {
                self.0.sign(message).to_bytes().to_vec()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

private_key!(InstitutionKey, InstitutionPublicKey, InstitutionPublicKey);
private_key!(NodeKey, NodeId, NodeId::from_bytes);

/// Bytes that are not a usable Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these 32 bytes are not a usable Ed25519 public key")]
pub struct InvalidKey;
