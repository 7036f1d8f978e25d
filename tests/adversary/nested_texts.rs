//! People of an institution who send their own node texts that a parser reads, or work that it does not end.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use concordat_tests::slots::Slots;
use concordat_tests::{PASSWORD, Person, TestNode};
use serde_json::{Value, json};
use tokio::time::Instant;

/// A policy check of one rule takes seconds, and one of a colleague's requests milliseconds.
const COLLEAGUE: Duration = Duration::from_secs(20);
/// The deadline of a text is five seconds, and `why` reads one three times.
const READING: Duration = Duration::from_secs(60);
/// Requests that one person sends at the same time.
const MANY: usize = 300;
/// More threads than a node has that does all it may do at the same time, without those that are idle for ten seconds.
const MAX_THREADS: usize = 80;

fn node(dir: &tempfile::TempDir) -> TestNode {
    let node = TestNode::create("zurich", "CH", dir.path().join("zurich"));
    node.create_users();
    node
}

fn post(node: &TestNode, token: &str, path: &str, body: &Value) -> String {
    node.http("POST", path, Some(token), &body.to_string())
}

fn is_refused(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 4")
}

/// A set of one rule with this condition.
fn policy(condition: &str) -> Value {
    let text = format!(
        "@id(\"r0\")@reason(\"a\")@remedy(\"b\")permit(principal,action==Action::\"reveal-clear\",resource)when{{{condition}}};"
    );
    json!({ "files": [{ "name": "a.cedar", "text": text }] })
}

#[test]
fn text_that_nests_deeply_does_not_end_the_node() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(&dir);
    let token = node.session_token(Person::Researcher);
    let nested = |unit: &str, close: &str, count: usize| unit.repeat(count) + "true" + &close.repeat(count);
    for condition in [
        nested("(", ")", 1000),
        nested("(", ")", 50_000),
        nested("[", "]", 20_000),
        nested("if true then true else ", "", 5_000),
        nested("true || ", "", 20_000),
        nested("!", "", 50_000),
        "context".to_owned() + &".a".repeat(50_000),
    ] {
        let sources = policy(&condition);
        assert!(is_refused(&post(&node, &token, "/v1/policy/check", &sources)));
        let test = json!({ "sources": sources, "cases": [] });
        assert!(is_refused(&post(&node, &token, "/v1/policy/test", &test)));
        let sets = json!({ "from": "current", "to": { "sources": sources } });
        assert!(is_refused(&post(&node, &token, "/v1/policy/diff", &sets)));
        assert!(node.is_running());
    }
    for sql in [
        "SELECT * FROM budapest.heart MATCH_RECOGNIZE(PATTERN ".to_owned() + &"(".repeat(20_000),
        "SELECT ".to_owned() + &"INTERVAL ".repeat(7_000),
        "SELECT ".to_owned() + &"INTERVAL ".repeat(40),
        "SELECT 1".to_owned() + &" + 1".repeat(16_000),
        "SELECT CAST(sex AS ".to_owned() + &"STRUCT<INT,".repeat(5_800),
        "SELECT ".to_owned() + &"END = SUBSTRING ( ".repeat(40),
        "SELECT CAST(sex AS ".to_owned() + &"MAP<INT,".repeat(7_800),
        "SELECT CAST(sex AS ".to_owned() + &("STRUCT<INT,".to_owned() + &"ARRAY<".repeat(14)).repeat(600),
    ] {
        let answer = post(&node, &token, "/v1/query", &json!({ "sql": sql }));
        assert!(is_refused(&answer) && answer.contains("cannot be read"), "{answer}");
        let why = json!({ "subject": sql });
        assert!(post(&node, &token, "/v1/why", &why).starts_with("HTTP/1.1 "));
        assert!(node.is_running());
    }
}

/// Words that close what was never opened, and calls that the parser reads a second way where it fails: each of these takes it twice as long
/// as the one before, so that forty take years.
const ENDLESS: [&str; 3] = ["END = SUBSTRING ( ", "END = CEIL ( ", "NOT END = OVERLAY ( "];

