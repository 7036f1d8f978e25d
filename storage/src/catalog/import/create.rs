//! From prepared datasets to a visible version.

use std::sync::Arc;

use concordat_protocol::ids::DatasetName;

use super::{
    super::runtime::runtime,
    ImportError, Importer, Progress,
    code_names::add_names,
    collection_request::{ImportedCollection, ImportedDataset},
    commit::{Committed, Creation},
    complete::check_complete,
    descriptions::add_descriptions,
    destination::Destination,
    objects::ImportObjects,
    plan::Plan,
    prepared::Prepared,
    write::{Part, Written, write},
};

impl Importer {
    /// Writes the rows of the prepared datasets, in their order, and makes all of them visible as one version. What was written is removed
    /// if that fails.
    pub(super) fn create(
        &self,
        (plan, destination): (&Plan, &Destination),
        prepared: &[Prepared<'_>],
        rows_per_object: u64,
        creation: Creation<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportedCollection, ImportError> {
        let runtime = runtime()?;
        let mut objects = ImportObjects::new(
            &runtime,
            self.objects.sealed_under(Arc::clone(&destination.key)),
            self.objects.store.as_ref(),
            destination.key.id().to_string(),
        );
        let written = write(plan, destination, prepared, rows_per_object, &mut objects, progress);
        let result = written.and_then(|mut written| {
            let stays = |dataset: &DatasetName| destination.stays_of(dataset).is_some();
            // An import without declarations leaves those that there are.
            let rules = creation.rules.or_else(|| destination.old.as_ref()?.rules());
            if let Some(rules) = rules {
                check_complete(&runtime, &written.parts, destination, rules)?;
            }
            let named = match creation.rules {
                Some(rules) => {
                    for part in &mut written.parts {
                        add_descriptions(&runtime, part, rules)?;
                    }
                    add_names(&runtime, &mut written.parts, rules, &stays)?
                }
                None => None,
            };
            let creation = creation.with_rules(named.as_ref().or(creation.rules));
            progress(Progress::Committing);
            let committed = self.commit(destination, &written, creation)?;
            Ok(imported(&written, &committed))
        });
        if result.is_err() {
            self.discard(&runtime, objects);
        }
        result
    }
}

fn imported(written: &Written<'_>, committed: &Committed) -> ImportedCollection {
    let manifest = &committed.manifest;
    let dataset = |part: &Part<'_>| ImportedDataset {
        name: part.prepared.name.clone(),
        rows: part.prepared.rows.count(),
        total_rows: manifest.dataset(part.prepared.name).map_or(0, |dataset| dataset.rows),
        refused: part.prepared.rows.refused(),
        owners: part.owners,
        notes: part.prepared.notes().cloned().collect(),
    };
    ImportedCollection {
        version: manifest.version(),
        subjects: manifest.subjects().count,
        manifest: committed.digest,
        entries: committed.entries.clone(),
        datasets: written.parts.iter().map(dataset).collect(),
    }
}
