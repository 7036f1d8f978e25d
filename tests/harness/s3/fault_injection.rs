//! Fault injection between a node and its object store.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use s3s::service::S3Service;

type Body = BoxBody<Bytes, ConnectionLost>;

/// The connection is lost.
#[derive(Debug)]
pub(super) struct ConnectionLost;

impl std::fmt::Display for ConnectionLost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is lost")
    }
}

impl std::error::Error for ConnectionLost {}

/// One fault that can be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server answers with this status and does nothing.
    Error(u16),
    /// The connection is lost in the middle of the request, and the server does nothing.
    CutRequest,
    /// The server processes the request, and the connection is lost in the middle of the answer.
    CutAnswer,
    /// The server processes the request, and the answer is lost.
    LoseAnswer,
    /// The server waits before it processes the request.
    Wait(Duration),
    /// The listing is the last one from before the rule was set.
    OldListing,
    /// The answer never ends.
    Flood,
    /// The answer has one tag of many attributes.
    WideTag,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads an object, or its length.
    Read,
    /// Lists.
    List,
    /// Writes a whole object, or a part of one.
    Write,
    /// Begins an object of several parts.
    Begin,
    /// Completes one.
    Complete,
    /// Aborts one.
    Abort,
    /// Removes objects.
    Remove,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Every(u64),
    Once(u64),
}

/// A fault for requests of some kinds.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The fault.
    pub fault: Fault,
    /// The kinds of requests; all if empty.
    pub kinds: Vec<Kind>,
    /// Which of these requests.
    which: Which,
    /// How many of these requests were seen.
    seen: u64,
}

impl Rule {
    /// For every `number`th request of these kinds: 1 for all.
    pub fn every(fault: Fault, kinds: &[Kind], number: u64) -> Self {
        Self::new(fault, kinds, Which::Every(number))
    }

    /// For the `number`th request of these kinds, and no other.
    pub fn once(fault: Fault, kinds: &[Kind], number: u64) -> Self {
        Self::new(fault, kinds, Which::Once(number))
    }

    fn new(fault: Fault, kinds: &[Kind], which: Which) -> Self {
        Self {
            fault,
            kinds: kinds.to_vec(),
            which,
            seen: 0,
        }
    }

    fn applies(&mut self) -> bool {
        self.seen += 1;
        match self.which {
            Which::Every(number) => self.seen.is_multiple_of(number),
            Which::Once(number) => self.seen == number,
        }
    }
}

/// The layer in front of the server.
#[derive(Debug, Default)]
pub struct InjectedFaults {
    rules: Mutex<Vec<Rule>>,
    /// The last answer to each listing.
    listings: Mutex<HashMap<String, Bytes>>,
    requests: Mutex<Vec<Kind>>,
    injected: AtomicBool,
}

impl InjectedFaults {
    /// Replaces the rules.
    pub fn set(&self, rules: impl IntoIterator<Item = Rule>) {
        *self.rules.lock().unwrap() = rules.into_iter().collect();
        self.requests.lock().unwrap().clear();
        self.injected.store(false, Ordering::SeqCst);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.set([]);
    }

