//! Decoders, and the limits under which they work.

use std::{
    io::{self, BufRead, BufReader, Read},
    panic::{AssertUnwindSafe, catch_unwind},
};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::{
    allowance::Allowance,
    kind::{Compression, MAX_WINDOW_LOG},
};

/// [`MAX_DECODER_BYTES`](super::MAX_DECODER_BYTES) in KiB.
const MAX_DECODER_KIB: u32 = 1 << (MAX_WINDOW_LOG - 10);

/// The contents of a stream of bytes; a zip file is not one, because its directory comes last.
pub(crate) fn decode(
    compression: Compression,
    bytes: impl BufRead + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(Contained(Some(match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(bytes)) as Box<dyn Read + Send>,
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Compression::Xz => Box::new(XzReader::new_mem_limit(bytes, true, MAX_DECODER_KIB)),
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(bytes)),
        Compression::Zip => return Err(io::Error::from(io::ErrorKind::Unsupported)),
    }))))
}

/// Whether a decoder refused a file because it would need more than `MAX_DECODER_BYTES`.
pub(crate) fn needs_more_memory(error: &io::Error) -> bool {
    // The library for Zstandard has no kind of its own for it.
    error.kind() == io::ErrorKind::OutOfMemory || error.to_string().contains("too much memory")
}

/// A decoder whose panic is an error: it is of others, and reads what anyone may have written.
pub(super) struct Contained(Option<Box<dyn Read + Send>>);

impl Contained {
    pub(super) fn new(decoder: impl Read + Send + 'static) -> Self {
        Self(Some(Box::new(decoder)))
    }
}

impl Read for Contained {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let mut decoder = self.0.take().ok_or_else(damaged)?;
        // After a panic the decoder is dropped, so that it does not matter in which state it was left.
        let read = catch_unwind(AssertUnwindSafe(|| decoder.read(buf))).map_err(|_| damaged())?;
        self.0 = Some(decoder);
        read
    }
}

/// Bytes of a decoder, as many as the allowance permits.
pub(crate) struct Unpacked {
    bytes: Box<dyn Read + Send>,
    allowance: Allowance,
    /// How many bytes of the file were read so far, or are all of it.
    packed: Box<dyn Fn() -> u64 + Send>,
}

impl Unpacked {
    pub(crate) fn new(bytes: Box<dyn Read + Send>, packed: impl Fn() -> u64 + Send + 'static) -> Self {
        Self {
            bytes,
            allowance: Allowance::default(),
            packed: Box::new(packed),
        }
    }

    /// With a buffer.
    pub(crate) fn buffered(self) -> BufReader<Self> {
        BufReader::with_capacity(64 * 1024, self)
    }
}

impl Read for Unpacked {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buf)?;
        self.allowance.spend(read as u64, (self.packed)())?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_of_a_decoder_is_damage() {
        struct Panics;
        impl Read for Panics {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("on purpose")
            }
        }
        let mut contained = Contained::new(Panics);
        for _ in 0..2 {
            let error = contained.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