/// No bound foresees each text, so none is read in the process of the node, and none longer than some seconds.
#[test]
fn text_that_is_read_for_ever_is_an_error_of_one_query() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(&dir);
    let researcher = node.session_token(Person::Researcher);
    let steward = node.session_token(Person::Steward);
    thread::scope(|scope| {
        scope.spawn(|| ENDLESS.iter().for_each(|unit| requests_with(&node, &researcher, unit)));
        scope.spawn(|| ENDLESS.iter().for_each(|unit| offers_with(&node, &steward, unit)));
        // Neither the other people nor the node wait for them.
        for _ in 0..20 {
            let began = Instant::now();
            assert!(node.http_get("/healthz").starts_with("HTTP/1.1 200"));
            assert!(began.elapsed() < COLLEAGUE, "{:?}", began.elapsed());
            thread::sleep(Duration::from_millis(500));
        }
    });
    assert_reads(&node, &researcher);
    assert!(node.is_running());
}

/// Pairs and triples of words and signs, which close or begin what the bounds on tokens count, or count as something else.
const REPEATED: [&str; 14] = [
    "CASE END ( ",
    "WHEN END = TRIM ( ",
    "END , CAST ( ",
    "INTERVAL END ( ",
    "EXISTS END ( ",
    "IN ( END ",
    "OVER ( END ",
    "EXTRACT ( END ",
    "END [ POSITION ( ",
    "ARRAY [ END ( ",
    "NOT BETWEEN ( ",
    "STRUCT < INT , MAP < ",
    "CAST ( END AS STRUCT < ",
    "CASE WHEN END = SUBSTRING ( ",
];

#[test]
fn text_of_repeated_words_is_answered_within_its_deadline() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(&dir);
    let token = node.session_token(Person::Researcher);
    for unit in REPEATED {
        for count in [40, 4_000] {
            let sql = format!("SELECT {}", unit.repeat(count.min(60_000 / unit.len())));
            let began = Instant::now();
            let answer = post(&node, &token, "/v1/query", &json!({ "sql": sql }));
            assert!(
                is_refused(&answer) && (answer.contains("cannot be read") || answer.contains("nested too deeply")),
                "{unit}: {answer}"
            );
            assert!(began.elapsed() < COLLEAGUE, "{unit}: {:?}", began.elapsed());
        }
    }
    assert_reads(&node, &token);
    assert!(node.is_running());
}

/// What a researcher can send with a text.
fn requests_with(node: &TestNode, token: &str, unit: &str) {
    let sql = format!("SELECT {}", unit.repeat(40));
    let condition = format!("chol = {}", unit.repeat(40));
    let terms = json!({ "where": condition, "purposes": ["health-research"], "until": "2099-06-30" });
    let target = json!({ "institution": "cleveland", "dataset": "heart" });
    for (path, body) in [
        ("/v1/query", json!({ "sql": sql })),
        ("/v1/query/estimate", json!({ "sql": sql })),
        ("/v1/grants/request", json!({ "dataset": target, "request": terms })),
    ] {
        assert_not_read(node, token, path, &body);
    }
    let began = Instant::now();
    let why = post(node, token, "/v1/why", &json!({ "subject": sql }));
    assert!(why.contains("cannot be read"), "{why}");
    assert!(began.elapsed() < READING, "{:?}", began.elapsed());
    assert_reads(node, token);
}

/// What a steward can send with one.
fn offers_with(node: &TestNode, token: &str, unit: &str) {
    let condition = format!("chol = {}", unit.repeat(40));
    let offer = format!("/v1/grants/{}/offer", "00".repeat(16));
    assert_not_read(node, token, &offer, &json!({ "where": condition }));
}

fn assert_not_read(node: &TestNode, token: &str, path: &str, body: &Value) {
    let began = Instant::now();
    let answer = post(node, token, path, body);
    let is_not_read = answer.contains("cannot be read") || answer.contains("nested too deeply");
    assert!(is_refused(&answer) && is_not_read, "{path}: {answer}");
    assert!(began.elapsed() < READING, "{path}: {:?}", began.elapsed());
}

