//! A person who requests documents and does not read them, so that they wait in the memory of the node.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use concordat_tests::slots::Slots;
use concordat_tests::{Person, TestNode};

/// The longest document that every node has.
const PATH: &str = "/v1/openapi.json";
/// Requests on one connection: more than the buffers of a socket contain of their answers.
const REQUESTS: usize = 40;
/// Connections of one person: three could have a running request, and the others wait.
const CONNECTIONS: usize = 10;
/// Longer than the node needs for one document.
const LONG: Duration = Duration::from_secs(5);
/// How long an answer may take at most.
const ANSWERED: Duration = Duration::from_secs(60);

fn request(token: &str) -> String {
    format!("GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// A connection with requests whose answers no one reads.
fn unread(node: &TestNode, token: &str) -> UnixStream {
    let mut stream = UnixStream::connect(node.dir.join("run/api.sock")).unwrap();
    stream.set_write_timeout(Some(ANSWERED)).unwrap();
    stream.write_all(request(token).repeat(REQUESTS).as_bytes()).unwrap();
    stream
}

/// The first line of the answer to one request; `None` if it does not come in this time.
fn head_within(node: &TestNode, token: &str, time: Duration) -> Option<String> {
    let mut stream = UnixStream::connect(node.dir.join("run/api.sock")).unwrap();
    stream.set_read_timeout(Some(time)).unwrap();
    stream.write_all(request(token).as_bytes()).unwrap();
    let mut head = [0; 12];
    match stream.read_exact(&mut head) {
        Ok(()) => Some(String::from_utf8_lossy(&head).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn answers_that_are_not_read_count_as_running_requests() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let node = TestNode::create("zurich", "CH", dir.path().join("zurich"));
    node.create_users();
    let token = node.session_token(Person::Researcher);
    let colleague = node.session_token(Person::Steward);
    let held: Vec<_> = (0..CONNECTIONS).map(|_| unread(&node, &token)).collect();
    node.await_condition("the answers of the person take all permits", |node| {
        head_within(node, &token, LONG).is_none()
    });
    let answered = head_within(&node, &colleague, ANSWERED);
    assert_eq!(answered.as_deref(), Some("HTTP/1.1 200"));
    drop(held);
    node.await_condition("the permits end with the connections", |node| {
        head_within(node, &token, LONG).is_some_and(|head| head.ends_with("200"))
    });
}
