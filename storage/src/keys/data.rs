//! The keys for data: segment, dataset, object.

use concordat_protocol::ids::KeyId;

use super::{KeyError, Wrapped, labels, raw::RawKey, wrap::context};

/// The key of one segment: random, wrapped under the master key, wraps its datasets' keys.
#[derive(Debug)]
pub struct SegmentKey {
    segment: String,
    key: RawKey,
}

impl SegmentKey {
    pub(super) fn create(wrapping: &RawKey, segment: &str) -> Result<(Self, Wrapped), KeyError> {
        let created = Self {
            segment: segment.to_owned(),
            key: RawKey::random()?,
        };
        let wrapped = created.wrap(wrapping)?;
        Ok((created, wrapped))
    }

    pub(super) fn unwrap(wrapping: &RawKey, segment: &str, wrapped: &Wrapped) -> Result<Self, KeyError> {
        let key = wrapped.open_key(wrapping, &segment_context(segment), "segment key")?;
        Ok(Self {
            segment: segment.to_owned(),
            key,
        })
    }

    pub(super) fn from_escrow(segment: &str, key: RawKey) -> Self {
        Self {
            segment: segment.to_owned(),
            key,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.segment
    }

    pub(super) fn raw(&self) -> &RawKey {
        &self.key
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

    /// Opens the secret of the named dataset's pseudonyms.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if it was changed or belongs to another dataset or segment.
    pub fn open_pseudonyms(&self, dataset: &str, wrapped: &Wrapped) -> Result<PseudonymSecret, KeyError> {
        let context = self.pseudonym_context(dataset);
        wrapped
            .open_key(&self.key, &context, "pseudonym secret")
            .map(PseudonymSecret)
    }

    /// The secret of pseudonyms in format 1, where they were made with the dataset's key, in the form that is stored now.
    pub(crate) fn pseudonyms_of_format_1(&self, dataset: &str, key: &DatasetKey) -> Result<Wrapped, KeyError> {
        Wrapped::seal(&self.key, &self.pseudonym_context(dataset), key.key.bytes())
    }

    /// Wraps a dataset's key again, for a segment key that takes the place of another.
    pub(crate) fn wrap_dataset(&self, dataset: &str, key: &DatasetKey) -> Result<Wrapped, KeyError> {
        Wrapped::seal(&self.key, &self.dataset_context(dataset), key.key.bytes())
    }

    /// Wraps a dataset's secret of pseudonyms again.
    pub(crate) fn wrap_pseudonyms(&self, dataset: &str, secret: &PseudonymSecret) -> Result<Wrapped, KeyError> {
        Wrapped::seal(&self.key, &self.pseudonym_context(dataset), secret.0.bytes())
    }

    /// Wraps this key under the master's key for segments.
    pub(super) fn wrap(&self, wrapping: &RawKey) -> Result<Wrapped, KeyError> {
        Wrapped::seal(wrapping, &segment_context(&self.segment), self.key.bytes())
    }

    fn pseudonym_context(&self, dataset: &str) -> Vec<u8> {
        context(labels::PSEUDONYM_WRAP, &[self.segment.as_bytes(), dataset.as_bytes()])
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
    /// Makes a key; to be kept, it must be wrapped.
    pub(crate) fn random() -> Result<Self, KeyError> {
        RawKey::random().map(Self::new)
    }

    /// A key of a test vector.
    #[cfg(test)]
    pub(crate) fn of(bytes: [u8; 32]) -> Self {
        Self::new(RawKey::of(bytes))
    }

    fn new(key: RawKey) -> Self {
        let derived = RawKey::derive(key.bytes(), &[], labels::DATASET_ID);
        let id = derived.bytes().first_chunk().copied().unwrap_or_default();
        Self {
            id: KeyId::from_bytes(id),
            key,
        }
    }

    /// The public name of this key, written into the header of each object sealed under it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
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

/// What all pseudonyms of one dataset are made from. It outlives the dataset's key, so that the pseudonyms of a subject stay
/// the same when that is rotated.
#[derive(Debug)]
pub struct PseudonymSecret(RawKey);

impl PseudonymSecret {
    /// A secret of a test, so that what depends on chance is the same each time.
    #[cfg(test)]
    pub(crate) fn of(bytes: [u8; 32]) -> Self {
        Self(RawKey::of(bytes))
    }

    /// Makes a secret; to be kept, it must be wrapped.
    pub(crate) fn random() -> Result<Self, KeyError> {
        RawKey::random().map(Self)
    }

    /// The key of the pseudonyms under the grant of these 16 bytes; nothing stands for the institution's own people.
    #[must_use]
    pub fn key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey {
        let whose = [u8::from(grant.is_some())];
        let info = [labels::PSEUDONYM.as_bytes(), &whose, grant.unwrap_or(&[0; 16])];
        PseudonymKey(RawKey::derive_with(self.0.bytes(), &[], &info))
    }

    /// The key of the order in which the rows of a version leave under the grant of these 16 bytes; nothing stands for the
    /// institution's own people. `version` is the digest of the version's manifest.
    #[must_use]
    pub fn order_key(&self, grant: Option<&[u8; 16]>, version: &[u8; 32]) -> OrderKey {
        let whose = [u8::from(grant.is_some())];
        let info = [labels::ROW_ORDER.as_bytes(), &whose, grant.unwrap_or(&[0; 16]), version];
        OrderKey(RawKey::derive_with(self.0.bytes(), &[], &info))
    }
}

/// Makes pseudonyms under one grant: the same value gets another pseudonym under every other grant and in every other column.
#[derive(Debug)]
pub struct PseudonymKey(RawKey);

impl PseudonymKey {
    /// The key that another process handed over, if it has the right length.
    pub(crate) fn handed_over(bytes: &[u8]) -> Option<Self> {
        RawKey::from_opened(bytes).map(Self)
    }

    /// The same key for a second holder.
    pub(crate) fn copy(&self) -> Self {
        Self(self.0.copy())
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

/// Orders the rows of one version under one grant.
#[derive(Debug)]
pub struct OrderKey(RawKey);

impl OrderKey {
    /// The key that another process handed over, if it has the right length.
    pub(crate) fn handed_over(bytes: &[u8]) -> Option<Self> {
        RawKey::from_opened(bytes).map(Self)
    }

    /// The same key for a second holder.
    pub(crate) fn copy(&self) -> Self {
        Self(self.0.copy())
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

/// The key of one object, held only while a cipher is made from it.
#[derive(Debug)]
pub(crate) struct ObjectKey(RawKey);

impl ObjectKey {
    /// A key of a test vector.
    #[cfg(test)]
    pub(crate) fn of(bytes: [u8; 32]) -> Self {
        Self(RawKey::of(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}
