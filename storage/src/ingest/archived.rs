//! The files of an archive, each as an upload of its own.
//!
//! A zip file, or a tar file that may be compressed, is unpacked once: its files are then read twice like others, whatever they contain. They
//! are sealed like uploads, and have no names ([`Upload`]). What an archive unpacks to is limited for all of its files together.

use std::{
    io::{self, BufReader, Read},
    path::Path,
    sync::Arc,
};

use super::{
    compression::{
        Allowance, Archive, ArchiveError, Compression, Excess, TAR_START, TarReader, Unpacked, archive_error, decode,
        is_tar,
    },
    error::IngestError,
    fingerprint::read_error,
    source::Source,
    upload::{Upload, UploadWriter},
};

/// The files of an archive.
#[derive(Debug, Default)]
pub struct Archived {
    /// Those that were unpacked: their names without folders, and their contents.
    pub files: Vec<(String, Upload)>,
    /// The others.
    pub left_out: LeftOut,
}

/// The files of an archive or a folder that are not imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The paths of the first [`LeftOut::MOST`].
    pub first: Vec<String>,
    /// How many others there are.
    pub more: u64,
}

impl LeftOut {
    /// Most paths that are kept: an archive can have thousands of them.
    pub const MOST: usize = 50;

    /// Adds a file.
    pub fn add(&mut self, path: &str) {
        if self.first.len() < Self::MOST {
            self.first.push(path.to_owned());
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

/// Unpacks those files of an archive that `is_wanted` selects by their names without folders, at most `most`, into `dir`.
///
/// # Errors
/// [`IngestError::Folder`] if it is not a whole archive of files with different names, or has more of them;
/// [`IngestError::UnpacksToTooMuch`], and [`IngestError::Unpack`] if the files cannot be stored. Nothing is left of them then.
pub fn unpack(
    archive: &Source,
    dir: &Path,
    most: usize,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Result<Archived, IngestError> {
    let path = archive.name();
    let bytes = archive.random_access().map_err(|error| read_error(path, error))?;
    let mut unpacking = Unpacking {
        path,
        dir,
        most,
        is_wanted,
        packed: bytes.len(),
        allowance: Allowance::default(),
        found: Archived::default(),
    };
    match start(archive)? {
        Start::Zip => unpacking.zip(&Archive::open(Arc::new(bytes)).map_err(|error| archive_error(path, error))?)?,
        Start::Tar(bytes) => {
            let packed = unpacking.packed;
            // Headers, and files that are skipped, are unpacked like those that are wanted.
            unpacking.tar(TarReader::new(Unpacked::new(bytes, move || packed)))?;
        }
    }
    Ok(unpacking.found)
}

/// How an archive begins.
enum Start {
    Zip,
    Tar(Box<dyn Read + Send>),
}

fn start(archive: &Source) -> Result<Start, IngestError> {
    let path = archive.name();
    let failed = |error| read_error(path, error);
    let open = || Ok::<_, IngestError>(BufReader::new(archive.open().map_err(failed)?.0));
    let first = first_bytes(open()?).map_err(failed)?;
    let bytes = || match Compression::of(&first) {
        Some(compression) => decode(compression, open()?).map_err(failed),
        None => Ok(Box::new(open()?) as Box<dyn Read + Send>),
    };
    if Compression::of(&first) == Some(Compression::Zip) {
        return Ok(Start::Zip);
    }
    // What is damaged from its first bytes on is not an archive.
    let unpacked = first_bytes(bytes()?).unwrap_or_default();
    if is_tar(&unpacked) {
        Ok(Start::Tar(bytes()?))
    } else {
        Err(IngestError::Folder {
            path: path.to_owned(),
            reason: "it is neither a zip file nor a tar file",
        })
    }
}

fn first_bytes(bytes: impl Read) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    bytes.take(TAR_START).read_to_end(&mut first)?;
    Ok(first)
}

/// An archive that is being unpacked.
struct Unpacking<'a> {
    path: &'a Path,
    dir: &'a Path,
    most: usize,
    is_wanted: &'a dyn Fn(&str) -> bool,
    /// Bytes of the archive.
    packed: u64,
    allowance: Allowance,
    found: Archived,
}

impl Unpacking<'_> {
    fn zip(&mut self, archive: &Archive) -> Result<(), IngestError> {
        for member in archive.files() {
            let Some(name) = self.wanted(member.name())? else {
                continue;
            };
            let mut writer = self.begin()?;
            let mut contents = archive.read(member).map_err(|error| self.failed(error))?;
            let mut chunk = vec![0; 64 * 1024];
            loop {
                let read = contents.read(&mut chunk).map_err(|error| self.failed(error.into()))?;
                let part = chunk.get(..read).unwrap_or_default();
                if part.is_empty() {
                    break;
                }
                self.write(&mut writer, part)?;
            }
            self.finish(name, writer)?;
        }
        Ok(())
    }

    fn tar(&mut self, mut archive: TarReader<Unpacked>) -> Result<(), IngestError> {
        while let Some(path) = archive.next_file().map_err(|error| self.failed(error))? {
            let Some(name) = self.wanted(&path)? else {
                continue;
            };
            let mut writer = self.begin()?;
            let mut unwritten = None;
            let read = archive.read_file(&mut |part| {
                self.write(&mut writer, part).map_err(|error| {
                    unwritten = Some(error);
                    io::Error::other("the file is not stored")
                })
            });
            if let Some(error) = unwritten {
                return Err(error);
            }
            read.map_err(|error| self.failed(error))?;
            self.finish(name, writer)?;
        }
        Ok(())
    }

    /// The name without folders, if the file is wanted.
    fn wanted(&mut self, path: &[u8]) -> Result<Option<String>, IngestError> {
        let path = String::from_utf8_lossy(path);
        let name = path.rsplit('/').next().unwrap_or_default();
        if !(self.is_wanted)(name) {
            self.found.left_out.add(&path);
            return Ok(None);
        }
        if self.found.files.iter().any(|(known, _)| known == name) {
            return Err(self.refused("two files in it have the same name, in different folders; pack one folder"));
        }
        if self.found.files.len() >= self.most {
            return Err(self.refused("it has more files with tables than a collection can have datasets"));
        }
        Ok(Some(name.to_owned()))
    }

    fn begin(&self) -> Result<UploadWriter, IngestError> {
        Upload::begin(self.dir).map_err(|source| IngestError::Unpack { source })
    }

    fn write(&mut self, writer: &mut UploadWriter, part: &[u8]) -> Result<(), IngestError> {
        let spent = self.allowance.spend(part.len() as u64, self.packed);
        spent.map_err(|Excess| IngestError::UnpacksToTooMuch {
            path: self.path.to_owned(),
        })?;
        writer.write(part).map_err(|source| IngestError::Unpack { source })
    }

    fn finish(&mut self, name: String, writer: UploadWriter) -> Result<(), IngestError> {
        let upload = writer.finish().map_err(|source| IngestError::Unpack { source })?;
        self.found.files.push((name, upload));
        Ok(())
    }

    fn refused(&self, reason: &'static str) -> IngestError {
        IngestError::Folder {
            path: self.path.to_owned(),
            reason,
        }
    }

    fn failed(&self, error: ArchiveError) -> IngestError {
        match error {
            ArchiveError::Refused(reason) => self.refused(reason),
            ArchiveError::Read(source) if Excess::is_reason(&source) => IngestError::UnpacksToTooMuch {
                path: self.path.to_owned(),
            },
            // The system's own errors have a number; what decoders return has none.
            ArchiveError::Read(source) if source.raw_os_error().is_none() => self.failed(ArchiveError::DAMAGED),
            ArchiveError::Read(source) => read_error(self.path, source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::compression::{archive::tests::zip, tar::tests::tar},
        *,
    };

    const FILES: [(&str, &[u8]); 3] = [
        ("omop/person.csv", b"person_id\n1\n"),
        ("omop/LICENSE", b"free"),
        ("omop/visit.csv", b""),
    ];

    fn unpacked(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, IngestError> {
        let dir = tempfile::tempdir().unwrap();
        let uploads = dir.path().join("uploads");
        let path = dir.path().join("omop");
        std::fs::write(&path, bytes).unwrap();
        let found = unpack(&Source::at_path(path), &uploads, 2, &|name| name.ends_with(".csv"));
        if uploads.exists() {
            assert_eq!(std::fs::read_dir(&uploads).unwrap().count(), 0, "a file has a name");
        }
        let found = found?;
        assert_eq!(found.left_out.first, ["omop/LICENSE"]);
        let read = |(name, upload)| {
            let mut contents = Vec::new();
            let source = Source::sent("", upload);
            source.open().unwrap().0.read_to_end(&mut contents).unwrap();
            (name, contents)
        };
        Ok(found.files.into_iter().map(read).collect())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn archives_of_every_kind_have_the_same_files() {
        let expected = [
            ("person.csv".to_owned(), b"person_id\n1\n".to_vec()),
            ("visit.csv".to_owned(), Vec::new()),
        ];
        for bytes in [zip(&FILES), tar(&FILES), gzip(&tar(&FILES))] {
            assert_eq!(unpacked(&bytes).unwrap(), expected);
        }
    }

    #[test]
    fn archive_that_is_not_whole_is_refused() {
        for whole in [zip(&FILES), tar(&FILES), gzip(&tar(&FILES))] {
            for len in [whole.len() / 2, whole.len() - (whole.len() / 3).min(600)] {
                let error = unpacked(&whole[..len]).unwrap_err();
                assert!(
                    matches!(error, IngestError::Folder { .. } | IngestError::Archive { .. }),
                    "{len}: {error}"
                );
            }
        }
        let error = unpacked(b"person_id\n1\n").unwrap_err();
        assert!(error.to_string().contains("neither"), "{error}");
        assert!(unpacked(&gzip(b"person_id\n1\n")).is_err());
    }

    #[test]
    fn archive_with_ambiguous_or_too_many_files_is_refused() {
        let twice: [(&str, &[u8]); 2] = [("a/x.csv", b"1"), ("b/x.csv", b"2")];
        assert!(unpacked(&tar(&twice)).unwrap_err().to_string().contains("same name"));
        let many: [(&str, &[u8]); 3] = [("x.csv", b"1"), ("y.csv", b"2"), ("z.csv", b"3")];
        assert!(unpacked(&zip(&many)).unwrap_err().to_string().contains("more files"));
    }

    #[test]
    fn files_that_are_left_out_are_unpacked_like_others() {
        let zeros = vec![0; 90 << 20];
        let packed = gzip(&tar(&[("omop/person.csv", b"1"), ("omop/LICENSE", &zeros)]));
        assert!(packed.len() < 120_000, "{}", packed.len());
        // As much as a table may have.
        let whole = gzip(&tar(&[FILES[0], FILES[2], ("omop/LICENSE", &zeros[..60 << 20])]));
        assert_eq!(unpacked(&whole).unwrap().len(), 2);
        let error = unpacked(&packed).unwrap_err();
        assert!(matches!(error, IngestError::UnpacksToTooMuch { .. }), "{error}");
    }

    #[test]
    fn paths_of_files_that_are_left_out_are_limited() {
        let mut left_out = LeftOut::default();
        (0..LeftOut::MOST + 7).for_each(|number| left_out.add(&number.to_string()));
        assert_eq!((left_out.first.len(), left_out.more), (LeftOut::MOST, 7));
    }

    #[test]
    fn archive_that_unpacks_to_too_much_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut unpacking = Unpacking {
            path: Path::new("omop.tar.gz"),
            dir: dir.path(),
            most: 2,
            is_wanted: &|_: &str| true,
            packed: 100,
            allowance: Allowance::default(),
            found: Archived::default(),
        };
        let mut writer = unpacking.begin().unwrap();
        let chunk = vec![0; 1 << 20];
        let written = (0..66).try_for_each(|_| unpacking.write(&mut writer, &chunk));
        assert!(matches!(written, Err(IngestError::UnpacksToTooMuch { .. })));
    }
}
