//! Invalid answers from a malicious provider with which a well-behaved member has a grant.

use std::time::Duration;

use concordat_node::{Actor, FederationError, Question};
use concordat_protocol::collection::ColumnRole;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::identity::NodeKey;
use concordat_protocol::ids::{ActorId, Digest32, GrantId, QueryId};
use concordat_protocol::query::{ActorAssertion, Outcome, QueryEnvelope, Receipt};
use concordat_protocol::schema::ColumnKind;
use concordat_protocol::scope::Tier;
use concordat_protocol::signed::CoSigned;
use concordat_protocol::wire::messages::{
    AnswerDigest, ChunkAccepted, Countersignature, GrantColumnsReply, GrantColumnsRequest, GrantedColumn,
    GrantedDataset, GrantedDatasets, QueryClosing, QueryFrame, QueryOpening, Refusal, RefusalCode,
};
use concordat_protocol::wire::streams::{GRANT_COLUMNS, QUERY};
use libp2p_stream::IncomingStreams;
use tokio::sync::Notify;

use super::malicious_peer::{MaliciousPeer, Wire, now, soon};
use super::negotiation_fixture::{granted, granted_to_member};
use super::queries::{Answer, envelope, send_query};
use super::well_behaved::{SUBJECTS, World, column};

pub(super) const SQL: &str = "SELECT sex, chol FROM zurich.heart";

/// A world in which the member queries the attacker, which has a valid answer to send, and a researcher who queries.
pub(super) struct ProviderFixture {
    pub(super) world: World,
    pub(super) eva: Actor,
    pub(super) truth: Answer,
    /// The grant under which the member queries the attacker.
    pub(super) grant: GrantId,
    pub(super) incoming: IncomingStreams,
}

impl ProviderFixture {
    pub(super) async fn new() -> Self {
        let world = World::connected().await;
        world.attacker.meet(&world.member).await;
        let grant = granted(&world).await;
        let query = envelope(&world, grant, |_| (), |_| ());
        let truth = send_query(&world.attacker, &world.provider, query)
            .await
            .expect("a valid query is answered");
        let grant = granted_to_member(&world).await;
        let eva = world.member.researcher().await;
        let incoming = world.attacker.accept(QUERY);
        show_columns(&world.attacker);
        Self {
            world,
            eva,
            truth,
            grant,
            incoming,
        }
    }

    /// The member sends a query while the attacker answers with `respond`; waits for both.
    pub(super) async fn answer_with(
        &mut self,
        respond: impl AsyncFnOnce(&MaliciousPeer, Exchange),
    ) -> Result<usize, FederationError> {
        // A member queries once more if the answer had other columns; that query is not answered.
        let later = async |_: &MaliciousPeer, again: Wire| drop(again);
        self.answer_each_with(respond, later).await
    }

    /// Like [`Self::answer_with`], with `later` for each query after the first.
    pub(super) async fn answer_each_with(
        &mut self,
        respond: impl AsyncFnOnce(&MaliciousPeer, Exchange),
        later: impl AsyncFn(&MaliciousPeer, Wire),
    ) -> Result<usize, FederationError> {
        let world = &self.world;
        let incoming = &mut self.incoming;
        let ended = Notify::new();
        let responding = async {
            let (_, stream) = Wire::next(incoming).await;
            respond(&world.attacker, Exchange::read(stream).await).await;
            loop {
                tokio::select! {
                    () = ended.notified() => break,
                    (_, again) = Wire::next(incoming) => later(&world.attacker, again).await,
                }
            }
        };
        let querying = async {
            let answered = world.member.query(&self.eva, SQL).await;
            ended.notify_one();
            answered
        };
        let (answered, ()) = tokio::join!(querying, responding);
        answered
    }

    pub(super) async fn expect_error(
        &mut self,
        what: &str,
        code: ErrorKind,
        respond: impl AsyncFnOnce(&MaliciousPeer, Exchange),
    ) {
        match self.answer_with(respond).await {
            Ok(rows) => panic!("{what}: {rows} rows were accepted as an answer"),
            Err(error) => assert_eq!(error.kind(), code, "{what}: {error}"),
        }
    }
}

