//! A file to a new version of a dataset alone: of a collection of one, of the same name.

use concordat_protocol::{
    collection::DatasetKind,
    identity::InstitutionKey,
    ids::{CollectionName, ColumnName, DatasetName},
    schema::VersionNumber,
    time::Timestamp,
};

use super::{
    super::version::collection::kind_of_subject,
    ImportError, Importer, Progress,
    collection_request::ImportedCollection,
    commit::Creation,
    destination::Destination,
    plan::{Declared, Plan},
    prepared::{InspectedFile, Prepared, Proposing, Rows, existing_kinds, subject_rule},
    request::{ImportRequest, Imported},
    shape::Shape,
};
use crate::ingest::{Inspection, Subject, SubjectRule, TableOptions};

impl Importer {
    /// Imports a file as a new version, signed by the institution. Blocks until the version is durable; see the module
    /// documentation for where to call it. Every event is reported to `progress`.
    ///
    /// # Errors
    /// [`ImportError`]; the dataset is then unchanged.
    pub(in crate::catalog) fn import(
        &self,
        request: &ImportRequest,
        signer: &InstitutionKey,
        now: Timestamp,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Imported, ImportError> {
        let creation = Creation::begin(request.by.as_ref(), signer, now);
        let _writing = self.objects.begin_write();
        self.check_signer(signer)?;
        let name = &request.name;
        let destination = self.destination_alone(request)?;
        let file = read(request, &destination, progress)?;
        let repeats = self.repeats(&destination, name, file.blake3());
        if let Some(version) = repeats.filter(|_| !request.again) {
            let name = name.clone();
            return Err(ImportError::Repeated { name, version });
        }
        file.check_refused(request.options.refused)?;
        let kind = kind_found(name, &file.inspection)?;
        let shape = Shape::of(name, &file.inspection, destination.stays_of(name), &kind)?;
        let plan = Plan::of(&destination, &[Declared { name, kind: &kind }])?;
        let rows = Rows::File(file);
        let proposing = Proposing::alone(&shape, &kind, destination.old.as_ref(), request.least_subjects);
        let prepared = [Prepared {
            name,
            kind,
            shape,
            rows,
            proposing,
            keys: Vec::new(),
            about_subject: None,
        }];
        let done = self.create(
            (&plan, &destination),
            &prepared,
            request.rows_per_object,
            creation,
            progress,
        )?;
        Ok(imported(done, repeats))
    }

    fn destination_alone(&self, request: &ImportRequest) -> Result<Destination, ImportError> {
        let found = self.datasets.find(&request.name)?;
        // Its datasets have one version, so none of them gets another one by itself.
        if found.as_ref().is_some_and(|found| found.alone().is_none()) {
            return Err(ImportError::Several {
                name: request.name.clone(),
            });
        }
        let collection = CollectionName::from(&request.name);
        self.destination(&collection, found, request.mode, request.segment.as_ref())
    }
}

/// The first pass.
fn read<'a>(
    request: &'a ImportRequest,
    destination: &Destination,
    progress: &mut dyn FnMut(Progress),
) -> Result<InspectedFile<'a>, ImportError> {
    let options = TableOptions {
        subject: stated_rule(request, destination)?,
        existing: existing_kinds(destination.stays_of(&request.name)),
        ..request.options.clone()
    };
    InspectedFile::read(&request.source, &options, &request.kept_options, progress)
}

/// To whom the rows belong: as the request states, or else as in the previous version.
fn stated_rule(request: &ImportRequest, destination: &Destination) -> Result<SubjectRule, ImportError> {
    let before = destination
        .previous()
        .and_then(|previous| previous.dataset(&request.name));
    match (&request.options.subject, before) {
        (SubjectRule::Unstated, None) => Err(ImportError::SubjectNotStated),
        (SubjectRule::Unstated, Some(before)) => Ok(subject_rule(&before.kind)),
        (stated @ (SubjectRule::Column(_) | SubjectRule::EachRow), _) => Ok(stated.clone()),
    }
}

/// How the rows of the file lead to subjects.
fn kind_found(name: &DatasetName, inspection: &Inspection) -> Result<DatasetKind, ImportError> {
    match inspection.subject() {
        Subject::Assigned => Ok(DatasetKind::EachRow),
        Subject::Column(column) => match ColumnName::new(column) {
            Ok(subject) => Ok(kind_of_subject(&subject)),
            Err(error) => Err(ImportError::Columns {
                name: name.clone(),
                differences: vec![error.to_string()],
            }),
        },
    }
}

/// What was done to the only dataset.
pub(super) fn imported(done: ImportedCollection, repeats: Option<VersionNumber>) -> Imported {
    let only = done.datasets.into_iter().next();
    Imported {
        version: done.version,
        rows: only.as_ref().map_or(0, |only| only.rows),
        total_rows: only.as_ref().map_or(0, |only| only.total_rows),
        refused: only.as_ref().map_or(0, |only| only.refused),
        notes: only.map_or_else(Vec::new, |only| only.notes),
        repeats,
        manifest: done.manifest,
        entries: done.entries,
    }
}
