//! Signed documents in the JSON of evidence.

/// Signed documents as base64.
pub(super) mod document {
    use data_encoding::BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::signed::{Document, Signed};

    pub(crate) fn serialize<T: Document, S: Serializer>(signed: &Signed<T>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(signed.as_bytes()))
    }

    pub(crate) fn deserialize<'de, T: Document, D: Deserializer<'de>>(deserializer: D) -> Result<Signed<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
        Signed::from_bytes(bytes).map_err(de::Error::custom)
    }
}

/// The same for several documents.
pub(super) mod documents {
    use data_encoding::BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::signed::{Document, Signed};

    pub(crate) fn serialize<T: Document, S: Serializer>(all: &[Signed<T>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|signed| BASE64.encode(signed.as_bytes())))
    }

    pub(crate) fn deserialize<'de, T: Document, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Signed<T>>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let decoded = texts.iter().map(|text| {
            let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
            Signed::from_bytes(bytes).map_err(de::Error::custom)
        });
        decoded.collect()
    }
}

/// The same for documents that may be missing.
pub(super) mod optional_document {
    use data_encoding::BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::signed::{Document, Signed};

    pub(crate) fn serialize<T: Document, S: Serializer>(
        signed: &Option<Signed<T>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match signed {
            Some(signed) => serializer.serialize_str(&BASE64.encode(signed.as_bytes())),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T: Document, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Signed<T>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
        Signed::from_bytes(bytes).map(Some).map_err(de::Error::custom)
    }
}

/// The same for documents with several signers.
pub(super) mod co_document {
    use data_encoding::BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::signed::{CoSigned, Document};

    pub(crate) fn serialize<T: Document, S: Serializer>(
        signed: &CoSigned<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(signed.as_bytes()))
    }

    pub(crate) fn deserialize<'de, T: Document, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<CoSigned<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
        CoSigned::from_bytes(bytes).map_err(de::Error::custom)
    }
}
