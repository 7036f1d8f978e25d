//! A process of the machine that keeps connections at the socket of a node's API, or bodies of requests, and has no session.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use concordat_tests::TestNode;
use concordat_tests::slots::Slots;

use super::logins::peak_memory_kb;

/// More than one account may have.
const CONNECTIONS: usize = 400;
/// What one account may have.
const MAX_OPEN: usize = 256;
/// Until connections that are refused were closed.
const REFUSED: Duration = Duration::from_secs(3);
/// How long the node keeps a connection without a request, and longer.
const ENDED: Duration = Duration::from_secs(60);
/// How often something is tried that is awaited.
const INTERVAL: Duration = Duration::from_millis(100);
/// Most memory, with bodies of which the last byte is held back.
const MAX_GROWTH_KB: u64 = 128 * 1024;

fn connect(node: &TestNode, sent: &str) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(node.dir.join("run/api.sock"))?;
    stream.set_read_timeout(Some(ENDED))?;
    stream.write_all(sent.as_bytes())?;
    Ok(stream)
}

/// What is returned until the connection is closed; it may be closed without an answer.
fn answer(node: &TestNode, request: &str) -> String {
    let mut received = Vec::new();
    if let Ok(mut stream) = connect(node, request) {
        let _closed = stream.read_to_end(&mut received);
    }
    String::from_utf8_lossy(&received).into_owned()
}

/// Waits until there is a value.
fn until<T>(what: &str, mut value: impl FnMut() -> Option<T>) -> T {
    for _ in 0..ENDED.as_millis() / INTERVAL.as_millis() {
        if let Some(value) = value() {
            return value;
        }
        thread::sleep(INTERVAL);
    }
    panic!("{what} in vain");
}

/// Sends a request again and again until its answer begins like this.
fn await_answer(node: &TestNode, request: &str, head: &str) -> String {
    until("an answer is awaited", || {
        Some(answer(node, request)).filter(|answer| answer.starts_with(head))
    })
}

/// How many of the connections the node has not closed. It has sent nothing on them.
fn open(held: &[io::Result<UnixStream>]) -> usize {
    let is_open = |mut stream: &UnixStream| {
        stream.set_nonblocking(true).unwrap();
        match stream.read(&mut [0]) {
            Ok(bytes) => bytes > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    };
    held.iter().flatten().filter(|stream| is_open(stream)).count()
}

#[test]
fn connections_without_a_request_are_few_and_end() {
    const WHOLE: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let mut node = TestNode::create("zurich", "CH", dir.path().join("zurich"));
    // One that has sent a request and could send another, and many that send the beginning of one.
    let mut kept = connect(&node, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0; 12];
    kept.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let held: Vec<_> = (0..CONNECTIONS)
        .map(|_| connect(&node, "GET /healthz HTTP/1.1\r\nHost: x\r\n"))
        .collect();
    thread::sleep(REFUSED);
    assert!((1..=MAX_OPEN).contains(&open(&held)), "{}", open(&held));
    let refused = await_answer(&node, WHOLE, "HTTP/1.1 503");
    assert!(refused.contains("the maximum number of connections"), "{refused}");
    // They do not have to be closed by their client.
    await_answer(&node, WHOLE, "HTTP/1.1 200");
    let mut rest = Vec::new();
    kept.read_to_end(&mut rest).expect("it is closed in time");
    until("the end of the others is awaited", || (open(&held) == 0).then_some(()));
    drop(held);
    // Neither do they delay a stop.
    let _last = connect(&node, "GET /healthz HTTP/1.1\r\nHost: x\r\n").unwrap();
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn login_bodies_that_are_held_back_take_little_memory() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let node = TestNode::create("zurich", "CH", dir.path().join("zurich"));
    let head = |length: usize| {
        format!(
            "POST /v1/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let before = peak_memory_kb(&node);
    // One that is too long for a login is refused before it is read.
    let long = answer(&node, &head(4 << 20));
    assert!(
        long.starts_with("HTTP/1.1 400") && long.contains("4096 bytes"),
        "{long}"
    );
    // Without a length, it is refused once it is too long.
    let chunk = "x".repeat(64 << 10);
    let streamed = format!(
        "POST /v1/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         10000\r\n{chunk}\r\n"
    );
    let streamed = answer(&node, &streamed);
    assert!(streamed.starts_with("HTTP/1.1 400"), "{streamed}");
    let one_short = format!("{}{}", head(4096), " ".repeat(4095));
    let held: Vec<_> = (0..200).map(|_| connect(&node, &one_short)).collect();
    let growth = peak_memory_kb(&node).saturating_sub(before);
    assert!(growth < MAX_GROWTH_KB, "{growth} kB");
    let wrong = node.http(
        "POST",
        "/v1/login",
        None,
        r#"{"name":"unknown","password":"wrong wrong"}"#,
    );
    assert!(wrong.starts_with("HTTP/1.1 401"), "{wrong}");
    drop(held);
}