/// The attacker states the columns of its grant as they are, for as long as the test runs.
pub(super) fn show_columns(attacker: &MaliciousPeer) {
    let mut requests = attacker.accept(GRANT_COLUMNS);
    let shown = |name: &str, kind| GrantedColumn {
        name: column(name),
        kind,
        empty: false,
        role: ColumnRole::Value,
    };
    let dataset = GrantedDataset {
        name: "heart".parse().unwrap(),
        columns: vec![shown("sex", ColumnKind::Int), shown("chol", ColumnKind::Int)],
    };
    tokio::spawn(async move {
        loop {
            let (_, mut stream) = Wire::next(&mut requests).await;
            while stream.recv::<GrantColumnsRequest>().await.is_ok() {
                let datasets = vec![dataset.clone()];
                let reply = GrantColumnsReply::Datasets(GrantedDatasets { datasets, rules: None });
                if stream.send(&reply).await.is_err() {
                    break;
                }
            }
        }
    });
}

/// One query of the member, as the attacker receives it.
pub(super) struct Exchange {
    pub(super) stream: Wire,
    envelope: QueryEnvelope,
}

impl Exchange {
    /// Reads the query.
    pub(super) async fn read(mut stream: Wire) -> Self {
        let frame: QueryFrame = stream.recv().await.unwrap();
        let envelope = frame.envelope.peek_unverified().unwrap();
        Self { stream, envelope }
    }

    pub(super) async fn open(&mut self) {
        let opening = QueryOpening::Accepted {
            query: self.envelope.query,
            tier: Tier::Records,
        };
        self.stream.send(&opening).await.unwrap();
    }

    pub(super) async fn rows(&mut self, chunks: &[Vec<u8>]) {
        for chunk in chunks {
            // The member may have closed the stream after the chunk before.
            let _ = self.stream.chunk(chunk).await;
        }
        self.stream.body(&[]).await.unwrap();
    }

    fn actor(&self) -> ActorId {
        let ActorAssertion { actor, .. } = self.envelope.actor.peek_unverified().unwrap();
        actor
    }

    /// The receipt a well-behaved provider would sign.
    pub(super) fn receipt(&self, chunks: &[Vec<u8>]) -> Receipt {
        let mut answer = AnswerDigest::default();
        chunks.iter().for_each(|chunk| answer.update(chunk));
        Receipt {
            query: self.envelope.query,
            grant: self.envelope.grant,
            provider: self.envelope.to.clone(),
            consumer: self.envelope.from.clone(),
            actor: self.actor(),
            purpose: self.envelope.purpose.clone(),
            sql: self.envelope.sql_digest(),
            tier: Tier::Records,
            rows: SUBJECTS as u64,
            bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            answer: answer.finish(),
            outcome: Outcome::Completed,
            decision: Digest32::ZERO,
            ledger: super::malicious_peer::empty_ledger(&self.envelope.to, &NodeKey::from_seed(&[3; 32].into())),
            at: now(),
        }
    }

