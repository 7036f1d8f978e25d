//! Writes the datasets of a version.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{array::AsArray, datatypes::UInt32Type, record_batch::RecordBatch};
use concordat_keys::SubjectsKey;
use concordat_protocol::{
    collection::DatasetKind,
    ids::{ColumnName, DatasetName},
};

use super::{
    super::{
        DatasetManifest, ObjectEntry, ProposedColumn, SubjectTables,
        version::collection::{contents, with_ordinals},
        writer::VersionWriter,
    },
    ImportError, Progress,
    declared_keys::{DeclaredKeys, several_rows},
    destination::Destination,
    losses::losses,
    objects::ImportObjects,
    plan::{Plan, links},
    prepared::Prepared,
    proposing::{OfColumn, proposed},
    subjects::{DatasetOwners, Numbering, VersionSubjects, is_unique},
};
use crate::{
    ingest::Note,
    subjects::{KeyMap, KeyMapBuilder, Link, OwnerCounts, Proposals, SubjectError},
};

/// A dataset that was written.
pub(super) struct Part<'a> {
    pub(super) prepared: &'a Prepared<'a>,
    /// As it was found.
    pub(super) kind: DatasetKind,
    pub(super) objects: Vec<ObjectEntry>,
    pub(super) owners: OwnerCounts,
    pub(super) ordinals: bool,
    /// What is proposed for its columns.
    pub(super) proposed: BTreeMap<ColumnName, ProposedColumn>,
    /// What the steward should know.
    pub(super) notes: Vec<Note>,
}

/// What was written of a version.
pub(super) struct Written<'a> {
    pub(super) parts: Vec<Part<'a>>,
    pub(super) subjects: SubjectTables,
}

/// The owners of the rows of the datasets that are written, by their keys.
type KeyMaps = BTreeMap<(DatasetName, ColumnName), KeyMap>;

/// Writes all datasets in their order, and what is stored about the subjects.
pub(super) fn write<'a>(
    plan: &Plan,
    destination: &Destination,
    prepared: &'a [Prepared<'a>],
    rows_per_object: u64,
    objects: &mut ImportObjects<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written<'a>, ImportError> {
    let key = Arc::new(destination.pseudonyms.subjects_key());
    let before = destination.previous.as_ref();
    let mut writing = Writing {
        plan,
        rows_per_object,
        subjects: VersionSubjects::begin(objects.runtime, Arc::clone(&key), plan.numbering, before)?,
        key,
        maps: KeyMaps::new(),
    };
    let mut parts = Vec::new();
    let mut observed = Vec::new();
    for prepared in prepared {
        let stays = destination.stays_of(prepared.name);
        let (mut part, proposals) = writing.write(prepared, stays, objects, progress)?;
        part.notes.extend(losses(destination, prepared));
        parts.push(part);
        observed.push(proposals);
    }
    let proposed = proposed(observed);
    for (part, proposed) in parts.iter_mut().zip(proposed) {
        part.proposed = proposed;
    }
    let subjects = writing.finish(&parts, objects)?;
    Ok(Written { parts, subjects })
}

/// The state of writing the datasets.
struct Writing<'a> {
    plan: &'a Plan,
    rows_per_object: u64,
    subjects: VersionSubjects,
    key: Arc<SubjectsKey>,
    maps: KeyMaps,
}

