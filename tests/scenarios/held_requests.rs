//! Requests whose body is held back: until the account behind them was disabled or has another password, or to use up the node's threads.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use concordat_tests::{PASSWORD, Person, TestNode, World};
use serde_json::Value;

const JSON: &str = "application/json";
const UPLOAD: &str = "application/vnd.concordat.import";
/// Until the node has read the head of a request; it needs milliseconds.
const ARRIVAL: Duration = Duration::from_millis(500);

/// A request of which the head and one byte of the body were sent.
struct HeldRequest {
    socket: UnixStream,
    rest: Vec<u8>,
}

impl HeldRequest {
    fn begin(node: &TestNode, path: &str, token: &str, (media, body): (&str, &str)) -> Self {
        let mut socket = UnixStream::connect(node.dir.join("run/api.sock")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Type: {media}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let (first, rest) = body.as_bytes().split_at(1);
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(first).unwrap();
        std::thread::sleep(ARRIVAL);
        Self {
            socket,
            rest: rest.to_vec(),
        }
    }

    /// Sends the rest and returns the response.
    fn complete(mut self) -> String {
        // The node may have closed the connection.
        let _ = self.socket.write_all(&self.rest);
        let mut answer = Vec::new();
        let _ = self.socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn token_of(node: &TestNode, name: &str) -> String {
    let login = format!("{{\"name\":\"{name}\",\"password\":\"{PASSWORD}\"}}");
    let answer = node.http("POST", "/v1/login", None, &login);
    let (_, rest) = answer.split_once("\"token\":\"").expect("a token");
    rest.split('"').next().expect("its end").to_owned()
}

fn import(name: &str) -> String {
    format!(
        "{{\"name\":\"{name}.csv\",\"mode\":\"create\",\"reading\":{{\"each_row_is_a_subject\":true}}}}\nid,age\n1,41\n"
    )
}

#[test]
fn held_requests_of_a_disabled_account_change_nothing() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    node.add_user("mallory", "administrator");
    let own = token_of(node, "mallory");
    let account = format!("{{\"name\":\"eve\",\"roles\":[\"administrator\"],\"password\":\"{PASSWORD} too\"}}");
    let access = "{\"enabled\":true}";
    let held = [
        HeldRequest::begin(node, "/v1/users", &own, (JSON, account.as_str())),
        HeldRequest::begin(node, "/v1/users/mallory/access", &own, (JSON, access)),
    ];
    let steward = node.session_token(Person::Steward);
    let file = import("heart");
    let upload = HeldRequest::begin(node, "/v1/datasets/heart/import", &steward, (UPLOAD, file.as_str()));
    let researcher = node.session_token(Person::Researcher);
    let sql = "{\"sql\":\"SELECT 1 FROM cleveland.heart\",\"purpose\":null,\"allow_partial\":false}";
    let query = HeldRequest::begin(node, "/v1/query", &researcher, (JSON, sql));

    for name in ["mallory", Person::Steward.name(), Person::Researcher.name()] {
        node.run_as(Person::Administrator, &["user", "disable", name]).ok();
    }
    for request in held.into_iter().chain([upload, query]) {
        let answer = request.complete();
        assert!(answer.contains("\"code\":\"locked\""), "{answer}");
    }
    let users = node.json_as(Person::Administrator, &["user", "list"]);
    let users = users.as_array().expect("a list");
    let found = |name: &str| users.iter().find(|user| user["name"] == name);
    assert_eq!(found("eve"), None);
    assert_eq!(found("mallory").map(|user| &user["disabled"]), Some(&Value::Bool(true)));
    node.run(&["user", "enable", Person::Steward.name()]).ok();
    let datasets = node.json_as(Person::Steward, &["dataset", "list"]);
    assert_eq!(datasets.as_array().map(Vec::len), Some(0), "{datasets}");
}

#[test]
fn held_change_of_a_password_does_not_undo_its_reset() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    let own = node.session_token(Person::Researcher);
    let change = format!("{{\"current\":\"{PASSWORD}\",\"password\":\"known to a thief\"}}");
    let held = HeldRequest::begin(node, "/v1/password", &own, (JSON, change.as_str()));
    let name = Person::Researcher.name();
    node.log_in(Person::Administrator);
    node.run_with_input(&["user", "password", name], Some("given by the administrator"))
        .ok();
    let answer = held.complete();
    assert!(answer.contains("\"code\":\"locked\""), "{answer}");
    node.forget_login();
    node.run_with_input(&["login", name], Some("given by the administrator"))
        .ok();
}

/// An inspection of which the line of JSON was sent, and the first line of the file.
fn held_upload(node: &TestNode, token: &str) -> UnixStream {
    let mut socket = UnixStream::connect(node.dir.join("run/api.sock")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!(
        "POST /v1/imports/inspect HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: {UPLOAD}\r\nContent-Length: 1000000\r\n\r\n{{\"name\":\"heart.csv\",\"reading\":{{}}}}\nid,age\n"
    );
    socket.write_all(request.as_bytes()).unwrap();
    socket
}

#[test]
fn held_uploads_of_one_account_leave_the_node_answering() {
    let world = World::unconnected(1);
    let node = &world.nodes[0];
    node.create_users();
    let token = node.session_token(Person::Steward);
    let held: Vec<_> = (0..4).map(|_| held_upload(node, &token)).collect();
    std::thread::sleep(ARRIVAL);
    // More than the threads that a runtime has.
    for _ in 0..600 {
        let mut answer = Vec::new();
        // The node closes the connection with bytes unread.
        let _ = held_upload(node, &token).read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("wait until one of them has ended"), "{answer}");
    }
    for (path, session) in [("/healthz", None), ("/v1/grants", Some(token.as_str()))] {
        let answer = node.http("GET", path, session, "");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    token_of(node, Person::Researcher.name());
    drop(held);
    let released = (0..40).any(|_| {
        std::thread::sleep(ARRIVAL);
        let answer = node.http("GET", "/v1/imports/inspect", Some(&token), "");
        answer.starts_with("HTTP/1.1 200 ")
    });
    assert!(released, "the permits are held");
}
