//! The process that sees rows.

use std::sync::Arc;

use bytes::Bytes;
use concordat_storage::catalog::Collection;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    planned::{Planned, planned},
    task::{CellsTask, encoded_statistics},
};
use crate::{
    Bounds, QueryError, compute,
    statistic::{Measured, Statistic},
    worker::{
        cells::{decoded_rows, encoded, encoded_end, encoded_owners},
        frames::{self, Kind},
        messages::{Failure, decode, encode, failed},
        objects::{NodeStore, PendingReads, Writer},
        remote::RemoteCollection,
    },
};

/// What the node requests of the cells, in order.
pub(in crate::worker) type Order = (Kind, Bytes);

/// Computes the cells of a query as the node requests them, until it needs no more. An error returned here is an error of the socket and ends
/// the process.
pub(in crate::worker) async fn serve(
    body: &[u8],
    orders: &mut UnboundedReceiver<Order>,
    writer: &Writer,
    pending: &PendingReads,
) -> Result<(), QueryError> {
    let ended = served(body, orders, writer, pending).await;
    match ended {
        Ok(()) => send(writer, Kind::Done, &[]).await,
        Err(error) => send(writer, Kind::Failed, &encode(&Failure::from(&error))?).await,
    }
}

async fn served(
    body: &[u8],
    orders: &mut UnboundedReceiver<Order>,
    writer: &Writer,
    pending: &PendingReads,
) -> Result<(), QueryError> {
    let task: CellsTask = decode(body)?;
    let collection = opened(&task, writer, pending).await?;
    let Planned { lowered, .. } = planned(&task.planning).await?;
    let statistics: Vec<Statistic> = lowered.blocks.into_iter().map(|block| block.statistic).collect();
    let bytes: Vec<Vec<u8>> = statistics.iter().map(Statistic::to_bytes).collect();
    send(writer, Kind::Statistic, &encoded_statistics(&bytes)).await?;
    let serving = Serving {
        task: &task,
        collection: &collection,
        writer,
    };
    while let Some((kind, body)) = orders.recv().await {
        if kind == Kind::CellsDone {
            break;
        }
        let (number, rest) = body.split_first_chunk::<4>().ok_or(failed())?;
        let number = usize::try_from(u32::from_le_bytes(*number)).map_err(|_| failed())?;
        let statistic = statistics.get(number).ok_or(failed())?;
        if kind == Kind::Compute {
            serving.cells(statistic).await?;
        } else {
            serving.owners(statistic, rest).await?;
        }
    }
    Ok(())
}

/// The version, whose objects are read from the node.
async fn opened(task: &CellsTask, writer: &Writer, pending: &PendingReads) -> Result<RemoteCollection, QueryError> {
    let datasets = task.stored().ok_or(failed())?;
    let objects = datasets.iter().flat_map(|dataset| &dataset.objects);
    let objects = objects.map(|object| object.meta.clone()).collect();
    let store = NodeStore::open(objects, Arc::clone(writer), pending.clone()).await;
    Ok(RemoteCollection {
        name: task.name.clone(),
        version: task.version,
        subjects: task.subjects,
        datasets,
        store: Arc::new(store.map_err(|_| failed())?),
    })
}

struct Serving<'a> {
    task: &'a CellsTask,
    collection: &'a dyn Collection,
    writer: &'a Writer,
}

impl Serving<'_> {
    async fn cells(&self, statistic: &Statistic) -> Result<(), QueryError> {
        let planning = &self.task.planning;
        let found = compute::report(
            self.collection,
            &planning.rules,
            &planning.scope,
            statistic,
            &self.bounds(),
        )
        .await?;
        for cell in encoded(&found) {
            send(self.writer, Kind::Cell, &cell).await?;
        }
        send(self.writer, Kind::CellsDone, &encoded_end(&found)).await
    }

    async fn owners(&self, statistic: &Statistic, rows: &[u8]) -> Result<(), QueryError> {
        let Measured::Rows(dataset) = statistic.measured() else {
            return Err(failed());
        };
        let rows = decoded_rows(rows)?;
        let scope = &self.task.planning.scope;
        let found = compute::owners(self.collection, scope, (dataset, &rows), &self.bounds()).await?;
        send(self.writer, Kind::Owners, &encoded_owners(&found)).await
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            memory: self.task.planning.memory,
            groups: self.task.planning.cells,
            ..Bounds::default()
        }
    }
}

async fn send(writer: &Writer, kind: Kind, body: &[u8]) -> Result<(), QueryError> {
    let sent = frames::send(&mut *writer.lock().await, kind, body, &[]).await;
    sent.map_err(|_| failed())
}
