//! A canary as a collection: the one that is queried without a permit.
//!
//! A [`CanaryCollection`] can only be generated from a seed, in memory. It has nothing that anyone has stored, and there is no way to make one of a
//! dataset. So what takes one ([`Workers::probed`](crate::Workers::probed)) needs no decision in the ledger, and everything else still does.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use concordat_protocol::{
    canary::{Canary, CanaryPerson, CanaryVisit, SUBJECTS},
    collection::{
        CollectionRules, Contents, DatasetKind, KnownColumns, Listed, RawCollectionRules, RawColumnRules,
        RawDatasetRules, RawLevels, RawRange, ValueLabel,
    },
    ids::{CanarySeed, CollectionName, CollectionRef, ColumnName, DatasetName, InstitutionId},
    schema::{ColumnKind, VersionNumber},
    scope::{
        Columns, DatasetScope, Datasets, Limits, People, Places, Protection, Purpose, Purposes, Rows, Scope, Subjects,
        Tier, Transform, Value, Window,
    },
    time::Timestamp,
};
use concordat_storage::catalog::{Collection, ORDINAL_COLUMN, StoredDataset, StoredObject};
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path};
use parquet::arrow::ArrowWriter;

use crate::QueryError;

/// Its name.
const NAME: &str = "canary";
/// The column with the subject, in both datasets.
const SUBJECT: &str = "subject";
/// For how long a scope of it is valid, in seconds: longer than a probe.
const VALID_S: i64 = 3_600;

/// A canary as a collection.
#[derive(Debug)]
pub struct CanaryCollection {
    canary: Canary,
    name: CollectionName,
    datasets: BTreeMap<DatasetName, StoredDataset>,
    rules: CollectionRules,
    store: Arc<dyn ObjectStore>,
}

impl CanaryCollection {
    /// The canary of a seed.
    ///
    /// # Errors
    /// [`QueryError::Engine`], which only an error of the program leads to.
    pub async fn of(seed: CanarySeed) -> Result<Self, QueryError> {
        let canary = Canary::of(*seed.as_bytes());
        let tables = [people(&canary.people)?, visits(&canary.visits)?];
        let rules = rules(&tables)?;
        let store = InMemory::new();
        let mut datasets = BTreeMap::new();
        for table in &tables {
            datasets.insert(table.name.clone(), table.stored(&store).await?);
        }
        Ok(Self {
            canary,
            name: CollectionName::new(NAME).map_err(|_| failed())?,
            datasets,
            rules,
            store: Arc::new(store),
        })
    }

    /// What is in it.
    #[must_use]
    pub const fn canary(&self) -> &Canary {
        &self.canary
    }

    /// What conditions and groups may distinguish.
    #[must_use]
    pub const fn rules(&self) -> &CollectionRules {
        &self.rules
    }

    /// All of it at tier `aggregate`, as `institution` would grant it with this minimum and protection.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn scope(
        &self,
        institution: &InstitutionId,
        (min_cell, protection): (u32, Protection),
        now: Timestamp,
    ) -> Result<Scope, QueryError> {
        let mut datasets = Vec::new();
        for (name, dataset) in &self.datasets {
            let names = dataset.schema.fields().iter().map(|field| column(field.name()));
            let names = names.collect::<Result<Vec<_>, QueryError>>()?;
            let shown = names.into_iter().map(|name| (name, Transform::Clear));
            let columns = Columns::new(shown).map_err(|_| failed())?;
            let rows = Rows::all();
            datasets.push((name.clone(), DatasetScope { columns, rows }));
        }
        Ok(Scope {
            collection: CollectionRef {
                institution: institution.clone(),
                collection: self.name.clone(),
            },
            tier: Tier::Aggregate,
            protection,
            subjects: Subjects::Any,
            datasets: Datasets::new(datasets).map_err(|_| failed())?,
            purposes: Purposes::new([Purpose::HealthResearch]).map_err(|_| failed())?,
            people: People::Any,
            places: Places::Any,
            limits: Limits {
                min_cell,
                ..Limits::default()
            },
            window: Window::new(now, now.plus_seconds(VALID_S)).map_err(|_| failed())?,
        })
    }
}

