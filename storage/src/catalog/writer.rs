//! Writes record batches into sealed Parquet objects, in bounded memory and without plaintext on the disk.

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use bytes::Bytes;
use concordat_keys::{KeyError, OBJECT_CONTENT};
use concordat_protocol::ids::{Digest32, Nonce};
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, path::Path};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
    schema::types::ColumnPath,
};
use tokio::runtime::Handle;

use super::{ORDINAL_COLUMN, ObjectEntry, content::header_digest};
use crate::seal::SealedStore;

/// Rows in a row group: few enough to skip most of a table by its statistics, and enough for columns to compress well.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// A row group ends early at this size, which bounds the memory of an import for any rows.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;

/// The target of a version's objects.
pub(super) struct Target<'a> {
    pub(super) runtime: &'a Handle,
    pub(super) sealed: SealedStore,
    /// The store below `sealed`, to read back the header.
    pub(super) inner: &'a dyn ObjectStore,
    pub(super) folder: String,
    pub(super) schema: SchemaRef,
    pub(super) rows_per_object: u64,
}

/// Writes the objects of one version, one after the other.
pub(super) struct VersionWriter<'a> {
    target: Target<'a>,
    open: Option<OpenObject>,
    done: Vec<ObjectEntry>,
}

impl<'a> VersionWriter<'a> {
    pub(super) fn new(target: Target<'a>) -> Self {
        Self {
            target,
            open: None,
            done: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(OpenObject::start(&self.target)?),
        };
        open.write(&self.target, batch)?;
        if open.rows >= self.target.rows_per_object {
            self.finish_object()?;
        }
        Ok(())
    }

    /// Completes the last object; all of them are durable after this.
    pub(super) fn finish(&mut self) -> Result<Vec<ObjectEntry>, WriteError> {
        self.finish_object()?;
        Ok(self.done.clone())
    }

    /// Aborts the object that is being written, and returns its path with those of the complete ones: if the last
    /// response of the store was lost, it may be complete without this node knowing.
    pub(super) fn abandon(mut self) -> Vec<Path> {
        let mut written: Vec<Path> = self.done.iter().map(ObjectEntry::location).collect();
        if let Some(mut open) = self.open.take() {
            // The result does not matter: what is left is not an object, or an object that no manifest names.
            drop(self.target.runtime.block_on(open.upload.abort()));
            written.push(Path::from(open.path.as_str()));
        }
        written
    }

    fn finish_object(&mut self) -> Result<(), WriteError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let entry = open.finish(&self.target)?;
        self.open = None;
        self.done.push(entry);
        Ok(())
    }
}

/// One object being written.
struct OpenObject {
    path: String,
    upload: Box<dyn MultipartUpload>,
    /// Encodes into memory; the encoded bytes are uploaded whenever a row group ends.
    parquet: ArrowWriter<Vec<u8>>,
    hasher: blake3::Hasher,
    len: u64,
    rows: u64,
}

impl OpenObject {
    fn start(target: &Target<'_>) -> Result<Self, WriteError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|source| WriteError::Key(KeyError::Random(source)))?;
        let path = format!("{}/{}.parquet", target.folder, Nonce::from_bytes(random));
        let location = Path::from(path.as_str());
        let parquet = ArrowWriter::try_new(Vec::new(), target.schema.clone(), Some(properties()?))?;
        Ok(Self {
            upload: target.runtime.block_on(target.sealed.put_multipart(&location))?,
            path,
            parquet,
            hasher: blake3::Hasher::new_derive_key(OBJECT_CONTENT),
            len: 0,
            rows: 0,
        })
    }

    fn write(&mut self, target: &Target<'_>, batch: &RecordBatch) -> Result<(), WriteError> {
        let before = self.parquet.flushed_row_groups().len();
        self.parquet.write(batch)?;
        self.rows += batch.num_rows() as u64;
        if self.parquet.flushed_row_groups().len() > before {
            self.upload_encoded(target)?;
        }
        Ok(())
    }

    fn finish(&mut self, target: &Target<'_>) -> Result<ObjectEntry, WriteError> {
        self.parquet.finish()?;
        self.upload_encoded(target)?;
        target.runtime.block_on(self.upload.complete())?;
        let location = Path::from(self.path.as_str());
        Ok(ObjectEntry {
            path: self.path.clone(),
            len: self.len,
            rows: self.rows,
            content: Digest32::from_bytes(*self.hasher.finalize().as_bytes()),
            header: target.runtime.block_on(header_digest(target.inner, &location))?,
        })
    }

    fn upload_encoded(&mut self, target: &Target<'_>) -> Result<(), WriteError> {
        let encoded = Bytes::from(std::mem::take(self.parquet.inner_mut()));
        self.hasher.update(&encoded);
        self.len += encoded.len() as u64;
        target.runtime.block_on(self.upload.put_part(encoded.into()))?;
        Ok(())
    }
}

/// Ordinals of neighboring rows are equal or close. Level 1: the speed of an import is limited by reading text, and higher levels gain little on columns of codes and
/// numbers.
fn properties() -> Result<WriterProperties, ParquetError> {
    let ordinals = ColumnPath::from(ORDINAL_COLUMN);
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_column_dictionary_enabled(ordinals.clone(), false)
        .set_column_encoding(ordinals, Encoding::DELTA_BINARY_PACKED)
        .set_created_by("concordat".to_owned())
        .build())
}

/// Why an object could not be written.
#[derive(Debug)]
pub(super) enum WriteError {
    Parquet(ParquetError),
    Store(object_store::Error),
    Key(KeyError),
}

impl From<ParquetError> for WriteError {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

impl From<object_store::Error> for WriteError {
    fn from(error: object_store::Error) -> Self {
        Self::Store(error)
    }
}
