//! From prepared datasets to a visible version.

use std::sync::Arc;

use super::{
    super::runtime::runtime,
    ImportError, Importer, Progress,
    ancestors::add_ancestors,
    code_names::add_names,
    collection_request::{ImportedCollection, ImportedDataset},
    commit::{Committed, Creation},
    complete::check_complete,
    descriptions::add_descriptions,
    destination::Destination,
    losses::removed_datasets,
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
            // An import without declarations leaves those that there are.
            let rules = creation.rules.or_else(|| destination.old.as_ref()?.rules());
            if let Some(rules) = rules {
                check_complete(&runtime, &written.parts, destination, rules)?;
            }
            let named = match creation.rules {
                Some(rules) => {
                    let before = self.proposed_before(destination)?;
                    for part in &mut written.parts {
                        add_descriptions(&runtime, part, rules)?;
                    }
                    add_ancestors(&runtime, &mut written.parts, rules)?;
                    Some(add_names(&runtime, &mut written.parts, rules, destination, &before)?)
                }
                None => None,
            };
            let creation = creation.with_names(named.as_ref());
            progress(Progress::Committing);
            let committed = self.commit(destination, &written, creation)?;
            Ok(ImportedCollection {
                removed: removed_datasets(destination, &committed.manifest),
                ..imported(&written, &committed)
            })
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
        notes: part.notes.clone(),
    };
    ImportedCollection {
        version: manifest.version(),
        subjects: manifest.subjects().count,
        manifest: committed.digest,
        entries: committed.entries.clone(),
        datasets: written.parts.iter().map(dataset).collect(),
        removed: Vec::new(),
    }
}
