//! Reading parts of sealed objects.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{GetOptions, ObjectMeta, ObjectStore, Result, path::Path};

use super::{
    BLOCK_LEN, HEADER_LEN, Opener, SealError,
    object::{blocks, plain_len, sealed_range},
};
use crate::keys::DatasetKey;

/// Above this many sealed bytes, opening moves off the async threads (some 100 µs of work).
const INLINE_MAX: usize = 256 * 1024;

/// A stream reads this many blocks at a time: 1 MiB in memory.
const STREAM_BLOCKS: u64 = 16;

/// One object whose header was read and whose last block was opened, so that its length is certain.
#[derive(Debug)]
pub(super) struct OpenObject {
    location: Path,
    opener: Opener,
    /// As the inner store reports it; the size is that of the sealed bytes.
    pub(super) sealed: ObjectMeta,
    /// Bytes of plaintext.
    pub(super) len: u64,
}

impl OpenObject {
    /// Reads the header and the last block.
    pub(super) async fn load(
        store: &dyn ObjectStore,
        keys: impl Iterator<Item = &DatasetKey> + Send,
        sealed: ObjectMeta,
    ) -> Result<Self> {
        let location = sealed.location.clone();
        let at = |error: SealError| error.at(&location);
        let size = sealed.size;
        let len = plain_len(size).ok_or(SealError::Length { len: size }).map_err(at)?;
        let total = blocks(len);
        let last = sealed_range(&(total - 1..total), len);
        let [header, block] = fetch(store, &location, [0..HEADER_LEN as u64, last]).await?;
        let opener = Opener::among(keys, &header).map_err(at)?;
        opener.open_block(total - 1, true, &mut block.to_vec()).map_err(at)?;
        Ok(Self {
            location,
            opener,
            sealed,
            len,
        })
    }

    /// Opens exactly the blocks that hold `range` of the plaintext, which must not reach past the end.
    pub(super) async fn read(self: &Arc<Self>, store: &dyn ObjectStore, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let touched = touched(&range);
        let [sealed] = fetch(store, &self.location, [sealed_range(&touched, self.len)]).await?;
        let object = Arc::clone(self);
        let first = touched.start;
        let plain = if sealed.len() <= INLINE_MAX {
            object.open_run(first, sealed)
        } else {
            tokio::task::spawn_blocking(move || object.open_run(first, sealed)).await?
        }?;
        self.cut(&plain, &range, first)
    }

    /// The plaintext of `range` as a stream of pieces of at most 1 MiB.
    pub(super) fn stream(
        self: Arc<Self>,
        store: Arc<dyn ObjectStore>,
        range: Range<u64>,
    ) -> BoxStream<'static, Result<Bytes>> {
        let step = STREAM_BLOCKS * BLOCK_LEN as u64;
        let pieces = (range.start / step..range.end.div_ceil(step))
            .map(move |piece| range.start.max(piece * step)..range.end.min((piece + 1) * step));
        stream::iter(pieces)
            .map(move |piece| {
                let (object, store) = (Arc::clone(&self), Arc::clone(&store));
                async move { object.read(store.as_ref(), piece).await }
            })
            .buffered(2)
            .boxed()
    }

    fn open_run(&self, first: u64, sealed: Bytes) -> Result<Bytes> {
        let mut buffer = sealed
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        let filled = self
            .opener
            .open_run(first, blocks(self.len), &mut buffer)
            .map_err(|error| error.at(&self.location))?;
        buffer.truncate(filled);
        Ok(buffer.freeze())
    }

    /// Takes `range` out of the plaintext that begins with block `first`.
    fn cut(&self, plain: &Bytes, range: &Range<u64>, first: u64) -> Result<Bytes> {
        let base = first * BLOCK_LEN as u64;
        let bounds = usize::try_from(range.start - base)
            .ok()
            .zip(usize::try_from(range.end - base).ok());
        let (start, end) = bounds
            .filter(|(_, end)| *end <= plain.len())
            .ok_or_else(|| SealError::Length { len: self.sealed.size }.at(&self.location))?;
        Ok(plain.slice(start..end))
    }
}

/// The blocks that hold a range of plaintext which is not empty.
fn touched(range: &Range<u64>) -> Range<u64> {
    let block = BLOCK_LEN as u64;
    range.start / block..range.end.div_ceil(block)
}

/// Reads ranges in one call to the inner store; exactly as many bytes as asked for, or an error.
async fn fetch<const N: usize>(
    store: &dyn ObjectStore,
    location: &Path,
    ranges: [Range<u64>; N],
) -> Result<[Bytes; N]> {
    let found = store.get_ranges(location, &ranges).await?;
    let whole = found
        .iter()
        .zip(&ranges)
        .all(|(bytes, range)| bytes.len() as u64 == range.end - range.start);
    let len = found.iter().map(|bytes| bytes.len() as u64).sum();
    let cut = || SealError::Length { len }.at(location);
    if !whole {
        return Err(cut());
    }
    found.try_into().map_err(|_| cut())
}

/// What the inner store knows of an object, subject to the conditions of `options`.
pub(super) async fn sealed_meta(store: &dyn ObjectStore, location: &Path, options: GetOptions) -> Result<ObjectMeta> {
    let options = GetOptions {
        range: None,
        head: true,
        ..options
    };
    Ok(store.get_opts(location, options).await?.meta)
}

/// The same as seen from above: with the length of the plaintext.
pub(super) fn plain_meta(sealed: ObjectMeta) -> Result<ObjectMeta> {
    let len = sealed.size;
    match plain_len(len) {
        Some(size) => Ok(ObjectMeta { size, ..sealed }),
        None => Err(SealError::Length { len }.at(&sealed.location)),
    }
}

/// [`plain_meta`] over a listing.
pub(super) fn plain_list(list: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    list.and_then(|sealed| std::future::ready(plain_meta(sealed))).boxed()
}
