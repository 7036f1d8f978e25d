//! From a file to a new version.
//!
//! The objects are durable before anything points to them; the last step is one commit that stores the manifest and
//! moves the dataset's pointer. Any failure before that leaves the dataset unchanged.

mod commit;
mod destination;
mod error;
mod request;
mod shape;

use std::sync::Arc;

use concordat_keys::DatasetKey;
use concordat_protocol::{
    identity::{InstitutionKey, PrivateKey},
    ids::Digest32,
    schema::VersionNumber,
    time::Timestamp,
};
use tokio::runtime::Handle;

use commit::{Commit, Draft};
use destination::{Destination, main_segment};
pub use error::ImportError;
pub use request::{ImportMode, ImportRequest, Imported, MAIN_SEGMENT, Progress, ROWS_PER_OBJECT};
use shape::Shape;

use super::{
    CatalogError, DatasetRecord, Manifest, ObjectEntry,
    datasets::Datasets,
    keyring::Keyring,
    objects::StoredObjects,
    runtime::runtime,
    writer::{Target, VersionWriter},
};
use crate::answers::AnswerStore;
use crate::ingest::{Inspection, Refused, Reject, RejectSink, TableOptions, batches, infer_schema_into};

/// Creates versions from files.
#[derive(Debug)]
pub(super) struct Importer {
    pub(super) datasets: Arc<Datasets>,
    pub(super) keys: Arc<Keyring>,
    pub(super) objects: Arc<StoredObjects>,
    pub(super) answers: Arc<AnswerStore>,
}