/// The permits of the person are free: the next text is read at once.
fn assert_reads(node: &TestNode, token: &str) {
    let began = Instant::now();
    let answer = post(node, token, "/v1/query", &json!({ "sql": "SELECT age FROM heart" }));
    assert!(answer.contains("does not name an institution"), "{answer}");
    assert!(began.elapsed() < COLLEAGUE, "{:?}", began.elapsed());
}

#[test]
fn process_that_ends_while_it_reads_is_an_error_of_one_text() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir);
    let token = node.session_token(Person::Researcher);
    let sql = format!("SELECT {}", ENDLESS[0].repeat(40));
    let answer = thread::scope(|scope| {
        let answer = scope.spawn(|| post(&node, &token, "/v1/query", &json!({ "sql": sql })));
        while !answer.is_finished() {
            // Also the process that waits for the next query ends.
            for id in engines(&node) {
                let _ = Command::new("kill").args(["-KILL", &id]).status();
            }
            thread::sleep(Duration::from_millis(200));
        }
        answer.join().unwrap()
    });
    assert!(is_refused(&answer) && answer.contains("cannot be read"), "{answer}");
    assert_reads(&node, &token);
}

/// The engine processes of the node.
fn engines(node: &TestNode) -> Vec<String> {
    let parent = format!("PPid:\t{}\n", node.pid());
    let found = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let command = std::fs::read_to_string(path.join("cmdline")).ok()?;
        let status = std::fs::read_to_string(path.join("status")).ok()?;
        let id = path.file_name()?.to_str()?.to_owned();
        (command.contains("engine-worker") && status.contains(&parent)).then_some(id)
    });
    found.collect()
}

#[test]
fn checks_of_one_person_do_not_stop_the_others() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let mut node = node(&dir);
    let token = node.session_token(Person::Researcher);
    let other = node.session_token(Person::Steward);
    let sources = policy("true");
    let body = sources.to_string();
    let head = format!(
        "POST /v1/policy/check HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    // None of them waits for its answer.
    for _ in 0..MANY {
        let mut socket = UnixStream::connect(node.dir.join("run/api.sock")).expect("the socket answers");
        socket.write_all(head.as_bytes()).expect("the head is sent");
        socket.write_all(body.as_bytes()).expect("the body is sent");
    }
    // Three of these run, twelve wait, and the others are refused at once.
    let answers: Vec<String> = thread::scope(|scope| {
        let sent = (0..30).map(|_| scope.spawn(|| post(&node, &token, "/v1/policy/check", &sources)));
        let sent: Vec<_> = sent.collect();
        let began = Instant::now();
        let answer = node.http("GET", "/v1/whoami", Some(&other), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(began.elapsed() < COLLEAGUE, "{:?}", began.elapsed());
        sent.into_iter().map(|answer| answer.join().unwrap()).collect()
    });
    let refused = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 503"));
    assert!(refused.count() >= 9, "{answers:?}");
    node.await_condition("the threads of those who left are free", |node| {
        threads(node) < MAX_THREADS
    });
    assert!(node.is_running());
}

fn threads(node: &TestNode) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", node.pid())).unwrap().count()
}

#[test]
fn grant_is_not_shown_to_people_without_a_role_for_it() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir);
    node.add_user("cora", "coordinator");
    let login = json!({ "name": "cora", "password": PASSWORD });
    let answer = node.http("POST", "/v1/login", None, &login.to_string());
    let (_, rest) = answer.split_once("\"token\":\"").expect("a token");
    let token = rest.split('"').next().expect("its end");
    let unknown = format!("/v1/grants/{}/reject", "00".repeat(16));
    let body = json!({ "reason": "it is not needed" });
    let answer = post(&node, token, &unknown, &body);
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let of_researcher = post(&node, &node.session_token(Person::Researcher), &unknown, &body);
    assert!(of_researcher.starts_with("HTTP/1.1 404"), "{of_researcher}");
}
