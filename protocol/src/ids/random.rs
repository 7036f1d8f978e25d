//! Identifiers that machines make: keys, hashes and random numbers.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// Multihash prefix of an Ed25519 public key as libp2p peer id: identity hash (0x00), 36 bytes (0x24), protobuf key type 1
/// (0x08 0x01), 32 bytes of data (0x12 0x20). Source: libp2p peer-ids specification.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// A text that is no identifier of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}")]
pub struct InvalidId {
    kind: &'static str,
    text: String,
}

impl InvalidId {
    fn new(kind: &'static str, text: &str) -> Self {
        Self {
            kind,
            text: text.chars().take(80).collect(),
        }
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// From its bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first eight hexadecimal digits, for logs and tables.
            pub fn short(&self) -> String {
                self.to_string().chars().take(8).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                HEXLOWER
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or_else(|| InvalidId::new($kind, text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize_bytes(&self.0, serializer, |s| s.collect_str(self))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize_bytes(deserializer, $kind).map(Self)
            }
        }
    };
}

hex_id!(
    /// A hash of 32 bytes: SHA-256 in ledger and transcripts, BLAKE3 for objects.
    Digest32,
    32,
    "digest"
);
hex_id!(
    /// A random number of 16 bytes that makes a message unique.
    Nonce,
    16,
    "nonce"
);
hex_id!(
    /// The public name of a key that seals data: 16 bytes derived from the key that reveal nothing of it.
    KeyId,
    16,
    "key id"
);
hex_id!(
    /// One negotiation between two institutions: 16 random bytes chosen by the consumer.
    NegotiationId,
    16,
    "negotiation id"
);
hex_id!(
    /// One grant: 16 bytes, the same as its negotiation.
    GrantId,
    16,
    "grant id"
);
hex_id!(
    /// One query: 16 random bytes chosen by the consumer.
    QueryId,
    16,
    "query id"
);

impl Digest32 {
    /// All zero: the place before the first entry of a chain.
    pub const ZERO: Self = Self([0; 32]);

    /// SHA-256 of `label`, a zero byte and `bytes`; the label keeps hashes of different things apart.
    pub fn sha256(label: &str, bytes: &[u8]) -> Self {
        Self(
            Sha256::new()
                .chain_update(label.as_bytes())
                .chain_update([0])
                .chain_update(bytes)
                .finalize()
                .into(),
        )
    }
}

impl From<NegotiationId> for GrantId {
    /// A grant carries the number of the negotiation it came from.
    fn from(id: NegotiationId) -> Self {
        Self(id.0)
    }
}

impl From<GrantId> for NegotiationId {
    fn from(id: GrantId) -> Self {
        Self(id.0)
    }
}

/// A node: the Ed25519 public key of its node key, shown as the libp2p peer id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 32]);

impl NodeId {
    /// From the 32 bytes of the public key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The last eight characters of the peer id, for logs and tables (the first ones are the same for all).
    pub fn short(&self) -> String {
        let text = self.to_string();
        text.chars().skip(text.chars().count().saturating_sub(8)).collect()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let multihash: Vec<u8> = PEER_ID_PREFIX.iter().chain(&self.0).copied().collect();
        f.pad(&bs58::encode(multihash).into_string())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", self.short())
    }
}

impl FromStr for NodeId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::new("node id", text);
        let bytes = bs58::decode(text).into_vec().map_err(|_| invalid())?;
        let key = bytes.strip_prefix(&PEER_ID_PREFIX).ok_or_else(invalid)?;
        key.try_into().map(Self).map_err(|_| invalid())
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_bytes(&self.0, serializer, |s| s.collect_str(self))
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_bytes(deserializer, "node id").map(Self)
    }
}

/// Bytes in CBOR, text where people read it.
pub(crate) fn serialize_bytes<S: Serializer>(
    bytes: &[u8],
    serializer: S,
    text: impl FnOnce(S) -> Result<S::Ok, S::Error>,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        text(serializer)
    } else {
        serializer.serialize_bytes(bytes)
    }
}

pub(crate) fn deserialize_bytes<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
    kind: &'static str,
) -> Result<[u8; N], D::Error> {
    struct Exactly<const N: usize>(&'static str);
    impl<const N: usize> de::Visitor<'_> for Exactly<N> {
        type Value = [u8; N];
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a {} of {N} bytes", self.0)
        }
        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
            bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<[u8; N], E> {
            let hex = HEXLOWER
                .decode(text.as_bytes())
                .ok()
                .and_then(|bytes| bytes.try_into().ok());
            let node = || {
                text.parse::<NodeId>()
                    .ok()
                    .and_then(|id| id.0.as_slice().try_into().ok())
            };
            hex.or_else(node).ok_or_else(|| E::custom(InvalidId::new(self.0, text)))
        }
    }
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(Exactly(kind))
    } else {
        deserializer.deserialize_bytes(Exactly(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_is_shown_as_peer_id() {
        let id = NodeId::from_bytes([7; 32]);
        assert!(id.to_string().starts_with("12D3Koo"));
        assert_eq!(id.to_string().parse::<NodeId>().unwrap(), id);
        assert!("12D3KooWbroken".parse::<NodeId>().is_err());
    }

    #[test]
    fn identifiers_survive_cbor_and_json() {
        let id = GrantId::from_bytes([9; 16]);
        let mut cbor = Vec::new();
        ciborium::into_writer(&id, &mut cbor).unwrap();
        assert_eq!(cbor.len(), 17);
        assert_eq!(ciborium::from_reader::<GrantId, _>(cbor.as_slice()).unwrap(), id);
        assert!(ciborium::from_reader::<Digest32, _>(cbor.as_slice()).is_err());
        assert_eq!(
            serde_json::from_str::<GrantId>(&serde_json::to_string(&id).unwrap()).unwrap(),
            id
        );
        let node = NodeId::from_bytes([3; 32]);
        assert_eq!(
            serde_json::from_str::<NodeId>(&serde_json::to_string(&node).unwrap()).unwrap(),
            node
        );
    }
}
