//! Queries, catalogs and `why`. The parts of an answer are described in [`concordat_documents::query`].

use std::collections::VecDeque;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::{BufMut, Bytes, BytesMut};
use concordat_arrow_stream::{EncodeError, StreamEncoder};
use concordat_documents::Items;
use concordat_documents::openapi::Operation;
use concordat_documents::problem::Problem;
use concordat_documents::query::{
    ARROW, AnswerEnd, Catalog, CatalogQuery, END, FunctionRule, MAX_PART, PARTS, QueryEstimate, QueryRequest,
};
use concordat_documents::why::{Why, WhyRequest};

use super::body::Body;
use super::body_budget::MAX_QUERY;
use super::parameters::Query;
use super::route_access::{Access, Caller, Cost, Route};
use super::state::Api;
use crate::federation::AnswerStream;
use crate::iam::Action;
use crate::services::{queries, why};

/// Most bytes of a chunk of rows.
const CHUNK: usize = 1 << 20;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new("/v1/query", Access::Needs(Action::Query), post(query))
            .cost(Cost::OwnLimit)
            .accepts_up_to(MAX_QUERY)
            .describe(|| {
                [
                    Operation::post("Run a query; the answer is an Arrow IPC stream in parts")
                        .accepts::<QueryRequest>()
                        .returns_bytes(PARTS),
                ]
            }),
        Route::new("/v1/query/estimate", Access::Needs(Action::Query), post(estimate))
            .accepts_up_to(MAX_QUERY)
            .describe(|| {
                [Operation::post("What a query would do, cost and show; it is not sent")
                    .accepts::<QueryRequest>()
                    .returns::<QueryEstimate>()]
            }),
        Route::new(
            "/v1/query/functions",
            Access::Needs(Action::ExplainDecision),
            get(functions),
        )
        .cost(Cost::Short)
        .describe(|| [Operation::get("What a query can compute, and at which tier").returns_items::<FunctionRule>()]),
        Route::new("/v1/catalog", Access::Needs(Action::ReadCatalog), get(catalog)).describe(|| {
            [Operation::get("What other members publish")
                .query::<CatalogQuery>()
                .returns::<Catalog>()]
        }),
        Route::new("/v1/why", Access::Needs(Action::ExplainDecision), post(why))
            .accepts_up_to(MAX_QUERY)
            .describe(|| {
                [Operation::post("A decision, rule by rule")
                    .accepts::<WhyRequest>()
                    .returns::<Why>()]
            }),
    ]
}

async fn query(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(request): Body<QueryRequest>,
) -> Result<Response, Problem> {
    let answer = queries::run(api.node(), &caller, request).await?;
    let parts = Parts::begin(answer)?;
    let stream = futures::stream::try_unfold(parts, async |mut parts| {
        let next = parts.next().await?;
        Ok::<_, Problem>(next.map(|part| (part, parts)))
    });
    let body = HttpBody::from_stream(futures::TryStreamExt::map_err(stream, |problem| problem.detail));
    Ok(([(CONTENT_TYPE, PARTS)], body).into_response())
}

/// An answer that is being sent to the socket.
struct Parts {
    answer: AnswerStream,
    encoder: Option<StreamEncoder>,
    ready: VecDeque<Bytes>,
}

impl Parts {
    fn begin(answer: AnswerStream) -> Result<Self, Problem> {
        let encoder = StreamEncoder::new(&answer.schema()).map_err(unencodable)?;
        Ok(Self {
            answer,
            encoder: Some(encoder),
            ready: VecDeque::new(),
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Ok(Some(part));
            }
            let Some(encoder) = self.encoder.take() else {
                return Ok(None);
            };
            self.produce(encoder).await?;
        }
    }

    /// Makes the parts of the next rows, or of the end.
    async fn produce(&mut self, mut encoder: StreamEncoder) -> Result<(), Problem> {
        match self.answer.next().await {
            Some(Ok(batch)) => match encoder.encode(&batch) {
                Ok(()) => {
                    self.rows(encoder.take().into())?;
                    self.encoder = Some(encoder);
                    Ok(())
                }
                // Part of a batch is not sent; the end reports why there are no more rows.
                Err(error) => self.end(Some(unencodable(error))),
            },
            None => {
                encoder.finish().map_err(unencodable)?;
                self.rows(encoder.take().into())?;
                self.end(None)
            }
            Some(Err(error)) => {
                self.rows(encoder.take().into())?;
                self.end(Some(error.into()))
            }
        }
    }

    /// Adds bytes of rows, in parts of bounded length. They are not copied.
    fn rows(&mut self, mut bytes: Bytes) -> Result<(), Problem> {
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK));
            self.part(ARROW, chunk)?;
        }
        Ok(())
    }

    fn end(&mut self, problem: Option<Problem>) -> Result<(), Problem> {
        let end = AnswerEnd {
            summary: self.answer.summary(),
            problem,
        };
        let bytes =
            serde_json::to_vec(&end).map_err(|error| Problem::internal("the answer cannot be ended", &error))?;
        self.part(END, bytes.into())
    }

    fn part(&mut self, tag: u8, bytes: Bytes) -> Result<(), Problem> {
        self.ready.push_back(header(tag, bytes.len())?);
        self.ready.push_back(bytes);
        Ok(())
    }
}

/// What precedes the bytes of a part.
fn header(tag: u8, bytes: usize) -> Result<Bytes, Problem> {
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= MAX_PART);
    let length = length.ok_or_else(|| Problem::usage("the report of the answer is longer than one part may be"))?;
    let mut header = BytesMut::with_capacity(5);
    header.put_u8(tag);
    header.put_u32(length);
    Ok(header.freeze())
}

fn unencodable(error: EncodeError) -> Problem {
    match error {
        EncodeError::Encoder(error) => Problem::internal("the answer cannot be encoded", &error),
        EncodeError::Type { .. } | EncodeError::Digits { .. } | EncodeError::Columns | EncodeError::Row => {
            Problem::usage(error.to_string())
        }
    }
}

async fn estimate(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(request): Body<QueryRequest>,
) -> Result<Json<QueryEstimate>, Problem> {
    queries::estimate(api.node(), &caller, request).await.map(Json)
}

async fn functions(Caller(caller): Caller) -> Result<Json<Items<FunctionRule>>, Problem> {
    queries::functions(&caller).map(Json)
}

async fn catalog(
    State(api): State<Api>,
    Caller(caller): Caller,
    Query(query): Query<CatalogQuery>,
) -> Result<Json<Catalog>, Problem> {
    queries::catalog(api.node(), &caller, query).await.map(Json)
}

async fn why(
    State(api): State<Api>,
    Caller(caller): Caller,
    Body(request): Body<WhyRequest>,
) -> Result<Json<Why>, Problem> {
    why::explain(api.node(), &caller, request).await.map(Json)
}
