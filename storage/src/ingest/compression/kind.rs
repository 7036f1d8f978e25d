//! The kinds of compression, and how they are recognized.

/// Most memory that a decoder may need for a file, in bytes: twice the window of the highest level of xz, and that of the highest of
/// Zstandard.
pub(crate) const MAX_DECODER_BYTES: u64 = 1 << MAX_WINDOW_LOG;
/// The same as the logarithm of a window.
pub(super) const MAX_WINDOW_LOG: u32 = 27;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
    /// A zip file with one file in it.
    Zip,
}

impl Compression {
    /// The compression of a file that begins with these bytes.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // A frame to be skipped, with which files of several frames may begin.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            // The level, then the first block or, in an empty file, the end.
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y', ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, b'r', b'E', b'8', b'P', 0x90, ..] => Some(Self::Bzip2),
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            _ => None,
        }
    }

    /// The label that users see.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Zip => "zip",
        }
    }

    /// The command that checks such a file.
    pub(crate) const fn check_command(self) -> &'static str {
        match self {
            Self::Gzip => "gzip -t",
            Self::Zstd => "zstd -t",
            Self::Xz => "xz -t",
            Self::Bzip2 => "bzip2 -t",
            Self::Zip => "unzip -t",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_recognized_by_the_first_bytes() {
        for (start, expected) in [
            (&b"\x1f\x8b\x08"[..], Some(Compression::Gzip)),
            (b"\x28\xb5\x2f\xfd\x24", Some(Compression::Zstd)),
            (b"\x5e\x2a\x4d\x18\x04", Some(Compression::Zstd)),
            (b"\xfd7zXZ\0\0\x04", Some(Compression::Xz)),
            (b"BZh91AY&SY", Some(Compression::Bzip2)),
            (b"BZh1\x17rE8P\x90", Some(Compression::Bzip2)),
            (b"PK\x03\x04", Some(Compression::Zip)),
            (b"PK\x05\x06", Some(Compression::Zip)),
            (b"BZh9,age\n", None),
            (b"PK,age\n1,2\n", None),
            (b"(id,age\n", None),
            (b"", None),
        ] {
            assert_eq!(Compression::of(start), expected, "{}", String::from_utf8_lossy(start));
        }
    }
}
