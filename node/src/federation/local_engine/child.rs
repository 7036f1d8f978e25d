//! The engine process's side: it plans a query, and computes it from the answers of members.

use std::sync::Arc;

use bytes::Bytes;
use concordat_arrow_stream::StreamEncoder;
use concordat_engine::{Channel, ChannelSender, LocalEngine, TextParser};
use datafusion::arrow::array::RecordBatch;
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use tokio_util::task::AbortOnDropHandle;

use super::members::{Members, columns, send};
use super::messages::{Begin, Failure, FromEngine, Task, ToEngine, decode, engine_failed};
use crate::federation::collect_answers::run_local;
use crate::federation::description::describe_local;
use crate::federation::error::FederationError;
use crate::federation::foreseen::ForeseenAnswers;
use crate::federation::plan::{Plan, Planner};
use crate::federation::planned_part::parts_of;
use crate::federation::report::QueryReport;
use crate::federation::source::{Answer, QuerySource, Target};
use crate::federation::statement::ParsedQuery;
use crate::negotiation::RowCondition;

/// Bytes of rows that are encoded together, and the length of a message with rows.
const CHUNK: usize = 8 << 20;
/// Rows that are encoded together at least: what a batch uses may be shared by others.
const MIN_ROWS: usize = 16;

/// Reads, plans and computes the queries of the institution's own people, in an engine process.
#[derive(Debug, Default)]
pub struct FederatedEngine {
    foreseen: Arc<ForeseenAnswers>,
}

impl LocalEngine for FederatedEngine {
    fn compute(&self, begin: Bytes, channel: Channel) -> LocalBoxFuture<'_, ()> {
        Box::pin(async move {
            let sender = channel.sender();
            let ended = match self.answer(begin, channel, &sender).await {
                Ok(()) => return,
                Err(error) => FromEngine::Failed(Failure::of(&error)),
            };
            // If the node has ended, so does this process.
            let _ = send(&sender, &ended, &[]).await;
        })
    }
}

impl FederatedEngine {
    async fn answer(&self, task: Bytes, channel: Channel, sender: &ChannelSender) -> Result<(), FederationError> {
        let parser = channel.parser();
        let (task, _) = decode::<Task>(task)?;
        let read = match task {
            Task::Query(sql) => FromEngine::Tables(ParsedQuery::read(parser, &sql)?.query_tables()),
            Task::Condition(text) => {
                let read = RowCondition::read(parser, &text);
                FromEngine::Condition(read.map_err(|error| FederationError::usage(error.to_string()))?)
            }
            Task::Plan(begin) => return self.plan(*begin, parser, channel, sender).await,
        };
        send(sender, &read, &[]).await
    }

    async fn plan(
        &self,
        begin: Begin,
        parser: TextParser,
        mut channel: Channel,
        sender: &ChannelSender,
    ) -> Result<(), FederationError> {
        let tables = begin.tables().ok_or_else(engine_failed)?;
        let targets: Vec<Target> = tables.targets().cloned().collect();
        let members = Members::new(sender.clone(), targets);
        let source: Arc<dyn QuerySource> = Arc::new(members.clone());
        let report = QueryReport::of(begin.remarks, begin.left_out);
        let planner = Planner {
            tables,
            source: Arc::clone(&source),
            memory: begin.memory,
            day: begin.day,
            report: report.clone(),
            foreseen: Arc::clone(&self.foreseen),
        };
        let local = match Box::pin(planner.plan(ParsedQuery::read(parser, &begin.sql)?)).await? {
            Plan::Local(local) => local,
            Plan::Whole { target, query } => {
                let whole = FromEngine::Whole {
                    target: members.number_of(&target)?,
                    sql: query.sql,
                    grouped: query.grouped,
                    figures: query.figures,
                    remarks: report.remarks(),
                };
                return send(sender, &whole, &columns(&query.schema)?).await;
            }
        };
        let planned = FromEngine::Local {
            steps: describe_local(&local),
            parts: parts_of(&local, |target| members.number_of(target))?,
            remarks: report.remarks(),
        };
        send(sender, &planned, &[]).await?;
        // Without this message, it was only to be planned.
        let Some(body) = channel.next().await else {
            return Ok(());
        };
        let (ToEngine::Run, _) = decode::<ToEngine>(body)? else {
            return Err(engine_failed());
        };
        let _receiving = AbortOnDropHandle::new(tokio::spawn(members.receive(channel)));
        let answer = Box::pin(run_local(*local, source, report.clone())).await?;
        send_answer(answer, &report, sender).await
    }
}

/// Sends columns and rows, a part of a batch at a time.
async fn send_answer(mut answer: Answer, report: &QueryReport, sender: &ChannelSender) -> Result<(), FederationError> {
    let mut stream = StreamEncoder::new(&answer.schema).map_err(|error| FederationError::planning(error.into()))?;
    let opening = FromEngine::Columns {
        remarks: report.remarks(),
    };
    send(sender, &opening, &stream.take()).await?;
    while let Some(batch) = answer.batches.next().await {
        let mut rest = batch?;
        while rest.num_rows() > 0 {
            let rows = rows_together(&rest);
            let encoded = stream.encode(&rest.slice(0, rows));
            encoded.map_err(|error| FederationError::planning(error.into()))?;
            rest = rest.slice(rows, rest.num_rows().saturating_sub(rows));
            for chunk in stream.take().chunks(CHUNK) {
                send(sender, &FromEngine::Rows, chunk).await?;
            }
        }
    }
    send(sender, &FromEngine::Done, &[]).await
}

/// How many rows of `batch` take about [`CHUNK`] bytes, and at least one.
fn rows_together(batch: &RecordBatch) -> usize {
    let rows = batch.num_rows();
    let bytes = batch.get_array_memory_size().max(1);
    let fitting = rows.saturating_mul(CHUNK).checked_div(bytes).unwrap_or(rows);
    fitting.max(MIN_ROWS).min(rows)
}