    /// How many requests of a kind arrived since the rules were set.
    pub fn requests(&self, kind: Kind) -> usize {
        self.requests
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| **seen == kind)
            .count()
    }

    /// Whether any fault was injected since the rules were set.
    pub fn any_injected(&self) -> bool {
        self.injected.load(Ordering::SeqCst)
    }

    fn next(&self, kind: Kind) -> Option<Fault> {
        self.requests.lock().unwrap().push(kind);
        let mut rules = self.rules.lock().unwrap();
        let matching = rules
            .iter_mut()
            .filter(|rule| rule.kinds.is_empty() || rule.kinds.contains(&kind));
        let mut fault = None;
        for rule in matching {
            if rule.applies() {
                fault = fault.or(Some(rule.fault));
            }
        }
        self.injected.fetch_or(fault.is_some(), Ordering::SeqCst);
        fault
    }

    /// Answers one request, or drops its connection.
    pub(super) async fn answer(
        &self,
        server: &S3Service,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, ConnectionLost> {
        let kind = kind(&request);
        let fault = self.next(kind);
        let (head, mut body) = request.into_parts();
        match fault {
            Some(Fault::Error(status)) => {
                body.collect().await.map_err(|_| ConnectionLost)?;
                return Ok(refusal(status));
            }
            Some(Fault::CutRequest) => {
                body.frame().await;
                return Err(ConnectionLost);
            }
            Some(Fault::Wait(time)) => tokio::time::sleep(time).await,
            Some(Fault::WideTag) => {
                body.collect().await.map_err(|_| ConnectionLost)?;
                return Ok(wide_tag());
            }
            Some(Fault::Flood | Fault::CutAnswer | Fault::LoseAnswer | Fault::OldListing) | None => {}
        }
        let uri = head.uri.to_string();
        let body = body.collect().await.map_err(|_| ConnectionLost)?.to_bytes();
        let request = Request::from_parts(head, s3s::Body::from(body));
        let (head, body) = server.call(request).await.map_err(|_| ConnectionLost)?.into_parts();
        let mut body = body.collect().await.map_err(|_| ConnectionLost)?.to_bytes();
        if kind == Kind::List {
            let mut listings = self.listings.lock().unwrap();
            match listings.get(&uri) {
                Some(old) if fault == Some(Fault::OldListing) => body = old.clone(),
                _ => drop(listings.insert(uri, body.clone())),
            }
        }
        let mut answer = Response::from_parts(head, Full::new(body.clone()).map_err(never).boxed());
        match fault {
            Some(Fault::LoseAnswer) => return Err(ConnectionLost),
            Some(Fault::CutAnswer) if body.len() > 1 => {
                let half = body.slice(..body.len() / 2);
                let chunks = [Ok(Frame::data(half)), Err(ConnectionLost)];
                answer.headers_mut().insert("content-length", body.len().into());
                *answer.body_mut() = BodyExt::boxed(StreamBody::new(futures::stream::iter(chunks)));
            }
            Some(Fault::OldListing) => drop(answer.headers_mut().remove("content-length")),
            Some(Fault::Flood) => {
                let chunk = Bytes::from(vec![b' '; 1 << 20]);
                let endless = futures::stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
                answer.headers_mut().insert("content-length", (1_u64 << 40).into());
                *answer.body_mut() = BodyExt::boxed(StreamBody::new(endless));
            }
            Some(Fault::CutAnswer | Fault::Error(_) | Fault::CutRequest | Fault::Wait(_) | Fault::WideTag) | None => {}
        }
        Ok(answer)
    }
}

fn never(error: Infallible) -> ConnectionLost {
    match error {}
}

/// An answer that costs its reader much more than its sender.
fn wide_tag() -> Response<Body> {
    let attributes: String = (0..2_000).map(|number| format!(" xmlns:a{number}=\"a\"")).collect();
    let text = format!("<?xml version=\"1.0\"?><ListBucketResult{attributes}></ListBucketResult>");
    Response::new(Full::new(Bytes::from(text)).map_err(never).boxed())
}

fn refusal(status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("a status");
    let code = match status.as_u16() {
        403 => "AccessDenied",
        404 => "NoSuchBucket",
        503 => "SlowDown",
        _ => "InternalError",
    };
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>by the test</Message></Error>");
    let mut answer = Response::new(Full::new(Bytes::from(text)).map_err(never).boxed());
    *answer.status_mut() = status;
    answer
}

fn kind(request: &Request<Incoming>) -> Kind {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|part| part.split('=').next() == Some(name));
    let method = request.method();
    if *method == Method::PUT {
        Kind::Write
    } else if *method == Method::POST {
        match (has("uploads"), has("delete")) {
            (true, _) => Kind::Begin,
            (_, true) => Kind::Remove,
            (false, false) => Kind::Complete,
        }
    } else if *method == Method::DELETE {
        if has("uploadId") { Kind::Abort } else { Kind::Remove }
    } else if has("list-type") {
        Kind::List
    } else {
        Kind::Read
    }
}