impl Writing<'_> {
    fn write<'a>(
        &mut self,
        prepared: &'a Prepared<'a>,
        stays: Option<&DatasetManifest>,
        objects: &mut ImportObjects<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Part<'a>, Vec<OfColumn>), ImportError> {
        let mut builders = self.builders(prepared)?;
        let key = Arc::clone(&self.key);
        let before = self.subjects.added();
        let maps = std::mem::take(&mut self.maps);
        let rows_per_object = self.rows_per_object;
        let owners = self.owners(prepared, &maps)?;
        let ordinals = owners.is_some();
        let mut observed = owners
            .as_ref()
            .map_or(Ok(None), |_| ObservedColumns::of(prepared, &key))?;
        let mut declared_keys = DeclaredKeys::of(prepared, &key);
        let mut read = |rows: &RecordBatch| {
            declared_keys.add(rows)?;
            if !ordinals {
                return Ok(());
            }
            add_keys(&mut builders, rows)?;
            observed.as_mut().map_or(Ok(()), |observed| observed.add(rows))
        };
        let written = write_rows(prepared, rows_per_object, owners, &mut read, objects, progress);
        self.maps = maps;
        let (entries, owners) = written?;
        for (column, builder) in builders {
            self.maps
                .insert((prepared.name.clone(), column.name), builder.finish()?);
        }
        let added = self.subjects.added().saturating_sub(before);
        let kind = found_kind(&prepared.kind, owners, added, stays);
        let about_keys = several_rows(&prepared.kind, &kind)
            .into_iter()
            .chain(declared_keys.notes());
        let part = Part {
            prepared,
            notes: about_keys.chain(prepared.notes().cloned()).collect(),
            kind,
            objects: entries,
            owners,
            ordinals,
            proposed: BTreeMap::new(),
        };
        Ok((
            part,
            observed.map_or_else(Vec::new, |observed| observed.finish(prepared)),
        ))
    }

    /// Finds the owners of the rows of a dataset, if it has any.
    fn owners<'b>(
        &'b mut self,
        prepared: &Prepared<'_>,
        maps: &'b KeyMaps,
    ) -> Result<Option<DatasetOwners<'b>>, ImportError> {
        if self.plan.numbering == Numbering::Absent {
            return Ok(None);
        }
        Ok(match &prepared.kind {
            DatasetKind::Keyed { .. } => {
                let column = prepared.shape.key_column().ok_or_else(|| missing_column(prepared))?;
                let registers = self.plan.registering.contains(prepared.name);
                Some(self.subjects.of_keyed(prepared.name, column, registers))
            }
            DatasetKind::Owned { .. } => {
                let links = linked(prepared, maps)?;
                Some(self.subjects.of_linked(prepared.name, links))
            }
            DatasetKind::EachRow => Some(self.subjects.of_rows()),
            DatasetKind::Reference | DatasetKind::Unowned => None,
        })
    }

    /// Those of the keys that other datasets are linked by.
    fn builders(&self, prepared: &Prepared<'_>) -> Result<Vec<(KeyColumn, KeyMapBuilder)>, ImportError> {
        let keys = self.plan.linked.get(prepared.name).into_iter().flatten();
        let builders = keys.map(|name| {
            let index = prepared.shape.index_of(name);
            let index = index.ok_or_else(|| missing_column(prepared))?;
            let name = name.clone();
            Ok((KeyColumn { name, index }, KeyMapBuilder::new(Arc::clone(&self.key))))
        });
        builders.collect()
    }

    /// Writes what is stored about the subjects. Rows that are subjects themselves have neither registry nor digests.
    fn finish(self, parts: &[Part<'_>], objects: &mut ImportObjects<'_>) -> Result<SubjectTables, ImportError> {
        if self.plan.numbering == Numbering::Absent {
            return Ok(SubjectTables::none());
        }
        let rows = parts.iter().filter(|part| part.kind == DatasetKind::EachRow);
        match rows.map(|part| part.owners.owned).reduce(u64::saturating_add) {
            Some(rows) => self.subjects.finish_rows(rows),
            None => self.subjects.finish_keys(objects),
        }
    }
}

/// The columns of a dataset for which something is proposed.
struct ObservedColumns {
    columns: Vec<usize>,
    proposals: Proposals,
}

impl ObservedColumns {
    /// `None` if there are no such columns.
    fn of(prepared: &Prepared<'_>, key: &SubjectsKey) -> Result<Option<Self>, ImportError> {
        let columns = prepared.proposing.columns.clone();
        if columns.is_empty() {
            return Ok(None);
        }
        let schema = prepared.shape.schema().project(&columns).map_err(SubjectError::Arrow)?;
        let is_coded = |column: &usize| prepared.proposing.coded.contains(column);
        let coded = columns.iter().zip(0..).filter(|(column, _)| is_coded(column));
        let coded: Vec<usize> = coded.map(|(_, position)| position).collect();
        let proposals = Proposals::new(key, &schema, prepared.proposing.least).with_codes(&coded);
        Ok(Some(Self { columns, proposals }))
    }

