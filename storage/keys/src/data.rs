//! The keys of data: segment, dataset, object.

use std::{fmt, sync::Arc};

use concordat_protocol::{collection::KeyDomain, ids::KeyId};
use zeroize::Zeroizing;

use super::{
    KeyError, KeyInTransit, Wrapped, labels,
    raw::RawKey,
    wrap::{self, context},
};

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

    /// Creates the key of a new dataset of this segment; store the wrapped form, it is the only copy.
    ///
    /// # Errors
    /// Only if no random bytes are available.
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

    /// Wraps a dataset's key again, for a segment key that replaces another.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn wrap_dataset(&self, dataset: &str, key: &DatasetKey) -> Result<Wrapped, KeyError> {
        Wrapped::seal(&self.key, &self.dataset_context(dataset), key.key.bytes())
    }

    /// Wraps a dataset's pseudonym secret again.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn wrap_pseudonyms(&self, dataset: &str, secret: &PseudonymSecret) -> Result<Wrapped, KeyError> {
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
    /// Creates a random key; to be stored, it must be wrapped.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn random() -> Result<Self, KeyError> {
        RawKey::random().map(Self::new)
    }

    /// A key of a test vector: it is as secret as the bytes that the caller knows.
    #[must_use]
    pub fn dangerous_of_vector(bytes: [u8; 32]) -> Self {
        Self::new(RawKey::of_vector(bytes))
    }

    fn new(key: RawKey) -> Self {
        let derived = RawKey::derive(key.bytes(), &[], labels::DATASET_ID);
        let id = derived.bytes().first_chunk().copied().unwrap_or_default();
        Self {
            id: KeyId::from_bytes(id),
            key,
        }
    }

    /// The public id of this key, written into the header of each object sealed under it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key of the object whose header has these random bytes and this suite.
    pub(super) fn object_key(&self, salt: &[u8; 32], suite: u8) -> ObjectKey {
        ObjectKey(RawKey::derive_with(
            self.key.bytes(),
            salt,
            &[labels::OBJECT.as_bytes(), &[suite]],
        ))
    }
}

/// The secret from which all pseudonyms of one dataset are derived. It is separate from the dataset's key, so the pseudonyms of a
/// subject stay the same when that key is rotated.
#[derive(Debug)]
pub struct PseudonymSecret(RawKey);

impl PseudonymSecret {
    /// A fixed secret for tests, so that results are reproducible: it is as secret as the bytes that the caller knows.
    #[must_use]
    pub fn dangerous_of_vector(bytes: [u8; 32]) -> Self {
        Self(RawKey::of_vector(bytes))
    }

    /// Creates a random secret; to be stored, it must be wrapped.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn random() -> Result<Self, KeyError> {
        RawKey::random().map(Self)
    }

    /// The key of the pseudonyms under the grant with this id; `None` for the institution's own users.
    #[must_use]
    pub fn key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey {
        let has_grant = [u8::from(grant.is_some())];
        let info = [labels::PSEUDONYM.as_bytes(), &has_grant, grant.unwrap_or(&[0; 16])];
        PseudonymKey(Arc::new(RawKey::derive_with(self.0.bytes(), &[], &info)))
    }

    /// The key of the order in which the rows of a version are released under the grant with this id; `None` for the
    /// institution's own users. `version` is the digest of the version's manifest.
    #[must_use]
    pub fn order_key(&self, grant: Option<&[u8; 16]>, version: &[u8; 32]) -> OrderKey {
        let has_grant = [u8::from(grant.is_some())];
        let info = [
            labels::ROW_ORDER.as_bytes(),
            &has_grant,
            grant.unwrap_or(&[0; 16]),
            version,
        ];
        OrderKey(RawKey::derive_with(self.0.bytes(), &[], &info))
    }

    /// The key of the hashes that are stored about the subjects.
    #[must_use]
    pub fn subjects_key(&self) -> SubjectsKey {
        SubjectsKey {
            identities: RawKey::derive(self.0.bytes(), &[], labels::SUBJECT_IDENTITIES),
            rows: RawKey::derive(self.0.bytes(), &[], labels::SUBJECT_ROWS),
        }
    }

    /// The key of the answers that are stored about the collection.
    #[must_use]
    pub fn answers_key(&self) -> AnswersKey {
        AnswersKey(RawKey::derive(self.0.bytes(), &[], labels::ANSWERS))
    }

    /// The secret that all noise of the collection's statistics comes from, while `references` stands for the contents of its reference
    /// datasets: empty if it has none. With it, noise can be subtracted. It does not change when the key of the data is rotated, so that the
    /// same figure keeps its noise.
    #[must_use]
    pub fn cell_secret(&self, references: &[u8]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*RawKey::derive(self.0.bytes(), references, labels::CELL_KEYS).bytes())
    }
}

/// Seals what was answered about one collection. It does not change when the key of the data is rotated: what was answered counts for as
/// long as the collection exists.
#[derive(Debug)]
pub struct AnswersKey(RawKey);

impl AnswersKey {
    /// Bytes that a sealed record has more than its contents.
    pub const OVERHEAD: usize = wrap::OVERHEAD;

