//! The whole database as a stream of sealed values, for backups.
//!
//! Each value is three chunks, each with its length before it (4 bytes, big endian): the name of its tree, its hashed key, its
//! sealed bytes. Nothing is opened during export or import.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
    sync::PoisonError,
};

use concordat_keys::{StateKey, fs::create_dir_private};

use super::{
    MetaError, SealedDb,
    database::{Database, guarded, open_sled},
    head::Head,
};
use crate::frames::{framed, next_frame};

/// Longest chunk that is read; values are far shorter.
const MAX_CHUNK: usize = 64 * 1024 * 1024;

/// Values that are inserted at once.
const BATCH: usize = 1024;

impl SealedDb {
    /// Writes everything as it is at one instant; commits wait until it is done.
    ///
    /// # Errors
    /// If the database fails or `out` cannot be written.
    pub fn export(&self, out: impl Write) -> Result<u64, MetaError> {
        let database = self.database();
        let _exclusive = database.gate.write().unwrap_or_else(PoisonError::into_inner);
        // A backup must not have what this node could lose.
        database.sync_applied()?;
        let mut out = BufWriter::with_capacity(256 * 1024, out);
        let mut count = 0;
        guarded(|| {
            for name in database.db.tree_names() {
                let tree = database.db.open_tree(&name)?;
                for entry in &tree {
                    let (key, value) = entry?;
                    for chunk in [name.as_ref(), key.as_ref(), value.as_ref()] {
                        write_chunk(&mut out, chunk).map_err(export_failed)?;
                    }
                    count += 1;
                }
            }
            out.flush().map_err(export_failed)
        })?;
        Ok(count)
    }

    /// Creates a database in `dir` from the output of [`SealedDb::export`].
    ///
    /// # Errors
    /// [`MetaError::Damaged`] if it is not such a stream; otherwise if the database fails.
    pub fn import(dir: &Path, key: StateKey, input: File) -> Result<(), MetaError> {
        let io = |source| MetaError::Io {
            action: "create",
            path: dir.to_owned(),
            source,
        };
        create_dir_private(&dir.join("sled")).map_err(io)?;
        let mut input = BufReader::with_capacity(256 * 1024, input);
        guarded(|| {
            let db = open_sled(dir)?;
            let mut waiting = (Vec::new(), sled::Batch::default(), 0);
            while let Some(tree) = read_chunk(&mut input)? {
                let mut chunk = || read_chunk(&mut input)?.ok_or(MetaError::Damaged);
                let key = chunk()?;
                let value = chunk()?;
                if tree != waiting.0 || waiting.2 == BATCH {
                    apply(&db, &mut waiting)?;
                    waiting.0 = tree;
                }
                waiting.1.insert(key, value);
                waiting.2 += 1;
            }
            apply(&db, &mut waiting)?;
            db.flush()?;
            Ok(())
        })?;
        Database::open(dir, key, Head::adopt).map(drop)
    }
}

fn apply(db: &sled::Db, (tree, batch, count): &mut (Vec<u8>, sled::Batch, usize)) -> Result<(), MetaError> {
    if *count > 0 {
        db.open_tree(tree.as_slice())?.apply_batch(std::mem::take(batch))?;
        *count = 0;
    }
    Ok(())
}

fn write_chunk(out: &mut impl Write, chunk: &[u8]) -> io::Result<()> {
    let too_long = || io::Error::other("a value is longer than any that is read");
    out.write_all(&framed(chunk, MAX_CHUNK).ok_or_else(too_long)?)
}

/// The next chunk; `None` at the end.
fn read_chunk(input: &mut impl Read) -> Result<Option<Vec<u8>>, MetaError> {
    next_frame(input, MAX_CHUNK).map_err(|_| MetaError::Damaged)
}

fn export_failed(source: io::Error) -> MetaError {
    MetaError::Export(source)
}