    pub(super) async fn close(&mut self, attacker: &MaliciousPeer, receipt: &Receipt, cut: Option<Refusal>) {
        let receipt = CoSigned::propose(receipt)
            .unwrap()
            .add_signature(&attacker.node)
            .unwrap();
        self.stream.send(&QueryClosing { receipt, cut }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_is_true_is_accepted_and_countersigned() {
    let mut fixture = ProviderFixture::new().await;
    let chunks = fixture.truth.chunks.clone();
    let rows = fixture.answer_with(async |attacker, mut exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        let receipt = exchange.receipt(&chunks);
        exchange.close(attacker, &receipt, None).await;
        exchange
            .stream
            .recv::<Countersignature>()
            .await
            .expect("the member signs a true receipt");
    });
    assert_eq!(rows.await.unwrap(), SUBJECTS);
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunk_in_transit_when_its_reader_leaves_is_confirmed() {
    /// Each side waits for what the other has done to take effect; where it takes longer, the test shows less.
    const EFFECT: Duration = Duration::from_millis(500);
    let mut fixture = ProviderFixture::new().await;
    let truth = fixture.truth.chunks.concat();
    let (rows, end) = truth.split_at(truth.len() - 8);
    let left = Notify::new();
    let (world, incoming) = (&fixture.world, &mut fixture.incoming);
    let providing = async {
        let (_, stream) = Wire::next(incoming).await;
        let mut exchange = Exchange::read(stream).await;
        exchange.open().await;
        exchange.stream.chunk(rows).await.unwrap();
        exchange.stream.raw(&[&[0, 0, 0, 8], &end[..3]].concat()).await.unwrap();
        left.notified().await;
        tokio::time::sleep(EFFECT).await;
        exchange.stream.raw(&end[3..]).await.unwrap();
        let confirmed = exchange.stream.recv::<ChunkAccepted>().await;
        assert_eq!(confirmed.expect("the chunk is confirmed").number, 2);
    };
    let reading = async {
        let federation = world.member.node.federation();
        let mut answer = soon(federation.query(&fixture.eva, &Question::new(SQL))).await.unwrap();
        soon(answer.next()).await.unwrap().unwrap();
        tokio::time::sleep(EFFECT).await;
        drop(answer);
        left.notify_one();
    };
    tokio::join!(providing, reading);
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_about_something_else_is_not_signed() {
    type Forgery = fn(&mut Receipt);
    let forgeries: [(&str, Forgery); 11] = [
        ("another digest", |r| r.answer = Digest32::ZERO),
        ("other rows", |r| r.rows += 1),
        ("other bytes", |r| r.bytes += 1),
        ("another statement", |r| r.sql = Digest32::ZERO),
        ("another query", |r| r.query = QueryId::from_bytes([1; 16])),
        ("another person", |r| r.actor = "mallory@budapest".parse().unwrap()),
        ("another consumer", |r| r.consumer = "cleveland".parse().unwrap()),
        ("another provider", |r| r.provider = "cleveland".parse().unwrap()),
        ("another grant", |r| {
            r.grant = concordat_protocol::ids::GrantId::from_bytes([1; 16])
        }),
        ("another outcome", |r| r.outcome = Outcome::Cut),
        ("another purpose", |r| {
            r.purpose = concordat_protocol::scope::Purpose::Ancestry
        }),
    ];
    let mut fixture = ProviderFixture::new().await;
    let chunks = fixture.truth.chunks.clone();
    for (what, forge) in forgeries {
        let respond = async |attacker: &MaliciousPeer, mut exchange: Exchange| {
            exchange.open().await;
            exchange.rows(&chunks).await;
            let mut receipt = exchange.receipt(&chunks);
            forge(&mut receipt);
            exchange.close(attacker, &receipt, None).await;
            assert!(exchange.stream.is_dropped().await, "{what} was signed");
        };
        fixture.expect_error(what, ErrorKind::Integrity, respond).await;
    }
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_that_the_provider_did_not_sign_is_not_signed() {
    let mut fixture = ProviderFixture::new().await;
    let chunks = fixture.truth.chunks.clone();
    let foreign = fixture.truth.receipt.clone();
    let respond = async |_: &MaliciousPeer, mut exchange: Exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        exchange
            .stream
            .send(&QueryClosing {
                receipt: foreign,
                cut: None,
            })
            .await
            .unwrap();
        assert!(exchange.stream.is_dropped().await);
    };
    fixture
        .expect_error("another provider's receipt", ErrorKind::Integrity, respond)
        .await;
    let respond = async |_: &MaliciousPeer, mut exchange: Exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        let receipt = CoSigned::propose(&exchange.receipt(&chunks)).unwrap();
        exchange
            .stream
            .send(&QueryClosing { receipt, cut: None })
            .await
            .unwrap();
        assert!(exchange.stream.is_dropped().await);
    };
    fixture
        .expect_error("no signature", ErrorKind::Integrity, respond)
        .await;
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_to_another_query_is_refused() {
    let mut fixture = ProviderFixture::new().await;
    let respond = async |_: &MaliciousPeer, mut exchange: Exchange| {
        let query = QueryId::from_bytes([1; 16]);
        exchange
            .stream
            .send(&QueryOpening::Accepted {
                query,
                tier: Tier::Records,
            })
            .await
            .unwrap();
        assert!(exchange.stream.is_dropped().await);
    };
    fixture
        .expect_error("another query", ErrorKind::Integrity, respond)
        .await;
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_is_not_rows_ends_in_a_clear_error() {
    let mut fixture = ProviderFixture::new().await;
    let truth = fixture.truth.chunks.concat();
    let half = truth.len() / 2;
    let mut flipped = truth.clone();
    flipped.iter_mut().skip(half).step_by(7).for_each(|byte| *byte ^= 0xff);
    let huge_metadata = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let garbage: [(&str, Vec<u8>); 7] = [
        ("text", b"sex,chol\n1,200\n".to_vec()),
        ("zeros", vec![0; 100_000]),
        ("ones", vec![0xff; 100_000]),
        ("half an answer", truth[..half].to_vec()),
        ("an answer twice", [truth.clone(), truth.clone()].concat()),
        ("flipped bits", flipped),
        ("metadata of two gibibytes", huge_metadata.to_vec()),
    ];
    for (what, bytes) in garbage {
        let chunks = vec![bytes];
        let respond = async |attacker: &MaliciousPeer, mut exchange: Exchange| {
            exchange.open().await;
            // The member may have closed the stream after the first bytes.
            let _ = exchange.stream.chunk(&chunks[0]).await;
            let _ = exchange.stream.body(&[]).await;
            let receipt = CoSigned::propose(&exchange.receipt(&chunks))
                .unwrap()
                .add_signature(&attacker.node)
                .unwrap();
            let _ = exchange.stream.send(&QueryClosing { receipt, cut: None }).await;
            assert!(exchange.stream.is_dropped().await, "{what} was countersigned");
        };
        fixture.expect_error(what, ErrorKind::Integrity, respond).await;
    }
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_without_end_or_rows_is_aborted() {
    let mut fixture = ProviderFixture::new().await;
    let respond = async |_: &MaliciousPeer, mut exchange: Exchange| {
        exchange.open().await;
        let start = [
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f].as_slice(),
            &vec![0; 500_000],
        ]
        .concat();
        let mut sent = exchange.stream.body(&start).await;
        for _ in 0..1000 {
            if sent.is_err() {
                return;
            }
            sent = exchange.stream.body(&vec![0; 1 << 20]).await;
        }
        panic!("a gibibyte without a row was read");
    };
    fixture
        .expect_error("endless bytes without rows", ErrorKind::Integrity, respond)
        .await;
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_breaks_off_is_never_accepted_as_complete() {
    let mut fixture = ProviderFixture::new().await;
    let chunks = fixture.truth.chunks.clone();
    let respond = async |_: &MaliciousPeer, exchange: Exchange| drop(exchange);
    fixture
        .expect_error("no answer at all", ErrorKind::Unreachable, respond)
        .await;
    let respond = async |_: &MaliciousPeer, mut exchange: Exchange| exchange.open().await;
    fixture.expect_error("no rows", ErrorKind::Unreachable, respond).await;
    let respond = async |_: &MaliciousPeer, mut exchange: Exchange| {
        exchange.open().await;
        exchange.stream.raw(&[0, 0, 1, 0, 0xff]).await.unwrap();
    };
    fixture
        .expect_error("half a chunk", ErrorKind::Unreachable, respond)
        .await;
    let respond = async |_: &MaliciousPeer, mut exchange: Exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
    };
    // The member has rows, so it sends the query again.
    let refuse = async |_: &MaliciousPeer, again: Wire| {
        let mut exchange = Exchange::read(again).await;
        let refusal = Refusal::because(RefusalCode::Denied, "a test");
        exchange.stream.send(&QueryOpening::Refused(refusal)).await.unwrap();
        assert!(exchange.stream.is_dropped().await);
    };
    let ended = fixture.answer_each_with(respond, refuse).await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Denied, "no receipt");
    let respond = async |_: &MaliciousPeer, mut exchange: Exchange| {
        exchange.open().await;
        exchange.stream.raw(&[0xff; 8]).await.unwrap();
        assert!(exchange.stream.is_dropped().await);
    };
    fixture
        .expect_error("a chunk of four gibibytes", ErrorKind::Unreachable, respond)
        .await;
    fixture.world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_with_a_reported_cut_ends_in_that_error() {
    let mut fixture = ProviderFixture::new().await;
    let chunks = fixture.truth.chunks.clone();
    let respond = async |attacker: &MaliciousPeer, mut exchange: Exchange| {
        exchange.open().await;
        exchange.rows(&chunks).await;
        let receipt = Receipt {
            outcome: Outcome::Cut,
            ..exchange.receipt(&chunks)
        };
        let cut = Refusal::because(RefusalCode::Denied, "the grant was revoked");
        exchange.close(attacker, &receipt, Some(cut)).await;
        exchange
            .stream
            .recv::<Countersignature>()
            .await
            .expect("the rows that arrived are countersigned");
    };
    fixture.expect_error("a cut", ErrorKind::Denied, respond).await;
    fixture.world.assert_still_serving().await;
}
