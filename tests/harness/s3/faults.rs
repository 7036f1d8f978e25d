//! What can go wrong between a node and its store.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use s3s::service::S3Service;

type Body = BoxBody<Bytes, Gone>;

/// The connection breaks off.
#[derive(Debug)]
pub(super) struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection breaks off")
    }
}

impl std::error::Error for Gone {}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server answers with this status and does nothing.
    Error(u16),
    /// The connection breaks off in the middle of the question, and the server does nothing.
    CutQuestion,
    /// The server does what it was asked, and the connection breaks off in the middle of the answer.
    CutAnswer,
    /// The server does what it was asked, and the answer is lost.
    LoseAnswer,
    /// The server waits before it does what it was asked.
    Wait(Duration),
    /// The listing is the one that was answered the last time before the rule was made.
    OldListing,
    /// The answer is bytes without end.
    Flood,
    /// The answer has one tag of many attributes.
    WideTag,
}

/// What kind of request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads an object, or asks for its length.
    Read,
    /// Lists.
    List,
    /// Writes an object in one piece, or a part of one.
    Write,
    /// Begins an object of several parts.
    Begin,
    /// Completes one.
    Complete,
    /// Gives one up.
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
    /// What goes wrong.
    pub fault: Fault,
    /// For which kinds; for all if none is named.
    pub kinds: Vec<Kind>,
    /// Which of them.
    which: Which,
    /// How many of them were seen.
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

    fn strikes(&mut self) -> bool {
        self.seen += 1;
        match self.which {
            Which::Every(number) => self.seen.is_multiple_of(number),
            Which::Once(number) => self.seen == number,
        }
    }
}

/// The layer before the server.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<Rule>>,
    /// The last answer to each listing.
    listings: Mutex<HashMap<String, Bytes>>,
    asked: Mutex<Vec<Kind>>,
    struck: AtomicBool,
}

impl Faults {
    /// From now on this goes wrong, and nothing else.
    pub fn set(&self, rules: impl IntoIterator<Item = Rule>) {
        *self.rules.lock().unwrap() = rules.into_iter().collect();
        self.asked.lock().unwrap().clear();
        self.struck.store(false, Ordering::SeqCst);
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        self.set([]);
    }

    /// How many requests of a kind came since the rules were set.
    pub fn asked(&self, kind: Kind) -> usize {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|asked| **asked == kind)
            .count()
    }

    /// Whether anything went wrong since the rules were set.
    pub fn struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    fn next(&self, kind: Kind) -> Option<Fault> {
        self.asked.lock().unwrap().push(kind);
        let mut rules = self.rules.lock().unwrap();
        let meant = rules
            .iter_mut()
            .filter(|rule| rule.kinds.is_empty() || rule.kinds.contains(&kind));
        let mut fault = None;
        for rule in meant {
            if rule.strikes() {
                fault = fault.or(Some(rule.fault));
            }
        }
        self.struck.fetch_or(fault.is_some(), Ordering::SeqCst);
        fault
    }

    /// Answers one request, or ends its connection.
    pub(super) async fn answer(&self, server: &S3Service, request: Request<Incoming>) -> Result<Response<Body>, Gone> {
        let kind = kind(&request);
        let fault = self.next(kind);
        let (head, mut body) = request.into_parts();
        match fault {
            Some(Fault::Error(status)) => {
                body.collect().await.map_err(|_| Gone)?;
                return Ok(refusal(status));
            }
            Some(Fault::CutQuestion) => {
                body.frame().await;
                return Err(Gone);
            }
            Some(Fault::Wait(time)) => tokio::time::sleep(time).await,
            Some(Fault::WideTag) => {
                body.collect().await.map_err(|_| Gone)?;
                return Ok(wide_tag());
            }
            Some(Fault::Flood | Fault::CutAnswer | Fault::LoseAnswer | Fault::OldListing) | None => {}
        }
        let uri = head.uri.to_string();
        let body = body.collect().await.map_err(|_| Gone)?.to_bytes();
        let asked = Request::from_parts(head, s3s::Body::from(body));
        let (head, body) = server.call(asked).await.map_err(|_| Gone)?.into_parts();
        let mut body = body.collect().await.map_err(|_| Gone)?.to_bytes();
        if kind == Kind::List {
            let mut listings = self.listings.lock().unwrap();
            match listings.get(&uri) {
                Some(old) if fault == Some(Fault::OldListing) => body = old.clone(),
                _ => drop(listings.insert(uri, body.clone())),
            }
        }
        let mut answer = Response::from_parts(head, Full::new(body.clone()).map_err(never).boxed());
        match fault {
            Some(Fault::LoseAnswer) => return Err(Gone),
            Some(Fault::CutAnswer) if body.len() > 1 => {
                let half = body.slice(..body.len() / 2);
                let pieces = [Ok(Frame::data(half)), Err(Gone)];
                answer.headers_mut().insert("content-length", body.len().into());
                *answer.body_mut() = BodyExt::boxed(StreamBody::new(futures::stream::iter(pieces)));
            }
            Some(Fault::OldListing) => drop(answer.headers_mut().remove("content-length")),
            Some(Fault::Flood) => {
                let chunk = Bytes::from(vec![b' '; 1 << 20]);
                let endless = futures::stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
                answer.headers_mut().insert("content-length", (1_u64 << 40).into());
                *answer.body_mut() = BodyExt::boxed(StreamBody::new(endless));
            }
            Some(Fault::CutAnswer | Fault::Error(_) | Fault::CutQuestion | Fault::Wait(_) | Fault::WideTag) | None => {}
        }
        Ok(answer)
    }
}

fn never(error: Infallible) -> Gone {
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
    let asks = |word: &str| query.split('&').any(|part| part.split('=').next() == Some(word));
    let method = request.method();
    if *method == Method::PUT {
        Kind::Write
    } else if *method == Method::POST {
        match (asks("uploads"), asks("delete")) {
            (true, _) => Kind::Begin,
            (_, true) => Kind::Remove,
            (false, false) => Kind::Complete,
        }
    } else if *method == Method::DELETE {
        if asks("uploadId") { Kind::Abort } else { Kind::Remove }
    } else if asks("list-type") {
        Kind::List
    } else {
        Kind::Read
    }
}
