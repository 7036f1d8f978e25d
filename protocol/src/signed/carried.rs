//! What [`Signed`](super::Signed) and [`CoSigned`](super::CoSigned) have in common.

use std::fmt;

use serde::{Deserializer, de};

use super::{error::SignatureError, limits::MAX_DOCUMENT};

/// Implements the common traits: signed documents are compared, copied and serialized as bytes, and shown by their length.
macro_rules! carried_as_bytes {
    ($name:ident) => {
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self {
                    bytes: self.bytes.clone(),
                    of: std::marker::PhantomData,
                }
            }
        }

        impl<T> PartialEq for $name<T> {
            fn eq(&self, other: &Self) -> bool {
                self.bytes == other.bytes
            }
        }

        impl<T> Eq for $name<T> {}

        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({} bytes)", stringify!($name), self.bytes.len())
            }
        }

        impl<T> serde::Serialize for $name<T> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.bytes)
            }
        }

        impl<'de, T: Document> serde::Deserialize<'de> for $name<T> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::from_bytes(crate::signed::carried::byte_buf(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use carried_as_bytes;

/// Reads signed bytes of bounded length.
pub(super) fn byte_buf<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    struct Bytes;
    impl<'de> de::Visitor<'de> for Bytes {
        type Value = Vec<u8>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("signed bytes")
        }
        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
        fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = seq.next_element::<u8>()? {
                bytes.push(byte);
                if bytes.len() > MAX_DOCUMENT {
                    return Err(de::Error::custom(SignatureError::TooLarge));
                }
            }
            Ok(bytes)
        }
    }
    deserializer.deserialize_byte_buf(Bytes)
}
