//! From files to a new version.
//!
//! 1. The [destination] is a new collection, or the version that there is now.
//! 2. Every file is read once ([`prepared`]); its columns are compared with those of the rows that stay ([`shape`]).
//! 3. The kinds of the datasets state how their rows lead to subjects, and with that the order in which they are written ([`plan`]).
//! 4. The datasets are written one after the other ([`mod@write`]), with the ordinals of the subjects ([`subjects`]).
//! 5. What is proposed for their columns gets the names of codes, which the reference datasets have ([`code_names`]), and the codes above
//!    listed ones that are groups ([`ancestors`]).
//!    Columns that are declared complete are checked ([`complete`]).
//! 6. One [commit](mod@commit) stores the manifest and moves the collection's pointer. The objects are durable before anything points to
//!    them, and any failure before leaves the collection unchanged.
//!
//! What begins differently is a dataset [alone], whose subjects are stated by its file; [several] datasets, which are declared once
//! their columns are known; and an [index], which reads the rows of the version that there is.

mod alone;
mod ancestors;
mod code_names;
mod collection_request;
mod commit;
mod complete;
mod create;
mod declared_keys;
mod descriptions;
mod destination;
mod error;
mod index;
mod losses;
mod objects;
mod plan;
mod prepared;
mod proposing;
mod repeats;
mod request;
mod several;
mod shape;
mod stored_rows;
mod subject_kinds;
mod subjects;
mod value_names;
mod write;

use std::sync::Arc;

use concordat_protocol::identity::{InstitutionKey, PrivateKey};
use tokio::runtime::Handle;

pub use collection_request::{CollectionImport, DatasetImport, Declare, Declared, ImportedCollection, ImportedDataset};
pub use error::ImportError;
pub use request::{ImportMode, ImportRequest, Imported, MAIN_SEGMENT, Progress, ROWS_PER_OBJECT};

use super::{datasets::Datasets, keyring::Keyring, objects::StoredObjects, versions::Versions};
use crate::answers::AnswerStore;
use objects::ImportObjects;

/// Creates versions.
#[derive(Debug)]
pub(super) struct Importer {
    pub(super) datasets: Arc<Datasets>,
    pub(super) keys: Arc<Keyring>,
    pub(super) objects: Arc<StoredObjects>,
    pub(super) versions: Versions,
    pub(super) answers: Arc<AnswerStore>,
}

impl Importer {
    fn check_signer(&self, signer: &InstitutionKey) -> Result<(), ImportError> {
        let known = self.datasets.signer()?;
        if signer.public() == known {
            Ok(())
        } else {
            Err(ImportError::WrongSigner)
        }
    }

    /// Removes what a failed import wrote. If that fails too, the next start of the node removes it. It is not
    /// attempted if the store does not respond, so that the caller gets the error of the import without waiting longer.
    fn discard(&self, runtime: &Handle, objects: ImportObjects<'_>) {
        if let Err(error) = runtime.block_on(self.objects.check()) {
            return tracing::warn!(%error, "objects of a failed import stay until the store responds");
        }
        if let Err(error) = self.objects.remove(runtime, objects.into_paths()) {
            tracing::warn!(%error, "objects of a failed import stay until the next start");
        }
    }
}
