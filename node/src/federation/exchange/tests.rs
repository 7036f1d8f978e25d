use concordat_protocol::wire::streams::HELLO;
use std::sync::Arc;
use std::time::Duration;

use concordat_protocol::audit::{Cause, LedgerHead, TreeHead};
use concordat_protocol::identity::PrivateKey as _;
use concordat_protocol::ids::{ActorId, GrantId, QueryId};
use concordat_protocol::query::ActorAssertion;
use concordat_protocol::scope::Purpose;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::RefusalCode;
use datafusion::arrow::ipc::writer::StreamWriter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::*;
use crate::federation::exchange_task::{DRAIN_TIMEOUT, Next, is_at_end, next_wanted};
use crate::federation::testing::{batch, ints};
use concordat_network::{Deadlines, DialRange, Members, Network, NetworkConfig, NetworkHandle};

const LONG_DEADLINES: Deadlines = Deadlines {
    quiet: Duration::from_secs(60),
    frame: Duration::from_secs(60),
};
const SHORT_DEADLINES: Deadlines = Deadlines {
    quiet: Duration::from_millis(200),
    frame: Duration::from_millis(200),
};
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn key(seed: u8) -> NodeKey {
    NodeKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn outgoing() -> OutgoingQuery {
    let ours = key(1);
    let theirs = key(2);
    let actor: ActorId = "eva@basel".parse().unwrap();
    let query = QueryId::from_bytes([3; 16]);
    let assertion = ActorAssertion {
        actor: actor.clone(),
        roles: [].into(),
        factors: [].into(),
        authenticated_at: NOW,
        password_reset_at: None,
        training_until: None,
        training_course: None,
        audience: "aachen".parse().unwrap(),
        query,
        expires: NOW.plus_seconds(60),
    };
    let envelope = QueryEnvelope {
        query,
        grant: GrantId::from_bytes([4; 16]),
        from: "basel".parse().unwrap(),
        to: "aachen".parse().unwrap(),
        actor: Signed::sign(&assertion, &ours).unwrap().signed().clone(),
        purpose: Purpose::HealthResearch,
        sql: "SELECT id FROM heart".to_owned(),
        version: None,
        rules: None,
        sent_at: NOW,
        deadline: NOW.plus_seconds(60),
    };
    let signed = Signed::sign(&envelope, &ours).unwrap().signed().clone();
    OutgoingQuery {
        envelope,
        signed,
        by: Attribution::vouch(Cause::Person { actor: actor.clone() }),
        actor,
        node: theirs.public(),
        tier: Tier::Aggregate,
        dataset: "aachen.heart".parse().unwrap(),
        schema: batch(vec![("id", ints(&[]))]).schema(),
    }
}

/// An answer of two rows.
fn answer() -> Vec<u8> {
    let rows = batch(vec![("id", ints(&[1, 2]))]);
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema()).unwrap();
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    std::mem::take(writer.get_mut())
}

/// The first part of [`answer`], which is its columns.
fn columns() -> Vec<u8> {
    let schema = batch(vec![("id", ints(&[1, 2]))]).schema();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    std::mem::take(writer.get_mut())
}

fn ledger_head(institution: InstitutionId) -> Signed<LedgerHead> {
    let tree = TreeHead {
        size: 1,
        root: Digest32::ZERO,
    };
    let head = LedgerHead {
        institution,
        node: key(2).public(),
        generation: 0,
        tree,
        at: NOW,
    };
    Signed::sign(&head, &key(2)).unwrap().signed().clone()
}

fn receipt(bytes: &[u8]) -> Receipt {
    let OutgoingQuery { envelope, actor, .. } = outgoing();
    let mut digest = AnswerDigest::default();
    digest.update(bytes);
    Receipt {
        query: envelope.query,
        grant: envelope.grant,
        provider: envelope.to.clone(),
        consumer: envelope.from.clone(),
        actor,
        purpose: envelope.purpose.clone(),
        sql: envelope.sql_digest(),
        tier: Tier::Aggregate,
        rows: 2,
        bytes: bytes.len() as u64,
        answer: digest.finish(),
        outcome: Outcome::Completed,
        decision: Digest32::ZERO,
        ledger: ledger_head(envelope.to.clone()),
        at: NOW,
    }
}

/// Both ends of a stream from the consumer to the provider, and the networks that carry it.
async fn ends(deadlines: Deadlines) -> (FramedStream, FramedStream, [NetworkHandle; 2]) {
    let near = network(1, deadlines).await;
    let far = network(2, deadlines).await;
    let member = |network: &NetworkHandle, institution: &str| {
        let institution: InstitutionId = institution.parse().unwrap();
        (network.local_id(), institution, network.listen_addrs())
    };
    let members = Arc::new(Members::from_iter([member(&near, "basel"), member(&far, "aachen")]));
    near.set_members(members.clone()).await.unwrap();
    far.set_members(members).await.unwrap();
    // The protocol makes no difference here, and the streams of this one need no attestation.
    let mut incoming = far.accept(HELLO).unwrap();
    let (ours, theirs) = tokio::join!(near.open(far.local_id(), HELLO), incoming.next());
    (ours.unwrap(), theirs, [near, far])
}

