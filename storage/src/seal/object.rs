//! Encoding and decoding of one sealed object, without I/O.

use std::ops::Range;

use concordat_keys::{DatasetKey, KeyError, OBJECT_HEADER, ObjectCipher, Suite, TAG_LEN};
use concordat_protocol::ids::KeyId;

use super::SealError;

/// Plaintext bytes in each block except the last.
pub const BLOCK_LEN: usize = 64 * 1024;

/// Bytes of the header.
pub const HEADER_LEN: usize = 56;

const MAGIC: &[u8; 6] = b"CCSEAL";
const VERSION: u8 = 1;
const SEALED_BLOCK: u64 = (BLOCK_LEN + TAG_LEN) as u64;

/// Length of the sealed object with `plain` bytes of plaintext.
#[must_use]
pub fn sealed_len(plain: u64) -> u64 {
    HEADER_LEN as u64 + plain + blocks(plain) * TAG_LEN as u64
}

/// Length of the plaintext in an object of `sealed` bytes; `None` if no object has that length.
#[must_use]
pub fn plain_len(sealed: u64) -> Option<u64> {
    let body = sealed.checked_sub(HEADER_LEN as u64)?;
    let plain = body.checked_sub(body.div_ceil(SEALED_BLOCK) * TAG_LEN as u64)?;
    (body > 0 && sealed_len(plain) == sealed).then_some(plain)
}

/// Number of blocks for `plain` bytes; an empty object has one empty block.
pub(super) fn blocks(plain: u64) -> u64 {
    plain.div_ceil(BLOCK_LEN as u64).max(1)
}

/// The byte range of the given blocks in an object with `plain` bytes of plaintext.
pub(super) fn sealed_range(blocks: &Range<u64>, plain: u64) -> Range<u64> {
    let start = HEADER_LEN as u64 + blocks.start * SEALED_BLOCK;
    start..(HEADER_LEN as u64 + blocks.end * SEALED_BLOCK).min(sealed_len(plain))
}

/// Seals one object block by block.
#[derive(Debug)]
pub struct Sealer {
    header: [u8; HEADER_LEN],
    blocks: BlockCipher,
    next: Option<u64>,
}

impl Sealer {
    /// Starts a new object with a fresh key.
    ///
    /// # Errors
    /// Only if no random bytes are available.
    pub fn new(key: &DatasetKey, suite: Suite) -> Result<Self, SealError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|source| SealError::Key(KeyError::Random(source)))?;
        Ok(Self::with_random(key, suite, random))
    }

    /// The same with random bytes that were never used before with this key.
    pub(super) fn with_random(key: &DatasetKey, suite: Suite, random: [u8; 32]) -> Self {
        let header = Header {
            suite,
            key_id: key.id(),
            random,
        }
        .encode();
        Self {
            header,
            blocks: BlockCipher::new(key, suite, &random, &header),
            next: Some(0),
        }
    }

    /// The bytes that come before the first block.
    #[must_use]
    pub fn header(&self) -> &[u8; HEADER_LEN] {
        &self.header
    }

    /// Seals the next block in place and returns its tag, which follows it.
    ///
    /// # Errors
    /// [`SealError::Order`] after the last block, or if a block before the last is not [`BLOCK_LEN`] long.
    pub fn seal_block(&mut self, block: &mut [u8], last: bool) -> Result<[u8; TAG_LEN], SealError> {
        let number = self.next.ok_or(SealError::Order)?;
        let empty_is_only = !block.is_empty() || number == 0;
        let fits = if last {
            block.len() <= BLOCK_LEN && empty_is_only
        } else {
            block.len() == BLOCK_LEN
        };
        if !fits {
            return Err(SealError::Order);
        }
        self.next = if last { None } else { number.checked_add(1) };
        self.blocks.seal(number, last, block)
    }

    /// Seals the next block onto the end of `out`.
    ///
    /// # Errors
    /// As [`Sealer::seal_block`].
    pub fn append_block(&mut self, plain: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), SealError> {
        let start = out.len();
        out.extend_from_slice(plain);
        let tag = self.seal_block(out.get_mut(start..).unwrap_or_default(), last)?;
        out.extend_from_slice(&tag);
        Ok(())
    }
}

/// Opens the blocks of one object, in any order.
#[derive(Debug)]
pub struct Opener(BlockCipher);

impl Opener {
    /// Reads a header and derives the object's key.
    ///
    /// # Errors
    /// If this is not a header, or it has an unknown version or suite, or another dataset's key. A changed header is detected
    /// when a block is opened.
    pub fn new(key: &DatasetKey, header: &[u8]) -> Result<Self, SealError> {
        Self::among([key], header)
    }

