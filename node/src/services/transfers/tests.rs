use super::*;

/// Longer than a busy machine needs for what is ready.
const LIMIT: Duration = Duration::from_secs(20);

fn person(name: &str) -> ActorId {
    format!("{name}@budapest").parse().unwrap()
}

fn fill(transfers: &Transfers, name: &str) -> Vec<TransferPermit> {
    let own = (0..LIMITS.account).map(|_| transfers.begin(&person(name)).unwrap());
    own.collect()
}

fn delivery(values: mpsc::Sender<u8>, left: Duration, check: Check) -> Delivery<u8> {
    Delivery {
        values: Some(values),
        check,
        check_interval: Duration::from_millis(20),
        left,
    }
}

/// Sends two values, of which the second has no space, and returns the end of both attempts.
async fn send_two(mut delivery: Delivery<u8>) -> [Result<(), Undelivered>; 2] {
    let sending = tokio::task::spawn_blocking(move || [delivery.send(1), delivery.send(2)]);
    timeout(LIMIT, sending).await.expect("it ends in time").unwrap()
}

fn is_problem(sent: &Result<(), Undelivered>, code: ErrorKind) -> bool {
    matches!(sent, Err(Undelivered::Problem(problem)) if problem.code == code)
}

#[test]
fn transfers_of_one_account_are_limited() {
    let transfers = Transfers::default();
    let mut held = fill(&transfers, "eva");
    let refused = transfers.begin(&person("eva")).unwrap_err();
    assert_eq!(refused.code, ErrorKind::Unreachable);
    assert!(refused.help.is_some(), "{refused:?}");
    transfers.begin(&person("pal")).unwrap();
    held.pop();
    transfers.begin(&person("eva")).unwrap();
}

#[test]
fn transfers_of_all_accounts_are_limited() {
    let transfers = Transfers::default();
    let mut held: Vec<_> = (0..LIMITS.all / LIMITS.account)
        .flat_map(|n| fill(&transfers, &format!("p{n}")))
        .collect();
    assert_eq!(held.len(), LIMITS.all);
    let refused = transfers.begin(&person("eva")).unwrap_err();
    assert_eq!(refused.code, ErrorKind::Unreachable);
    held.pop();
    transfers.begin(&person("eva")).unwrap();
}

#[tokio::test]
async fn transfer_permit_is_held_until_the_work_ends() {
    let transfers = Transfers::default();
    let permit = transfers.begin(&person("eva")).unwrap();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let working = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        ended.recv().ok();
    });
    assert_eq!(transfers.0.accounts(), 1);
    end.send(()).unwrap();
    working.await.unwrap();
    assert_eq!(transfers.0.accounts(), 0);
}

#[tokio::test]
async fn delivery_to_a_client_that_does_not_read_ends() {
    let (values, _unread) = mpsc::channel(1);
    let delivery = delivery(values, Duration::from_millis(100), Box::new(|| Ok(())));
    let [first, second] = send_two(delivery).await;
    assert!(first.is_ok());
    assert!(is_problem(&second, ErrorKind::Usage), "{second:?}");
}

#[tokio::test]
async fn delivery_to_an_account_that_ended_ends() {
    let (values, _unread) = mpsc::channel(1);
    let delivery = delivery(values, LIMIT * 100, Box::new(|| Err(IamError::NotLoggedIn)));
    let [first, second] = send_two(delivery).await;
    assert!(first.is_ok());
    assert!(is_problem(&second, ErrorKind::Locked), "{second:?}");
}

/// Each value is read before its own time is over.
#[tokio::test]
async fn delivery_waits_a_limited_time_for_all_values() {
    let (values, mut read) = mpsc::channel(1);
    let mut delivery = delivery(values, Duration::from_millis(500), Box::new(|| Ok(())));
    let sending = tokio::task::spawn_blocking(move || (0..100).map(|n| delivery.send(n)).find(Result::is_err));
    let reading = async {
        while read.recv().await.is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LIMIT, reading).await.expect("it ends in time");
    let ended = sending.await.unwrap().expect("it does not deliver all values");
    assert!(is_problem(&ended, ErrorKind::Usage), "{ended:?}");
}

#[tokio::test]
async fn delivery_that_ended_does_not_wait_again() {
    let (values, mut read) = mpsc::channel(1);
    let mut delivery = delivery(values, Duration::from_millis(40), Box::new(|| Ok(())));
    let sending = tokio::task::spawn_blocking(move || {
        let ends = [delivery.send(1), delivery.send(2)];
        (ends, delivery)
    });
    let ([_, second], mut delivery) = timeout(LIMIT, sending).await.expect("it ends in time").unwrap();
    assert!(second.is_err());
    assert_eq!(read.recv().await, Some(1));
    let end = timeout(LIMIT, read.recv()).await.expect("the report ends");
    assert_eq!(end, None);
    delivery.restart();
    let third = tokio::task::spawn_blocking(move || delivery.send(3)).await.unwrap();
    assert!(matches!(third, Err(Undelivered::Closed)), "{third:?}");
}
