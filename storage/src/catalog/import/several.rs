//! Several files to one new version of a collection: all of its datasets appear in it, or none.

use std::collections::BTreeMap;

use concordat_protocol::{
    collection::{Contents, KnownColumns},
    error_kind::{ErrorKind, Explain},
    identity::InstitutionKey,
    ids::{ColumnName, DatasetName},
    time::Timestamp,
};

use super::{
    super::version::collection::contents,
    ImportError, Importer, Progress,
    collection_request::{CollectionImport, DatasetImport, Declare, Declared, ImportedCollection},
    commit::Creation,
    destination::Destination,
    plan::{self, Plan},
    prepared::{InspectedFile, Prepared, Proposing, Rows, existing_kinds},
    shape::Shape,
    subject_kinds::SubjectKinds,
};
use crate::ingest::{IngestError, SubjectRule, TableOptions};

/// A dataset whose file was read once.
struct Found<'a> {
    dataset: &'a DatasetImport,
    file: InspectedFile<'a>,
}

impl Importer {
    /// Imports files as one new version of a collection, signed by the institution. Blocks until the version is durable.
    ///
    /// # Errors
    /// [`ImportError`]; the collection is then unchanged.
    pub(in crate::catalog) fn import_collection(
        &self,
        request: &CollectionImport,
        declare: &Declare<'_>,
        (signer, now): (&InstitutionKey, Timestamp),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportedCollection, ImportError> {
        let creation = Creation::begin(request.by.as_ref(), signer, now);
        let _writing = self.objects.begin_write();
        self.check_signer(signer)?;
        let found = self.datasets.find(&DatasetName::from(&request.name))?;
        let destination = self.destination(&request.name, found, request.mode, request.segment.as_ref())?;
        let files = inspect(&request.datasets, &destination, progress)?;
        if !request.again {
            self.check_repeated(&destination, &files)?;
        }
        let known = known(&destination, &files);
        let declared = declare(&known).map_err(|reasons| ImportError::Declared { reasons })?;
        let kinds: Vec<_> = files.iter().map(|found| declared.kind(&found.dataset.name)).collect();
        let datasets = files.iter().zip(&kinds).map(|(found, kind)| plan::Declared {
            name: &found.dataset.name,
            kind,
        });
        let plan = Plan::of(&destination, &datasets.collect::<Vec<_>>())?;
        if plan.is_alone {
            let name = DatasetName::from(&request.name);
            return Err(ImportError::Alone { name });
        }
        let declarations = (&declared, &known);
        let prepared = in_order(&plan, files, declarations, &destination, request.least_subjects)?;
        let creation = creation.with_rules(declared.rules());
        let versions = (&plan, &destination);
        self.create(versions, &prepared, request.rows_per_object, creation, progress)
    }

    /// Refuses files whose rows the collection has already: a subject would have each of them twice, and so would each join.
    fn check_repeated(&self, destination: &Destination, files: &[Found<'_>]) -> Result<(), ImportError> {
        let repeats = |found: &Found<'_>| {
            let name = &found.dataset.name;
            let version = self.repeats(destination, name, found.file.blake3())?;
            Some((name.clone(), version))
        };
        let repeated: Vec<_> = files.iter().filter_map(repeats).collect();
        if repeated.is_empty() {
            Ok(())
        } else {
            Err(ImportError::RepeatedFiles { repeated })
        }
    }
}

/// The datasets in the order in which they are written.
fn in_order<'a>(
    plan: &Plan,
    mut files: Vec<Found<'a>>,
    (declared, known): (&Declared, &KnownColumns),
    destination: &Destination,
    least: u32,
) -> Result<Vec<Prepared<'a>>, ImportError> {
    let subject_kinds = SubjectKinds::of(plan, declared, known);
    let mut prepared = Vec::new();
    for name in &plan.order {
        let at = files.iter().position(|found| found.dataset.name == *name);
        if let Some(Found { dataset, file }) = at.map(|at| files.swap_remove(at)) {
            let kind = declared.kind(name);
            let shape = Shape::of(name, &file.inspection, destination.stays_of(name), &kind)?;
            let columns = shape.columns().iter().zip(0..);
            let open = columns.filter(|(column, _)| declared.is_open(name, &column.name));
            let columns = open.clone().map(|(_, index)| index).collect();
            let coded = open.filter(|(column, _)| declared.has_codes(name, &column.name));
            let coded = coded.map(|(_, index)| index).collect();
            let keys = shape.columns().iter().zip(0..);
            let keys = keys.filter(|(column, _)| declared.is_key(name, &column.name));
            let keys = keys.map(|(_, index)| index).collect();
            prepared.push(Prepared {
                name: &dataset.name,
                kind,
                shape,
                rows: Rows::File(file),
                proposing: Proposing { columns, coded, least },
                keys,
                about_subject: subject_kinds.note(name),
            });
        }
    }
    Ok(prepared)
}

/// Reads every file once. What is wrong with them is returned for all of them together.
fn inspect<'a>(
    datasets: &'a [DatasetImport],
    destination: &Destination,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Found<'a>>, ImportError> {
    let mut files = Vec::new();
    let mut failed: Vec<(DatasetName, IngestError)> = Vec::new();
    for dataset in datasets {
        match read(dataset, destination, progress) {
            Ok(file) => files.push(Found { dataset, file }),
            Err(ImportError::Ingest(error)) if error.kind() == ErrorKind::Usage => {
                failed.push((dataset.name.clone(), error));
            }
            Err(error) => return Err(error),
        }
    }
    if failed.is_empty() {
        Ok(files)
    } else {
        Err(ImportError::Files { failed })
    }
}

fn read<'a>(
    dataset: &'a DatasetImport,
    destination: &Destination,
    progress: &mut dyn FnMut(Progress),
) -> Result<InspectedFile<'a>, ImportError> {
    let options = TableOptions {
        // Rows of several datasets are stored without a subject too, so the column with its key is one like the others.
        subject: SubjectRule::EachRow,
        existing: existing_kinds(destination.stays_of(&dataset.name)),
        ..dataset.options.clone()
    };
    let file = InspectedFile::read(&dataset.source, &options, &dataset.kept_options, progress)?;
    file.check_refused(options.refused)?;
    Ok(file)
}

/// The columns of the new version: those of the rows that stay, and those of the files.
fn known(destination: &Destination, files: &[Found<'_>]) -> KnownColumns {
    let stays = destination.stays().map(|stays| stays.known_columns());
    let stays = stays.iter().flat_map(KnownColumns::iter);
    let mut datasets: BTreeMap<DatasetName, BTreeMap<ColumnName, Contents>> =
        stays.map(|(name, columns)| (name.clone(), columns.clone())).collect();
    for Found { dataset, file } in files {
        let columns = datasets.entry(dataset.name.clone()).or_default();
        for column in file.inspection.columns() {
            // A name that is invalid is refused when the columns are compared.
            let Ok(name) = ColumnName::new(&column.name) else {
                continue;
            };
            let found = contents(column.kind, column.missing == file.inspection.rows());
            let known = columns.entry(name).or_insert(Contents::Empty);
            // What the rows that stay contain decides, if they contain anything.
            if *known == Contents::Empty {
                *known = found;
            }
        }
    }
    KnownColumns::new(datasets)
}
