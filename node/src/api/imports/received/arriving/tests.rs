use std::convert::Infallible;

use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::query::Role;
use concordat_protocol::time::Timestamp;
use concordat_storage::meta::SealedDb;
use futures::stream;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::iam::{Accounts, Login};

const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// Long enough for a busy machine to deliver what is ready.
const SHORT: Duration = Duration::from_millis(500);

struct Fixture {
    accounts: Accounts,
    sessions: Sessions,
    clock: Clock,
    login: Login,
    _dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cost = Argon2Cost::dangerous_minimum();
        let source = Passphrase::new(Secret::from("p".to_owned()), cost);
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        let db = SealedDb::open(&dir.path().join("meta"), master.state()).unwrap();
        let accounts = Accounts::open(&db, "budapest".parse().unwrap(), cost).unwrap();
        let password = Secret::from("correct horse battery".to_owned());
        accounts.add("eva", [Role::Steward].into(), &password, NOON).unwrap();
        let sessions = Sessions::new(accounts.clone());
        let login = sessions.login("eva", &password, NOON).unwrap();
        Self {
            accounts,
            sessions,
            clock: Clock::still(NOON),
            login,
            _dir: dir,
        }
    }

    fn arriving<S>(&self, chunks: S) -> Arriving<'_, S>
    where
        S: Stream<Item = Result<Bytes, Infallible>> + Unpin,
    {
        Arriving::of(chunks, &self.login.actor, (&self.sessions, &self.clock))
    }

    fn disable(&self) {
        self.accounts.make(self.accounts.disabled("eva").unwrap()).unwrap();
    }
}

fn chunk(bytes: usize) -> Result<Bytes, Infallible> {
    Ok(Bytes::from(vec![b'x'; bytes]))
}

#[tokio::test]
async fn upload_that_hardly_arrives_is_refused() {
    let fixture = Fixture::new();
    let drops = stream::unfold((), |()| async {
        sleep(SHORT / 10).await;
        Some((chunk(1), ()))
    });
    let mut body = fixture.arriving(Box::pin(drops));
    body.pace = Pace::start(SHORT);
    let refused = async {
        loop {
            if let Err(problem) = body.next().await {
                break problem;
            }
        }
    };
    let refused = timeout(Duration::from_secs(20), refused)
        .await
        .expect("it does not wait");
    assert_eq!(refused.code, ErrorKind::Usage);
    assert!(refused.detail.contains("too slowly"), "{}", refused.detail);
}

#[tokio::test]
async fn upload_that_arrives_steadily_takes_as_long_as_it_needs() {
    let fixture = Fixture::new();
    let parts = stream::iter(0..4).then(|_| async {
        sleep(SHORT / 2).await;
        chunk(MIN_BYTES)
    });
    let mut body = fixture.arriving(Box::pin(parts));
    body.pace = Pace::start(SHORT);
    let mut received = 0;
    while let Some(part) = body.next().await.unwrap() {
        received += part.len();
    }
    assert_eq!(received, 4 * MIN_BYTES);
}

#[tokio::test]
async fn upload_of_a_disabled_account_ends_with_its_next_part() {
    let fixture = Fixture::new();
    let mut body = fixture.arriving(stream::iter([chunk(1), chunk(1), chunk(1)]));
    fixture.clock.advance(1_000);
    assert!(body.next().await.unwrap().is_some());
    fixture.disable();
    fixture.clock.advance(1_000);
    assert_eq!(body.next().await.unwrap_err().code, ErrorKind::Locked);
}

#[tokio::test]
async fn upload_of_hours_is_use_of_its_session() {
    let fixture = Fixture::new();
    let mut body = fixture.arriving(stream::iter((0..12).map(|_| chunk(1))));
    for _ in 0..12 {
        fixture.clock.advance(10 * 60 * 1_000);
        assert!(body.next().await.unwrap().is_some());
    }
    let token = &fixture.login.token;
    fixture.sessions.lookup(token, fixture.clock.now()).unwrap();
}