    /// Observes rows, whose last column are the ordinals of their owners.
    fn add(&mut self, rows: &RecordBatch) -> Result<(), ImportError> {
        let owners = rows.columns().last();
        if let Some(owners) = owners.and_then(|last| last.as_primitive_opt::<UInt32Type>()) {
            let observed = rows.project(&self.columns).map_err(SubjectError::Arrow)?;
            self.proposals.observe(&observed, owners)?;
        }
        Ok(())
    }

    fn finish(self, prepared: &Prepared<'_>) -> Vec<OfColumn> {
        let metas = self
            .columns
            .iter()
            .filter_map(|index| prepared.shape.columns().get(*index));
        let proposed = metas.zip(self.proposals.finish());
        let proposed = proposed.map(|(meta, proposal)| OfColumn {
            name: meta.name.clone(),
            contents: contents(meta.kind, meta.empty),
            proposal,
        });
        proposed.collect()
    }
}

/// A column by which other datasets are linked.
struct KeyColumn {
    name: ColumnName,
    index: usize,
}

fn missing_column(dataset: &Prepared<'_>) -> ImportError {
    ImportError::Kind {
        name: dataset.name.clone(),
        problem: "lacks a column by which subjects are found",
    }
}

fn linked<'a>(prepared: &Prepared<'_>, maps: &'a KeyMaps) -> Result<Vec<Link<'a>>, ImportError> {
    let links = links(&prepared.kind).into_iter().map(|link| {
        let column = prepared.shape.index_of(&link.column);
        let keys = maps.get(&(link.to.clone(), link.key.clone()));
        let (Some(column), Some(keys)) = (column, keys) else {
            return Err(missing_column(prepared));
        };
        Ok(Link { column, keys })
    });
    links.collect()
}

fn found_kind(declared: &DatasetKind, owners: OwnerCounts, added: u32, stays: Option<&DatasetManifest>) -> DatasetKind {
    match declared {
        DatasetKind::Keyed { subject, .. } => DatasetKind::Keyed {
            subject: subject.clone(),
            unique: is_unique(owners, added, stays),
        },
        DatasetKind::Owned { .. } | DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => {
            declared.clone()
        }
    }
}

fn write_rows(
    prepared: &Prepared<'_>,
    rows_per_object: u64,
    mut owners: Option<DatasetOwners<'_>>,
    read: &mut dyn FnMut(&RecordBatch) -> Result<(), ImportError>,
    objects: &mut ImportObjects<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Vec<ObjectEntry>, OwnerCounts), ImportError> {
    let schema = match &owners {
        Some(_) => with_ordinals(&prepared.shape.schema()),
        None => prepared.shape.schema(),
    };
    let runtime = objects.runtime;
    let fill = |writer: &mut VersionWriter<'_>| {
        let mut rows = 0;
        prepared.for_each(runtime, &mut |mut batch| {
            if let Some(owners) = &mut owners {
                batch = owners.add(&batch)?;
            }
            read(&batch)?;
            rows += batch.num_rows() as u64;
            writer.write(&batch)?;
            let of = prepared.rows.count();
            progress(Progress::Writing { rows, of });
            Ok(())
        })
    };
    let entries = objects.write(schema, rows_per_object, fill)?;
    Ok((
        entries,
        owners.map_or_else(OwnerCounts::default, |owners| owners.counts()),
    ))
}

/// Adds the keys of rows, whose last column are the ordinals of their owners.
fn add_keys(builders: &mut [(KeyColumn, KeyMapBuilder)], rows: &RecordBatch) -> Result<(), ImportError> {
    let owners = rows
        .columns()
        .last()
        .and_then(|last| last.as_primitive_opt::<UInt32Type>());
    for (column, builder) in builders {
        if let (Some(keys), Some(owners)) = (rows.columns().get(column.index), owners) {
            builder.add(keys, owners)?;
        }
    }
    Ok(())
}