    /// Seals the record with this number of a log.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn seal(&self, log: &[u8; 16], number: u64, plain: &[u8]) -> Result<Wrapped, KeyError> {
        Wrapped::seal(&self.0, &answer_context(log, number), plain)
    }

    /// Opens what [`AnswersKey::seal`] sealed for the same log and number.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if the bytes were changed or belong elsewhere.
    pub fn open(&self, log: &[u8; 16], number: u64, sealed: &Wrapped) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        sealed.open(&self.0, &answer_context(log, number), "record of answers")
    }
}

fn answer_context(log: &[u8; 16], number: u64) -> Vec<u8> {
    context(labels::ANSWER_RECORD, &[log, &number.to_be_bytes()])
}

/// Hashes what is stored about the subjects of one collection: who they are, and what their rows contain. It does not change when the
/// key of the data is rotated, so subjects keep their numbers.
#[derive(Debug)]
pub struct SubjectsKey {
    identities: RawKey,
    rows: RawKey,
}

impl SubjectsKey {
    /// Identifies the subject whose key is written as `form`: the first 16 bytes of keyed BLAKE3.
    #[must_use]
    pub fn identity(&self, form: &[u8]) -> [u8; 16] {
        start(&blake3::keyed_hash(self.identities.bytes(), form))
    }

    /// The key of a fast hash over rows, for one purpose.
    #[must_use]
    pub fn row_hash_key(&self, purpose: &[u8]) -> [u8; 16] {
        start(&blake3::keyed_hash(self.rows.bytes(), purpose))
    }
}

fn start(hash: &blake3::Hash) -> [u8; 16] {
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Creates pseudonyms under one grant: the same value has a different pseudonym under each grant, and in columns that do not join.
#[derive(Debug)]
pub struct PseudonymKey(Arc<RawKey>);

impl PseudonymKey {
    /// What makes the pseudonyms of all columns of one domain; for [`KeyDomain::Column`] it is that of the column.
    #[must_use]
    pub fn of_domain(&self, domain: &KeyDomain) -> ColumnPseudonyms {
        self.of_column(&domain.to_string())
    }

    /// The hasher of the values of one column; a pseudonym is the start of the hash.
    #[must_use]
    pub fn column_hasher(&self, column: &str) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(self.0.bytes());
        hasher.update(&column_prefix(column));
        hasher
    }

    /// What makes the pseudonyms of one column.
    #[must_use]
    pub fn of_column(&self, column: &str) -> ColumnPseudonyms {
        let text = column_prefix(column);
        ColumnPseudonyms {
            key: Arc::clone(&self.0),
            prefix: text.len(),
            text,
        }
    }

    /// The key as it is sent to the process that answers a query.
    #[must_use]
    pub fn to_transit(&self) -> KeyInTransit {
        KeyInTransit::of(&self.0)
    }

    /// The key received from another process, if it has the right length.
    #[must_use]
    pub fn from_transit(received: &KeyInTransit) -> Option<Self> {
        received.key().map(|key| Self(Arc::new(key)))
    }
}

/// What is hashed before each value of a column.
fn column_prefix(column: &str) -> Vec<u8> {
    column.bytes().chain([0]).collect()
}

/// Makes the pseudonyms of the values of one column under one grant.
#[derive(Clone)]
pub struct ColumnPseudonyms {
    key: Arc<RawKey>,
    /// What is hashed: the prefix of the column, and the last value.
    text: Vec<u8>,
    /// Length of the prefix in bytes.
    prefix: usize,
}

impl ColumnPseudonyms {
    /// The pseudonym of the value that is written as `text`: the first 16 bytes of its hash by [`PseudonymKey::column_hasher`].
    pub fn pseudonym(&mut self, text: &str) -> [u8; 16] {
        // Most values are hashed with a single compression. Copying a hasher, which is large, would take longer than that.
        self.text.truncate(self.prefix);
        self.text.extend_from_slice(text.as_bytes());
        start(&blake3::keyed_hash(self.key.bytes(), &self.text))
    }
}

impl fmt::Debug for ColumnPseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ColumnPseudonyms(..)")
    }
}

/// Orders the rows of one version under one grant.
#[derive(Debug)]
pub struct OrderKey(RawKey);

impl OrderKey {
    /// The hasher of the ranks of one kind: `groups`, `rows` or `values`.
    #[must_use]
    pub fn rank_hasher(&self, kind: &[u8]) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(self.0.bytes());
        hasher.update(kind);
        hasher
    }

    /// The key as it is sent to the process that answers a query.
    #[must_use]
    pub fn to_transit(&self) -> KeyInTransit {
        KeyInTransit::of(&self.0)
    }

    /// The key received from another process, if it has the right length.
    #[must_use]
    pub fn from_transit(received: &KeyInTransit) -> Option<Self> {
        received.key().map(Self)
    }
}

/// The key of one object, held only while a cipher is created from it.
#[derive(Debug)]
pub(crate) struct ObjectKey(RawKey);

impl ObjectKey {
    /// A key of a test vector.
    #[cfg(test)]
    pub(crate) fn of(bytes: [u8; 32]) -> Self {
        Self(RawKey::of_vector(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}
