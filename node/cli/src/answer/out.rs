//! Where rows are written: standard output, or a file that appears once it is complete.

use std::io::{self, Stdout, Write};

use concordat_documents::problem::{Problem, is_full_disk};
use concordat_protocol::error_kind::ErrorKind;

use crate::files::NewFile;

/// What to do when there is no space for the rows.
const FREE_SPACE: &str = "the disk is full, or a quota is exhausted: free some space and run the query again";

/// Where text goes.
pub(super) enum Out {
    Stdout(Stdout),
    File(NewFile),
}

impl Out {
    /// Writes `text`.
    pub(super) fn put(&mut self, text: &str) -> Result<(), Problem> {
        put(self, text)
    }

    /// Completes the output: a file appears.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self {
            Self::Stdout(mut out) => out.flush().map_err(|error| unwritable(&error)),
            Self::File(file) => file.finish(),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// A file whose writer is created with the first rows, because it needs their columns.
pub(super) enum DeferredWriter<W> {
    Pending(NewFile),
    Writing(Box<W>),
    /// The first rows could not be written.
    Failed,
}

impl<W> DeferredWriter<W> {
    /// The writer, created by `begin` if these are the first rows.
    pub(super) fn writer<E: std::error::Error + 'static>(
        &mut self,
        begin: impl FnOnce(NewFile) -> Result<W, E>,
    ) -> Result<&mut W, Problem> {
        if let Self::Pending(_) = self
            && let Self::Pending(file) = std::mem::replace(self, Self::Failed)
        {
            *self = Self::Writing(Box::new(begin(file).map_err(|error| unwritable(&error))?));
        }
        match self {
            Self::Writing(writer) => Ok(writer),
            Self::Pending(_) | Self::Failed => Err(Problem::new(ErrorKind::Internal, "the file could not be created")),
        }
    }

    /// Completes the file, which appears.
    pub(super) fn finish<E: std::error::Error + 'static>(
        self,
        end: impl FnOnce(W) -> Result<NewFile, E>,
    ) -> Result<(), Problem> {
        match self {
            Self::Pending(file) => file.finish(),
            Self::Writing(writer) => end(*writer).map_err(|error| unwritable(&error))?.finish(),
            Self::Failed => Err(Problem::new(ErrorKind::Internal, "the file could not be created")),
        }
    }
}

/// Writes `text` to `out`.
pub(super) fn put(out: &mut impl Write, text: &str) -> Result<(), Problem> {
    match out.write_all(text.as_bytes()) {
        // The reader has closed the pipe, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(|error| unwritable(&error)),
    }
}

/// The rows could not be written.
pub(super) fn unwritable(error: &(dyn std::error::Error + 'static)) -> Problem {
    let problem = Problem::internal("the rows cannot be written", error);
    if is_full_disk(error) {
        problem.help(FREE_SPACE)
    } else {
        problem
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow::array::{Int64Array, RecordBatch};
    use arrow::error::ArrowError;
    use parquet::errors::ParquetError;

    use super::*;

    #[test]
    fn full_disk_is_named_whatever_writes() {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let problem = put(&mut full(), "rows").unwrap_err();
        assert_eq!(problem.help.as_deref(), Some(FREE_SPACE));
        let error = full().write_all(b"rows").unwrap_err();
        let arrow = ArrowError::from(error);
        assert_eq!(unwritable(&arrow).help.as_deref(), Some(FREE_SPACE));
        let error = full().write_all(b"rows").unwrap_err();
        assert_eq!(unwritable(&ParquetError::from(error)).help.as_deref(), Some(FREE_SPACE));
        let batch = RecordBatch::try_from_iter([("n", std::sync::Arc::new(Int64Array::from(vec![1])) as _)]).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(full(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let error = writer.close().unwrap_err();
        assert_eq!(unwritable(&error).help.as_deref(), Some(FREE_SPACE));
        assert_eq!(unwritable(&io::Error::other("disk on fire")).help, None);
    }
}
