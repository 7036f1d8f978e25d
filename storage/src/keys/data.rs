//! The keys for data: segment, dataset, object.

use std::fmt;

use super::{KeyError, Wrapped, labels, raw::RawKey, wrap::context};

/// The key of one segment: random, wrapped under the master key, wraps its datasets' keys.
#[derive(Debug)]
pub struct SegmentKey {
    segment: String,
    key: RawKey,
}

impl SegmentKey {
    pub(super) fn create(wrapping: &RawKey, segment: &str) -> Result<(Self, Wrapped), KeyError> {
        let key = RawKey::random()?;
        let wrapped = Wrapped::seal(wrapping, &segment_context(segment), key.bytes())?;
        Ok((
            Self {
                segment: segment.to_owned(),
                key,
            },
            wrapped,
        ))
    }

    pub(super) fn unwrap(wrapping: &RawKey, segment: &str, wrapped: &Wrapped) -> Result<Self, KeyError> {
        let key = wrapped.open_key(wrapping, &segment_context(segment), "segment key")?;
        Ok(Self {
            segment: segment.to_owned(),
            key,
        })
    }

    /// Makes the key of a new dataset of this segment; keep the wrapped form, it is the only copy.
    ///
    /// # Errors
    /// Only if the machine has no random bytes.
    pub fn create_dataset(&self, dataset: &str) -> Result<(DatasetKey, Wrapped), KeyError> {
        let key = RawKey::random()?;
        let wrapped = Wrapped::seal(&self.key, &self.dataset_context(dataset), key.bytes())?;
        Ok((DatasetKey::new(key), wrapped))
    }

    /// Opens the key of the named dataset of this segment.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if it was changed or belongs to another dataset or segment.
    pub fn open_dataset(&self, dataset: &str, wrapped: &Wrapped) -> Result<DatasetKey, KeyError> {
        let key = wrapped.open_key(&self.key, &self.dataset_context(dataset), "dataset key")?;
        Ok(DatasetKey::new(key))
    }

    fn dataset_context(&self, dataset: &str) -> Vec<u8> {
        context(labels::DATASET_WRAP, &[self.segment.as_bytes(), dataset.as_bytes()])
    }
}

fn segment_context(segment: &str) -> Vec<u8> {
    context(labels::SEGMENT_WRAP, &[segment.as_bytes()])
}

/// The key of one dataset; every object's key is derived from it.
#[derive(Debug)]
pub struct DatasetKey {
    id: KeyId,
    key: RawKey,
}

impl DatasetKey {
    fn new(key: RawKey) -> Self {
        let derived = RawKey::derive(key.bytes(), &[], labels::DATASET_ID);
        let id = derived.bytes().first_chunk().copied().unwrap_or_default();
        Self { id: KeyId(id), key }
    }

    /// The public name of this key, written into the header of each object sealed under it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key of the pseudonyms under the grant of these 16 bytes; nothing stands for the institution's own people.
    #[must_use]
    pub fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey {
        let whose = [u8::from(grant.is_some())];
        let info = [labels::PSEUDONYM.as_bytes(), &whose, grant.unwrap_or(&[0; 16])];
        PseudonymKey(RawKey::derive_with(self.key.bytes(), &[], &info))
    }

    /// The key of the object whose header carries these random bytes and this suite.
    pub(crate) fn object_key(&self, salt: &[u8; 32], suite: u8) -> ObjectKey {
        ObjectKey(RawKey::derive_with(
            self.key.bytes(),
            salt,
            &[labels::OBJECT.as_bytes(), &[suite]],
        ))
    }
}

/// Makes pseudonyms under one grant: the same value gets another pseudonym under every other grant and in every other column.
#[derive(Debug)]
pub struct PseudonymKey(RawKey);

impl PseudonymKey {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

/// The key of one object, held only while a cipher is made from it.
#[derive(Debug)]
pub(crate) struct ObjectKey(RawKey);

impl ObjectKey {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

/// Which dataset key sealed an object: 16 bytes derived from the key that reveal nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// An id as read from a header.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}
