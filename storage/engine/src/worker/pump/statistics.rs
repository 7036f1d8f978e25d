//! The node's side of a process that computes cells.

use bytes::Bytes;
use concordat_disclosure::OwnersOf;
use concordat_protocol::scope::Value;
use tokio::runtime::Handle;

use super::{Pump, failure};
use crate::{
    QueryError,
    compute::CellReport,
    decision::RowOwners,
    worker::{
        cells::{Arriving, Expected, MAX_OWNERS, decoded_owners, encoded_rows},
        frames::{self, Kind},
        messages::failed,
        process::Process,
        statistics::decoded_codes,
    },
};

impl Pump {
    /// Sends the task, and returns the groupings that the process has found.
    ///
    /// # Errors
    /// [`QueryError`]; the process is not used again then.
    pub(in crate::worker) async fn statistics(&mut self, task: &[u8]) -> Result<Bytes, QueryError> {
        self.send(Kind::Cells, task).await?;
        match self.next().await? {
            (Kind::Statistic, body) => Ok(body),
            (other, _) => Err(unexpected(other)),
        }
    }

    /// Sends lists of codes, and returns the codes of each. The process is not used again.
    ///
    /// # Errors
    /// As [`Self::statistics`].
    pub(in crate::worker) async fn code_lists(
        mut self,
        task: &[u8],
        number: usize,
    ) -> Result<Vec<Option<Vec<Value>>>, QueryError> {
        self.send(Kind::Lists, task).await?;
        let mut found = Vec::with_capacity(number);
        while found.len() < number {
            match self.next().await? {
                (Kind::Lists, body) => found.push(decoded_codes(&body)?),
                (other, _) => return Err(unexpected(other)),
            }
        }
        Ok(found)
    }

    /// The cells of a grouping.
    ///
    /// # Errors
    /// As [`Self::statistics`], and for a report of another form.
    pub(in crate::worker) async fn cell_report(
        &mut self,
        number: u32,
        expected: Expected,
    ) -> Result<CellReport, QueryError> {
        self.send(Kind::Compute, &number.to_le_bytes()).await?;
        let mut arriving = Arriving::new(expected);
        loop {
            match self.next().await? {
                (Kind::Cell, body) => arriving.add(&body)?,
                (Kind::CellsDone, body) => return arriving.finish(&body),
                (other, _) => return Err(unexpected(other)),
            }
        }
    }

    /// The subjects of rows that a grouping counts, of a collection with `subjects` subjects.
    ///
    /// # Errors
    /// As [`Self::statistics`].
    pub(in crate::worker) async fn owners(
        &mut self,
        number: u32,
        rows: &[u32],
        subjects: u32,
    ) -> Result<Vec<Option<u32>>, QueryError> {
        let mut found = Vec::with_capacity(rows.len());
        for rows in rows.chunks(MAX_OWNERS) {
            let body = [&number.to_le_bytes()[..], &encoded_rows(rows)].concat();
            self.send(Kind::Owners, &body).await?;
            match self.next().await? {
                (Kind::Owners, body) => found.extend(decoded_owners(&body, rows.len(), subjects)?),
                (other, _) => return Err(unexpected(other)),
            }
        }
        Ok(found)
    }

    /// Ends the work on the cells; returns the process, which may compute further cells within the same scope.
    ///
    /// # Errors
    /// As [`Self::statistics`].
    pub(in crate::worker) async fn end(mut self) -> Result<Process, QueryError> {
        self.send(Kind::CellsDone, &[]).await?;
        match self.next().await? {
            (Kind::Done, _) => Ok(self.process),
            (other, _) => Err(unexpected(other)),
        }
    }

    async fn send(&mut self, kind: Kind, body: &[u8]) -> Result<(), QueryError> {
        let sent = frames::send(&mut self.process.writer, kind, body, &[]).await;
        if sent.is_err() {
            return Err(self.process.exit_error().await);
        }
        Ok(())
    }

    /// The next frame that is not a request for data, which is served meanwhile.
    async fn next(&mut self) -> Result<(Kind, Bytes), QueryError> {
        loop {
            tokio::select! {
                frame = self.process.frames.next() => {
                    let Ok(Some((kind, body))) = frame else { return Err(self.process.exit_error().await) };
                    if kind == Kind::Failed {
                        return Err(failure(&body)?);
                    }
                    if kind != Kind::ReadRequest {
                        return Ok((kind, body));
                    }
                    self.start_read(&body)?;
                }
                Some(read) = self.reads.join_next() => {
                    let (number, found) = read.map_err(|_| failed())?;
                    if self.send_read(number, found).await.is_err() {
                        return Err(self.process.exit_error().await);
                    }
                }
            }
        }
    }
}

/// The subjects of rows, as the process of a statistic returns them. It waits for each answer, so it is used on a thread of a runtime with
/// several.
pub(in crate::worker) struct OwnersOfRows<'a> {
    pump: &'a mut Pump,
    /// The number of the grouping.
    number: u32,
    subjects: u32,
    error: Option<QueryError>,
}

impl<'a> OwnersOfRows<'a> {
    pub(in crate::worker) fn new(pump: &'a mut Pump, number: u32, subjects: u32) -> Self {
        Self {
            pump,
            number,
            subjects,
            error: None,
        }
    }
}

impl OwnersOf for OwnersOfRows<'_> {
    fn owners_of(&mut self, units: &[u32]) -> Vec<Option<u32>> {
        let unknown = || vec![None; units.len()];
        if self.error.is_some() {
            return unknown();
        }
        let request = self.pump.owners(self.number, units, self.subjects);
        match tokio::task::block_in_place(|| Handle::current().block_on(request)) {
            Ok(owners) => owners,
            Err(error) => {
                self.error = Some(error);
                unknown()
            }
        }
    }
}

impl RowOwners for OwnersOfRows<'_> {
    fn take_error(&mut self) -> Option<QueryError> {
        self.error.take()
    }
}

/// The process is not what it should be.
fn unexpected(_: Kind) -> QueryError {
    failed()
}
