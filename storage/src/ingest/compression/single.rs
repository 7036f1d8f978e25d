//! A zip file with one file in it.

use std::{io::BufReader, path::Path, sync::Arc};

use super::{
    archive::{Archive, ArchiveError},
    decoder::Unpacked,
};
use crate::ingest::{error::IngestError, fingerprint::read_error, source::RandomAccess};

/// The contents of the only file in a zip file.
pub(crate) fn only_file(path: &Path, bytes: Arc<RandomAccess>) -> Result<BufReader<Unpacked>, IngestError> {
    let failed = |error| archive_error(path, error);
    let archive = Archive::open(bytes).map_err(failed)?;
    let mut files = archive.files();
    match (files.next(), files.count()) {
        (Some(file), 0) => archive.read(file).map_err(failed),
        (first, others) => Err(IngestError::NotOneFile {
            path: path.to_owned(),
            count: others + usize::from(first.is_some()),
        }),
    }
}

/// The error for a zip file that cannot be read.
pub(crate) fn archive_error(path: &Path, error: ArchiveError) -> IngestError {
    match error {
        ArchiveError::Read(source) => read_error(path, source),
        ArchiveError::Refused(reason) => IngestError::Archive {
            path: path.to_owned(),
            reason,
        },
    }
}