impl Collection for CanaryCollection {
    fn name(&self) -> &CollectionName {
        &self.name
    }

    fn version(&self) -> VersionNumber {
        VersionNumber::FIRST
    }

    fn subjects(&self) -> u32 {
        u32::from(SUBJECTS)
    }

    fn datasets(&self) -> Vec<DatasetName> {
        self.datasets.keys().cloned().collect()
    }

    fn dataset(&self, name: &DatasetName) -> Option<StoredDataset> {
        self.datasets.get(name).cloned()
    }

    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }
}

/// A dataset before it is stored.
struct Table {
    name: DatasetName,
    kind: DatasetKind,
    columns: Vec<TableColumn>,
    /// The subject of each row.
    owners: UInt32Array,
}

struct TableColumn {
    name: ColumnName,
    kind: ColumnKind,
    rules: RawColumnRules,
    values: ArrayRef,
}

impl Table {
    fn new(name: &str, is_unique: bool, subjects: &[u8]) -> Result<Self, QueryError> {
        let texts = subjects.iter().map(|subject| format!("s{subject:03}"));
        let subject = TableColumn::texts(SUBJECT, RawLevels::None, texts)?;
        Ok(Self {
            name: DatasetName::new(name).map_err(|_| failed())?,
            kind: DatasetKind::Keyed {
                subject: subject.name.clone(),
                unique: is_unique,
            },
            columns: vec![subject],
            owners: UInt32Array::from_iter_values(subjects.iter().copied().map(u32::from)),
        })
    }

    async fn stored(&self, store: &InMemory) -> Result<StoredDataset, QueryError> {
        let field = |column: &TableColumn| Field::new(column.name.as_str(), column.values.data_type().clone(), true);
        let fields: Vec<Field> = self.columns.iter().map(field).collect();
        let ordinal = Field::new(ORDINAL_COLUMN, DataType::UInt32, true);
        let stored: Vec<Field> = fields.iter().cloned().chain([ordinal]).collect();
        let stored_schema: SchemaRef = Arc::new(Schema::new(stored));
        let owners: ArrayRef = Arc::new(self.owners.clone());
        let values = self.columns.iter().map(|column| Arc::clone(&column.values));
        let values: Vec<ArrayRef> = values.chain([owners]).collect();
        let batch = RecordBatch::try_new(Arc::clone(&stored_schema), values).map_err(|_| failed())?;
        let path = Path::from(format!("{}.parquet", self.name));
        let bytes = parquet_of(&batch)?;
        store.put(&path, bytes.into()).await.map_err(|_| failed())?;
        let rows = u64::try_from(batch.num_rows()).map_err(|_| failed())?;
        let object = StoredObject {
            meta: store.head(&path).await.map_err(|_| failed())?,
            first_row: 0,
            rows,
        };
        Ok(StoredDataset {
            name: self.name.clone(),
            kind: self.kind.clone(),
            schema: Arc::new(Schema::new(fields)),
            stored_schema,
            ordinals: true,
            rows,
            objects: vec![object],
        })
    }
}

impl TableColumn {
    fn texts(name: &str, levels: RawLevels, values: impl Iterator<Item = String>) -> Result<Self, QueryError> {
        Ok(Self {
            name: column(name)?,
            kind: ColumnKind::Text,
            rules: RawColumnRules {
                levels,
                ..RawColumnRules::default()
            },
            values: Arc::new(StringArray::from_iter_values(values)),
        })
    }

    fn numbers(name: &str, rules: RawColumnRules, values: impl Iterator<Item = i64>) -> Result<Self, QueryError> {
        Ok(Self {
            name: column(name)?,
            kind: ColumnKind::Int,
            rules,
            values: Arc::new(Int64Array::from_iter_values(values)),
        })
    }
}