impl Importer {
    /// Imports a file as a new version, signed by the institution. Blocks until the version is durable; see the module
    /// documentation for where to call it. Every event is reported to `progress`.
    ///
    /// # Errors
    /// [`ImportError`]; the dataset is then unchanged.
    pub(super) fn import(
        &self,
        request: &ImportRequest,
        signer: &InstitutionKey,
        now: Timestamp,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Imported, ImportError> {
        let runtime = runtime()?;
        let _writing = self.objects.begin_write();
        self.check_signer(signer)?;
        let destination = self.destination(request)?;
        let inspection = inspect(request, &destination, progress)?;
        let shape = Shape::of(&request.name, &inspection, destination.appended_to(request.mode))?;
        let mut writer = VersionWriter::new(Target {
            runtime: &runtime,
            folder: destination.key.id().to_string(),
            sealed: self.objects.sealed_under(Arc::clone(&destination.key)),
            inner: self.objects.store.as_ref(),
            schema: shape.schema(),
            rows_per_object: request.rows_per_object.max(1),
        });
        let commit = Commit {
            datasets: &self.datasets,
            keys: &self.keys,
            answers: &self.answers,
        };
        let draft = Draft {
            request,
            inspection: &inspection,
            shape: &shape,
            destination: &destination,
        };
        let result = write_rows(request, &inspection, &shape, &mut writer, progress)
            .and_then(|objects| commit.run(&draft, objects, signer, now, progress));
        if result.is_err() {
            self.discard(&runtime, writer);
        }
        result
    }

    fn check_signer(&self, signer: &InstitutionKey) -> Result<(), ImportError> {
        let known = self.datasets.signer()?;
        if signer.public() == known {
            Ok(())
        } else {
            Err(ImportError::WrongSigner)
        }
    }

    fn destination(&self, request: &ImportRequest) -> Result<Destination, ImportError> {
        let old = self.datasets.find(&request.name)?;
        match (old, request.mode) {
            (Some(_), ImportMode::Create) => Err(ImportError::Exists {
                name: request.name.clone(),
            }),
            (None, ImportMode::Append | ImportMode::Replace) => Err(CatalogError::NotFound {
                name: request.name.clone(),
            }
            .into()),
            (None, ImportMode::Create) => Ok(Destination {
                old: None,
                previous: None,
                files: Vec::new(),
                segment: request.segment.clone().unwrap_or_else(main_segment),
                key: Arc::new(DatasetKey::random().map_err(CatalogError::from)?),
            }),
            (Some(old), ImportMode::Append | ImportMode::Replace) => self.existing_destination(request, old),
        }
    }

    fn existing_destination(&self, request: &ImportRequest, old: DatasetRecord) -> Result<Destination, ImportError> {
        if let Some(segment) = request.segment.as_ref().filter(|segment| **segment != old.segment) {
            return Err(ImportError::OtherSegment {
                name: request.name.clone(),
                wanted: segment.clone(),
                segment: old.segment,
            });
        }
        let previous = self.datasets.manifest(&old, old.current)?.document().clone();
        Ok(Destination {
            files: self.files(&old, &previous),
            previous: Some(previous),
            key: Arc::new(self.keys.open_keys(&old)?.current),
            segment: old.segment.clone(),
            old: Some(old),
        })
    }

    /// The files whose rows the current version has, as far as the versions that they created are retained. A version has contributed if
    /// its last object is one of the current version. A manifest that cannot be read is found by `dataset verify`, and does not stop an import.
    fn files(&self, old: &DatasetRecord, current: &Manifest) -> Vec<(Digest32, VersionNumber)> {
        let is_current = |entry: &ObjectEntry| current.objects.iter().any(|known| known.path == entry.path);
        let mut files = Vec::new();
        for number in old.oldest.get()..=old.current.get() {
            let Ok(manifest) = self.datasets.manifest(old, VersionNumber::new(number)) else {
                continue;
            };
            let manifest = manifest.document();
            if manifest.objects.last().is_some_and(is_current) {
                files.push((manifest.provenance.blake3, manifest.version));
            }
        }
        files
    }

    /// Removes what a failed import wrote. If that fails too, the next start of the node removes it. It is not
    /// attempted if the store does not respond, so that the caller gets the error of the import without waiting longer.
    fn discard(&self, runtime: &Handle, writer: VersionWriter<'_>) {
        if let Err(error) = runtime.block_on(self.objects.check()) {
            return tracing::warn!(%error, "objects of a failed import stay until the store responds");
        }
        if let Err(error) = self.objects.remove(runtime, writer.abandon()) {
            tracing::warn!(%error, "objects of a failed import stay until the next start");
        }
    }
}

/// The first pass.
fn inspect(
    request: &ImportRequest,
    destination: &Destination,
    progress: &mut dyn FnMut(Progress),
) -> Result<Inspection, ImportError> {
    progress(Progress::Inspecting);
    let options = TableOptions {
        subject: destination.subject(request)?,
        existing: destination.existing_kinds(request.mode),
        ..request.options.clone()
    };
    let inspection = infer_schema_into(&request.source, &options, &mut Reporter(progress))?;
    let file = Digest32::from_bytes(inspection.fingerprint().blake3);
    match destination.repeats(request.mode, file) {
        Some(version) if !request.again => {
            return Err(ImportError::Repeated {
                name: request.name.clone(),
                version,
            });
        }
        Some(_) | None => {}
    }
    if options.refused == Refused::Stop && inspection.rejects().count() > 0 {
        // The second pass refuses to start, with the reason; nothing has been written yet.
        batches(&request.source, &inspection)?;
    }
    Ok(inspection)
}

/// The second pass, into objects.
fn write_rows(
    request: &ImportRequest,
    inspection: &Inspection,
    shape: &Shape,
    writer: &mut VersionWriter<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<ObjectEntry>, ImportError> {
    let mut rows = 0;
    for batch in batches(&request.source, inspection)? {
        let batch = shape.cast(&batch?)?;
        writer.write(&batch)?;
        rows += batch.num_rows() as u64;
        progress(Progress::Writing {
            rows,
            of: inspection.rows(),
        });
    }
    Ok(writer.finish()?)
}

/// Reports refused rows as progress events.
struct Reporter<'a>(&'a mut dyn FnMut(Progress));

impl RejectSink for Reporter<'_> {
    fn reject(&mut self, reject: Reject) -> std::io::Result<()> {
        (self.0)(Progress::Refused(reject));
        Ok(())
    }
}