async fn network(seed: u8, deadlines: Deadlines) -> NetworkHandle {
    let listen = "/ip4/127.0.0.1/tcp/0".parse().unwrap();
    let mut config = NetworkConfig::new(key(seed), vec![listen]);
    config.dial = vec![DialRange::Loopback];
    config.keep_connected = false;
    config.timeouts.stream = deadlines;
    // The peers do not introduce themselves.
    config.timeouts.introduction = Duration::from_secs(600);
    Network::start(config, CancellationToken::new(), &TaskTracker::new())
        .await
        .unwrap()
}

/// Plays a provider that answers correctly except for what `change` does to its opening, receipt or cut.
async fn provide(
    mut wire: FramedStream,
    change: impl FnOnce(&mut QueryOpening, &mut Receipt, &mut Option<Refusal>),
) -> FramedStream {
    let QueryFrame { .. } = wire.expect().await.unwrap();
    let bytes = answer();
    let mut opening = QueryOpening::Accepted {
        query: outgoing().envelope.query,
        tier: Tier::Aggregate,
    };
    let mut receipt = receipt(&bytes);
    let mut cut = None;
    change(&mut opening, &mut receipt, &mut cut);
    wire.send(&opening).await.unwrap();
    // A consumer that rejects the opening drops its end, in which case any of these steps may fail.
    if wire.send_chunk(bytes.into()).await.is_err() || wire.flush().await.is_err() {
        return wire;
    }
    match wire.expect().await {
        Ok(ChunkAccepted { number, more }) => assert!(number == 1 && more),
        Err(_) => return wire,
    }
    let receipt = CoSigned::propose(&receipt).unwrap().add_signature(&key(2)).unwrap();
    // The consumer may have rejected the columns.
    if wire.end_chunks().await.is_ok() {
        let _ = wire.send(&QueryClosing { receipt, cut }).await;
    }
    wire
}

/// Reads an answer to its end, up to the receipt that would be signed.
async fn read(wire: FramedStream) -> Result<(u64, Closing), FederationError> {
    let begun = Reading::begin(wire, outgoing()).await;
    let (mut reading, schema) = begun.map_err(|not_begun| not_begun.error)?;
    assert!(schema.is_some());
    while reading.next_batch().await?.is_some() {}
    let (_, closing) = reading.closing().await?;
    Ok((reading.rows, closing))
}

async fn read_from(
    change: impl FnOnce(&mut QueryOpening, &mut Receipt, &mut Option<Refusal>),
) -> Result<(u64, Closing), FederationError> {
    let (ours, theirs, _networks) = ends(LONG_DEADLINES).await;
    let (result, _theirs) = tokio::join!(read(ours), provide(theirs, change));
    result
}

#[tokio::test]
async fn exchange_valid_answer_is_read_with_its_receipt() {
    let (rows, closing) = read_from(|_, _, _| {}).await.unwrap();
    assert_eq!(rows, 2);
    assert!(closing.cut.is_none());
}

#[tokio::test]
async fn exchange_answer_above_the_tier_of_the_grant_is_rejected() {
    let raised = |opening: &mut QueryOpening, _: &mut Receipt, _: &mut Option<Refusal>| {
        *opening = QueryOpening::Accepted {
            query: outgoing().envelope.query,
            tier: Tier::Records,
        };
    };
    let error = read_from(raised).await.unwrap_err();
    assert!(
        matches!(&error, FederationError::Misbehaved { detail, .. } if detail.contains("above")),
        "{error}"
    );
}

#[tokio::test]
async fn exchange_columns_not_requested_are_rejected() {
    let (ours, theirs, _networks) = ends(LONG_DEADLINES).await;
    let mut narrow = outgoing();
    narrow.schema = batch(vec![("sex", ints(&[]))]).schema();
    let (begun, _theirs) = tokio::join!(Reading::begin(ours, narrow), provide(theirs, |_, _, _| {}));
    let NotBegun { error, counted } = *begun.unwrap_err();
    assert_eq!(counted.bytes, answer().len() as u64, "what came before is counted");
    assert_eq!((counted.rows, counted.end), (2, AnswerEnd::Interrupted));
    assert!(matches!(&error, FederationError::ColumnsChanged { .. }), "{error}");
}