fn people(people: &[CanaryPerson]) -> Result<Table, QueryError> {
    let subjects: Vec<u8> = people.iter().map(|person| person.subject).collect();
    let sites = people.iter().map(|person| person.site.to_string());
    let sexes = people.iter().map(|person| person.sex.to_string());
    let ages = people.iter().map(|person| i64::from(person.age));
    let markers = people.iter().map(|person| i64::from(person.marker));
    let of_levels = |levels: RawLevels| RawColumnRules {
        levels,
        ..RawColumnRules::default()
    };
    // Each age that the smaller set of the pair may go to is below one of them.
    let edges = (20..80).step_by(10).chain(80..=90).map(Value::Int);
    let edges = RawLevels::Edges {
        edges: edges.collect(),
        levels: BTreeMap::new(),
    };
    let mut table = Table::new("people", true, &subjects)?;
    table.columns.extend([
        TableColumn::texts("site", listed_texts(["a", "b", "c", "d", "e", "f", "g", "h"]), sites)?,
        TableColumn::texts("sex", listed_texts(["f", "m"]), sexes)?,
        TableColumn::numbers("age", of_levels(edges), ages)?,
        TableColumn::numbers("marker", of_levels(listed([0, 1].map(Value::Int))), markers)?,
    ]);
    Ok(table)
}

fn visits(visits: &[CanaryVisit]) -> Result<Table, QueryError> {
    let subjects: Vec<u8> = visits.iter().map(|visit| visit.subject).collect();
    let codes = visits.iter().map(|visit| visit.code.to_string());
    let costs = visits.iter().map(|visit| i64::from(visit.cost));
    let known = listed_texts(["common-0", "common-1", "common-2", "common-3", "rare"]);
    let measured = RawColumnRules {
        measure: Some(RawRange {
            low: 0.0,
            high: 999.0,
            step: None,
        }),
        ..RawColumnRules::default()
    };
    let mut table = Table::new("visits", false, &subjects)?;
    table.columns.extend([
        TableColumn::texts("code", known, codes)?,
        TableColumn::numbers("cost", measured, costs)?,
    ]);
    Ok(table)
}

fn listed_texts<const N: usize>(texts: [&str; N]) -> RawLevels {
    listed(texts.map(|text| Value::Text(text.to_owned())))
}

fn listed<const N: usize>(values: [Value; N]) -> RawLevels {
    let listed = values.map(|value| {
        let label = value.to_string();
        Listed {
            value,
            label: ValueLabel::sanitized(label.trim_matches('\'')),
        }
    });
    RawLevels::Values(listed.into())
}

/// What a steward would declare.
fn rules(tables: &[Table]) -> Result<CollectionRules, QueryError> {
    let mut raw = RawCollectionRules::default();
    let mut known = BTreeMap::new();
    for table in tables {
        let columns = table.columns.iter();
        let declared = columns
            .clone()
            .map(|column| (column.name.clone(), column.rules.clone()));
        let contents = columns.map(|column| (column.name.clone(), Contents::Of(column.kind)));
        let rules = RawDatasetRules {
            kind: table.kind.clone(),
            columns: declared.collect(),
            ..RawDatasetRules::default()
        };
        raw.datasets.insert(table.name.clone(), rules);
        known.insert(table.name.clone(), contents.collect::<BTreeMap<_, _>>());
    }
    CollectionRules::check(raw, &KnownColumns::new(known)).map_err(|_| failed())
}

fn parquet_of(batch: &RecordBatch) -> Result<Vec<u8>, QueryError> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).map_err(|_| failed())?;
    writer.write(batch).map_err(|_| failed())?;
    writer.into_inner().map_err(|_| failed())
}

fn column(name: &str) -> Result<ColumnName, QueryError> {
    ColumnName::new(name).map_err(|_| failed())
}

const fn failed() -> QueryError {
    QueryError::Engine {
        step: "generating the canary",
    }
}

#[cfg(test)]
mod tests;