    /// Reads a header and derives the object's key from the key that it names.
    ///
    /// # Errors
    /// As [`Opener::new`].
    pub(super) fn among<'a>(keys: impl IntoIterator<Item = &'a DatasetKey>, header: &[u8]) -> Result<Self, SealError> {
        let parsed = Header::decode(header)?;
        let found = keys.into_iter().find(|key| key.id() == parsed.key_id);
        let key = found.ok_or(SealError::ForeignKey { found: parsed.key_id })?;
        Ok(Self(BlockCipher::new(key, parsed.suite, &parsed.random, header)))
    }

    /// Opens one block (ciphertext and tag) in place; returns the length of its plaintext, which is at the start.
    ///
    /// # Errors
    /// [`SealError::Block`] if the block is not exactly what was sealed at this position.
    pub fn open_block(&self, number: u64, last: bool, sealed: &mut [u8]) -> Result<usize, SealError> {
        let (block, tag) = sealed
            .split_last_chunk_mut::<TAG_LEN>()
            .ok_or(SealError::Block { number })?;
        self.0.open(number, last, block, tag)?;
        Ok(block.len())
    }

    /// Opens consecutive blocks in place and closes the gaps left by the tags; `total` is the object's block count.
    /// The plaintext is at the start of `sealed`; its length is returned.
    ///
    /// # Errors
    /// [`SealError::Block`] as [`Opener::open_block`].
    pub(super) fn open_run(&self, first: u64, total: u64, sealed: &mut [u8]) -> Result<usize, SealError> {
        let mut filled = 0;
        let mut at = 0;
        let mut number = first;
        while at < sealed.len() {
            let end = (at + BLOCK_LEN + TAG_LEN).min(sealed.len());
            let chunk = sealed.get_mut(at..end).unwrap_or_default();
            let len = self.open_block(number, number + 1 == total, chunk)?;
            sealed.copy_within(at..at + len, filled);
            filled += len;
            at = end;
            number += 1;
        }
        Ok(filled)
    }
}

/// Seals a whole object in memory.
///
/// # Errors
/// Only if no random bytes are available.
pub fn seal(key: &DatasetKey, suite: Suite, plain: &[u8]) -> Result<Vec<u8>, SealError> {
    seal_with(Sealer::new(key, suite)?, plain)
}

/// [`seal`] with a sealer that has not sealed anything.
pub(super) fn seal_with(mut sealer: Sealer, plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::with_capacity(usize::try_from(sealed_len(plain.len() as u64)).unwrap_or_default());
    out.extend_from_slice(sealer.header());
    let mut rest = plain;
    while let Some((block, after)) = rest.split_at_checked(BLOCK_LEN).filter(|(_, after)| !after.is_empty()) {
        sealer.append_block(block, false, &mut out)?;
        rest = after;
    }
    sealer.append_block(rest, true, &mut out)?;
    Ok(out)
}

/// Opens a whole object in memory.
///
/// # Errors
/// A [`SealError`] if anything differs from what [`seal`] returned.
pub fn open(key: &DatasetKey, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (header, body) = sealed.split_at_checked(HEADER_LEN).ok_or(SealError::NotSealed)?;
    let opener = Opener::new(key, header)?;
    let len = sealed.len() as u64;
    let plain = plain_len(len).ok_or(SealError::Length { len })?;
    let mut out = body.to_vec();
    let filled = opener.open_run(0, blocks(plain), &mut out)?;
    out.truncate(filled);
    Ok(out)
}

struct Header {
    suite: Suite,
    key_id: KeyId,
    random: [u8; 32],
}

impl Header {
    fn encode(&self) -> [u8; HEADER_LEN] {
        let numbers = [VERSION, self.suite.number()];
        let fields = MAGIC
            .iter()
            .chain(&numbers)
            .chain(self.key_id.as_bytes())
            .chain(&self.random);
        let mut bytes = [0; HEADER_LEN];
        bytes.iter_mut().zip(fields).for_each(|(byte, field)| *byte = *field);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, SealError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(SealError::NotSealed)?;
        let (&[version, suite], rest) = rest.split_first_chunk().ok_or(SealError::NotSealed)?;
        if version != VERSION {
            return Err(SealError::Version(version));
        }
        let suite = Suite::from_number(suite).ok_or(SealError::Suite(suite))?;
        let (key_id, random) = rest.split_first_chunk().ok_or(SealError::NotSealed)?;
        let random = random.try_into().map_err(|_| SealError::NotSealed)?;
        Ok(Self {
            suite,
            key_id: KeyId::from_bytes(*key_id),
            random,
        })
    }
}

/// The object's cipher with its associated data.
#[derive(Debug)]
struct BlockCipher {
    cipher: ObjectCipher,
    aad: [u8; 32],
}

impl BlockCipher {
    fn new(key: &DatasetKey, suite: Suite, random: &[u8; 32], header: &[u8]) -> Self {
        Self {
            cipher: key.object_cipher(random, suite),
            aad: blake3::derive_key(OBJECT_HEADER, header),
        }
    }

    fn seal(&self, number: u64, last: bool, block: &mut [u8]) -> Result<[u8; TAG_LEN], SealError> {
        self.cipher
            .seal(nonce(number, last), &self.aad, block)
            .map_err(|_| SealError::Block { number })
    }

    fn open(&self, number: u64, last: bool, block: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), SealError> {
        self.cipher
            .open(nonce(number, last), &self.aad, block, tag)
            .map_err(|_| SealError::Block { number })
    }
}

fn nonce(number: u64, last: bool) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [0, 0, 0, a, b, c, d, e, f, g, h, u8::from(last)]
}