#[tokio::test]
async fn exchange_receipt_with_other_rows_is_not_signed() {
    let error = read_from(|_, receipt, _| receipt.rows = 3).await.unwrap_err();
    assert!(
        matches!(&error, FederationError::Misbehaved { detail, .. } if detail.contains("rows")),
        "{error}"
    );
}

#[tokio::test]
async fn exchange_receipt_above_the_grant_is_not_signed() {
    let error = read_from(|_, receipt, _| receipt.tier = Tier::Records)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, FederationError::Misbehaved { detail, .. } if detail.contains("tier")),
        "{error}"
    );
}

#[tokio::test]
async fn exchange_cut_is_neither_hidden_nor_invented() {
    let error = read_from(|_, receipt, _| receipt.outcome = Outcome::Cut)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, FederationError::Misbehaved { detail, .. } if detail.contains("contradict")),
        "{error}"
    );
    let why = || Refusal::because(RefusalCode::Denied, "the grant was revoked");
    let error = read_from(|_, _, cut| *cut = Some(why())).await.unwrap_err();
    assert!(matches!(&error, FederationError::Misbehaved { .. }), "{error}");

    let consistent = |_: &mut QueryOpening, receipt: &mut Receipt, cut: &mut Option<Refusal>| {
        receipt.outcome = Outcome::Cut;
        *cut = Some(why());
    };
    let (_, closing) = read_from(consistent).await.unwrap();
    assert!(matches!(closing.cut, Some(FederationError::Cut { rows: 2, .. })));
}

#[tokio::test]
async fn exchange_with_a_silent_provider_times_out() {
    let (mut ours, mut theirs, _networks) = ends(LONG_DEADLINES).await;
    ours.set_deadlines(SHORT_DEADLINES);
    let silent = async {
        let QueryFrame { .. } = theirs.expect().await.unwrap();
        theirs
            .send(&QueryOpening::Accepted {
                query: outgoing().envelope.query,
                tier: Tier::Aggregate,
            })
            .await
            .unwrap();
        std::future::pending::<()>().await;
    };
    let error = tokio::select! {
        read = read(ours) => read.unwrap_err(),
        () = silent => unreachable!("it sends nothing more"),
    };
    assert!(
        matches!(
            error,
            FederationError::Unreachable {
                source: NetworkError::Stalled { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

/// With a deadline for each wait, a provider could occupy an exchange without a reader for twice as long.
#[tokio::test]
async fn exchange_without_a_reader_drains_up_to_one_deadline() {
    let (ours, mut theirs, _networks) = ends(LONG_DEADLINES).await;
    let rows = answer().split_off(columns().len());
    let begin = async {
        let QueryFrame { .. } = theirs.expect().await.unwrap();
        let opening = QueryOpening::Accepted {
            query: outgoing().envelope.query,
            tier: Tier::Aggregate,
        };
        theirs.send(&opening).await.unwrap();
        theirs.send_chunk(columns().into()).await.unwrap();
        theirs.flush().await.unwrap();
    };
    let (begun, ()) = tokio::join!(Reading::begin(ours, outgoing()), begin);
    let (mut reading, _) = begun.unwrap();

    let (to_reader, reader) = tokio::sync::mpsc::channel(1);
    drop(reader);
    let send_rows = async {
        let from_now = tokio::time::sleep(DRAIN_TIMEOUT).deadline();
        theirs.send_chunk(rows.into()).await.unwrap();
        theirs.flush().await.unwrap();
        from_now
    };
    // The wait begins before the rows are sent.
    let (next, from_now) = tokio::join!(biased; next_wanted(&mut reading, &to_reader), send_rows);
    let Next::Unwanted { until } = next.unwrap() else {
        panic!("rows were in transit");
    };
    assert!(until <= from_now, "the second wait has a deadline of its own");

    let passed = tokio::time::sleep(Duration::ZERO).deadline();
    assert!(
        !is_at_end(&mut reading, passed).await,
        "the provider sends nothing more"
    );
}

#[tokio::test]
async fn canceled_confirmation_leaves_the_chunk_in_the_digest() {
    let (stream, _provider, _networks) = ends(LONG_DEADLINES).await;
    let chunk = Bytes::from(answer());
    // As a receive is left whose confirmation did not end.
    let mut reading = Reading {
        stream,
        outgoing: outgoing(),
        decoder: CheckedStream::new(),
        pending: chunk.clone(),
        digest: AnswerDigest::default(),
        unhashed: chunk.clone(),
        chunks: 1,
        more: true,
        bytes: u64::try_from(chunk.len()).unwrap(),
        rows: 0,
        ended: false,
    };
    let mut whole = AnswerDigest::default();
    whole.update(&chunk);
    assert_eq!(reading.counted().answer, whole.finish());
    assert_eq!(reading.counted().answer, whole.finish());
}
