//! The process that finds codes by rows of reference datasets: it sees no row that is about a subject, and has computed nothing before.
//!
//! What a set of subjects is follows from these codes ([`CodeLists`](crate::decision::CodeLists)). A process that sees rows of subjects does not
//! state them: if it was taken over, it could have the audit conclude that a set follows for everyone.

use std::sync::Arc;

use concordat_protocol::{
    collection::{CollectionRules, DatasetKind},
    ids::CollectionName,
    schema::VersionNumber,
    scope::{Scope, Value},
};
use concordat_storage::catalog::{Collection, StoredDataset};
use object_store::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::{
    QueryError,
    compute::{self, MAX_LISTED, listed_codes},
    statistic::KeyList,
    worker::{
        frames::{self, Kind},
        messages::{DatasetTask, Failure, decode, encode, failed},
        objects::{NodeStore, PendingReads, Writer},
        remote::RemoteCollection,
    },
};

/// Bytes of the codes of a list: each is a text of up to 256 bytes.
const MAX_LIST_BYTES: usize = 2 << 20;

/// Lists of codes, as sent to a process.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::worker) struct ListsTask {
    scope: Scope,
    rules: CollectionRules,
    name: CollectionName,
    version: VersionNumber,
    subjects: u32,
    /// Reference datasets.
    datasets: Vec<DatasetTask>,
    lists: Vec<KeyList>,
    memory: usize,
}

impl ListsTask {
    /// Lists in the reference datasets of a version, with the objects that the process may read.
    ///
    /// # Errors
    /// [`QueryError`] if a column has a type that is not sent.
    pub(in crate::worker) fn new(
        collection: &dyn Collection,
        (rules, scope): (&CollectionRules, &Scope),
        lists: Vec<KeyList>,
        memory: usize,
    ) -> Result<(Self, Vec<ObjectMeta>), QueryError> {
        let is_reference = |dataset: &StoredDataset| {
            let declared = rules.dataset(&dataset.name).map(|rules| rules.kind());
            declared == Some(&DatasetKind::Reference) && !dataset.ordinals
        };
        let stored = collection.datasets();
        let stored = stored.iter().filter_map(|name| collection.dataset(name));
        let stored: Vec<StoredDataset> = stored.filter(is_reference).collect();
        let objects = stored.iter().flat_map(|dataset| &dataset.objects);
        let objects = objects.map(|object| object.meta.clone()).collect();
        let task = Self {
            scope: scope.clone(),
            rules: rules.clone(),
            name: collection.name().clone(),
            version: collection.version(),
            subjects: collection.subjects(),
            datasets: stored.into_iter().map(DatasetTask::of).collect::<Result<_, _>>()?,
            lists,
            memory,
        };
        Ok((task, objects))
    }
}

/// The codes of a list, as a process has found them; `None` if they are too many.
///
/// # Errors
/// If the bytes are anything else.
pub(in crate::worker) fn decoded_codes(body: &[u8]) -> Result<Option<Vec<Value>>, QueryError> {
    if body.len() > MAX_LIST_BYTES {
        return Err(failed());
    }
    let codes: Option<Vec<Value>> = decode(body)?;
    let is_listed = |codes: &Vec<Value>| codes.len() <= MAX_LISTED && codes.is_sorted_by(|one, other| one < other);
    match codes {
        Some(codes) if !is_listed(&codes) => Err(failed()),
        codes => Ok(codes),
    }
}

/// Sends the codes of each list, one after the other. An error returned here is an error of the socket and ends the process.
pub(in crate::worker) async fn serve_lists(
    body: &[u8],
    writer: &Writer,
    pending: &PendingReads,
) -> Result<(), QueryError> {
    let found = match found(body, writer, pending).await {
        Ok(found) => found,
        Err(error) => return send(writer, Kind::Failed, &encode(&Failure::from(&error))?).await,
    };
    for codes in found {
        send(writer, Kind::Lists, &encode(&codes)?).await?;
    }
    Ok(())
}

async fn found(body: &[u8], writer: &Writer, pending: &PendingReads) -> Result<Vec<Option<Vec<Value>>>, QueryError> {
    let task: ListsTask = decode(body)?;
    let datasets: Option<Vec<StoredDataset>> = task.datasets.iter().map(DatasetTask::dataset).collect();
    let datasets = datasets.ok_or(failed())?;
    let objects = datasets.iter().flat_map(|dataset| &dataset.objects);
    let objects = objects.map(|object| object.meta.clone()).collect();
    let store = NodeStore::open(objects, Arc::clone(writer), pending.clone()).await;
    let collection = RemoteCollection {
        name: task.name,
        version: task.version,
        subjects: task.subjects,
        datasets,
        store: Arc::new(store.map_err(|_| failed())?),
    };
    let known = compute::shown(&task.rules, &task.scope);
    listed_codes(&collection, (&known, &task.scope), &task.lists, task.memory).await
}

async fn send(writer: &Writer, kind: Kind, body: &[u8]) -> Result<(), QueryError> {
    let sent = frames::send(&mut *writer.lock().await, kind, body, &[]).await;
    sent.map_err(|_| failed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::tests::collection::{CONCEPT, DATASETS, Item, PERSON, Record, World, dataset, everything};

    /// The process is sent no object with rows about subjects, whatever the lists are.
    #[test]
    fn lists_are_found_in_reference_datasets_only() {
        let record = |of: usize, owner: Option<u32>| Record {
            owner,
            items: vec![Item::Null; DATASETS[of].1.len()],
        };
        let mut rows: [Vec<Record>; 4] = std::array::from_fn(|_| Vec::new());
        rows[PERSON].push(record(PERSON, Some(0)));
        rows[CONCEPT].push(record(CONCEPT, None));
        let world = World { subjects: 1, rows };
        let stored = world.stored(1);
        let (task, objects) = ListsTask::new(&stored, (&world.rules(), &everything()), Vec::new(), 1 << 20).unwrap();
        let names: Vec<_> = task.datasets.iter().map(|sent| sent.dataset().unwrap().name).collect();
        assert_eq!(names, [dataset("concept")]);
        let locations: Vec<&str> = objects.iter().map(|object| object.location.as_ref()).collect();
        assert_eq!(locations, ["concept-0.parquet"]);
    }

    #[test]
    fn codes_of_lists_are_bounded_and_in_order() {
        let codes = |codes: &[i64]| Some(codes.iter().copied().map(Value::Int).collect::<Vec<_>>());
        let decoded = |codes: &Option<Vec<Value>>| decoded_codes(&encode(codes).unwrap());
        for listed in [codes(&[]), codes(&[1, 5]), None] {
            assert_eq!(decoded(&listed).unwrap(), listed);
        }
        let long: Vec<i64> = (0..=4_096).collect();
        for other in [codes(&[5, 1]), codes(&[1, 1]), codes(&long)] {
            assert!(decoded(&other).is_err());
        }
        assert!(decoded_codes(b"other bytes").is_err());
    }
}
