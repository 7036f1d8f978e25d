use super::*;
use crate::session::{Role, Sessions};
use concordat_protocol::ids::NodeId;
use libp2p::swarm::ConnectionId;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
}

impl Frame for Note {
    const MAX: usize = 1024;
}

const PEER: NodeId = NodeId::from_bytes([7; 32]);
const LONG_DEADLINES: Deadlines = Deadlines {
    quiet: Duration::from_secs(60),
    frame: Duration::from_secs(60),
};
const SHORT: Duration = Duration::from_millis(30);

#[tokio::test]
async fn frames_and_chunks_come_out_as_they_went_in() {
    let mut ours = pair().0;
    let mut theirs = pair().0;
    let (near, far) = tokio::io::duplex(64 << 10);
    ours.io = near.compat();
    theirs.io = far.compat();
    let bulk: Bytes = (0..=250u8).cycle().take(3 * MAX_CHUNK + 5).collect();

    let sent = bulk.clone();
    let sending = async move {
        ours.send(&note("rows follow")).await.unwrap();
        ours.send_chunk(sent).await.unwrap();
        ours.send_chunk(Bytes::from_static(b"last")).await.unwrap();
        ours.end_chunks().await.unwrap();
        ours.send(&note("receipt")).await.unwrap();
        ours.close().await.unwrap();
    };
    let receiving = async move {
        assert_eq!(theirs.expect::<Note>().await.unwrap(), note("rows follow"));
        let mut received = BytesMut::new();
        while let Some(chunk) = theirs.recv_chunk().await.unwrap() {
            assert!(chunk.len() <= MAX_CHUNK);
            received.extend_from_slice(&chunk);
        }
        assert_eq!(received.split_off(bulk.len()), "last");
        assert!(received == bulk, "bulk bytes differ");
        assert_eq!(theirs.recv::<Note>().await.unwrap(), Some(note("receipt")));
        assert_eq!(theirs.recv::<Note>().await.unwrap(), None);
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn a_length_of_four_gibibytes_is_refused_at_the_header() {
    let (mut stream, mut peer, _) = pair();
    peer.write_all(&[0xff; HEADER_LEN]).await.unwrap();
    let refused = stream.recv::<Note>().await.unwrap_err();
    assert!(
        matches!(refused, NetworkError::Malformed(WireError::TooLong { max: 1024, .. })),
        "{refused}"
    );
    // No byte is read after the error.
    assert!(matches!(stream.recv::<Note>().await, Err(NetworkError::OutOfSync)));

    let (mut stream, mut peer, _) = pair();
    peer.write_all(&[0xff; HEADER_LEN]).await.unwrap();
    let refused = stream.recv_chunk().await.unwrap_err();
    assert!(
        matches!(
            refused,
            NetworkError::Malformed(WireError::TooLong { max: MAX_CHUNK, .. })
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn a_stall_in_the_middle_of_a_frame_ends_the_stream() {
    for sent in [&[0u8][..], &[0, 0, 0, 9][..], &[0, 0, 0, 9, 0xa1][..]] {
        let (mut stream, mut peer, _) = pair();
        stream.set_deadlines(Deadlines {
            frame: SHORT,
            ..LONG_DEADLINES
        });
        peer.write_all(sent).await.unwrap();
        assert!(
            matches!(stream.recv::<Note>().await, Err(NetworkError::Stalled { after: SHORT })),
            "after {sent:?}"
        );
        assert!(matches!(stream.recv::<Note>().await, Err(NetworkError::OutOfSync)));
    }
}

#[tokio::test]
async fn peer_that_does_not_read_ends_the_stream() {
    let (mut stream, _peer, _) = pair();
    stream.set_deadlines(Deadlines {
        frame: SHORT,
        ..LONG_DEADLINES
    });
    let sent = stream.send_chunk(Bytes::from(vec![0; MAX_CHUNK])).await;
    assert!(matches!(sent, Err(NetworkError::Stalled { after: SHORT })));
    assert!(matches!(stream.send(&note("more")).await, Err(NetworkError::OutOfSync)));
}

#[tokio::test]
async fn silence_between_frames_can_be_waited_out() {
    let (mut stream, mut peer, _) = pair();
    stream.set_deadlines(Deadlines {
        quiet: SHORT,
        ..LONG_DEADLINES
    });
    assert!(matches!(
        stream.recv::<Note>().await,
        Err(NetworkError::Stalled { after: SHORT })
    ));
    stream.set_deadlines(LONG_DEADLINES);
    peer.write_all(&codec::encode(&note("at last")).unwrap()).await.unwrap();
    assert_eq!(stream.expect::<Note>().await.unwrap(), note("at last"));
}

#[tokio::test]
async fn cancelled_operation_leaves_stream_out_of_sync() {
    let (mut stream, mut peer, _) = pair();
    peer.write_all(&[0, 0, 0, 9, 0xa1]).await.unwrap();
    assert!(tokio::time::timeout(SHORT, stream.recv::<Note>()).await.is_err());
    assert!(matches!(stream.recv::<Note>().await, Err(NetworkError::OutOfSync)));
}

#[tokio::test]
async fn a_cut_session_ends_what_is_under_way_and_what_is_buffered() {
    let (mut stream, mut peer, sessions) = pair();
    let cutting = async {
        tokio::task::yield_now().await;
        sessions.cut(PEER);
    };
    let (received, ()) = tokio::join!(stream.recv::<Note>(), cutting);
    assert!(matches!(received, Err(NetworkError::Cut { peer: PEER })));

    peer.write_all(&codec::encode(&note("too late")).unwrap())
        .await
        .unwrap();
    assert!(matches!(stream.recv::<Note>().await, Err(NetworkError::Cut { .. })));
    assert!(matches!(
        stream.send(&note("too late")).await,
        Err(NetworkError::Cut { .. })
    ));
    drop(stream);
    let mut leaked = Vec::new();
    peer.read_to_end(&mut leaked).await.unwrap();
    assert_eq!(leaked, b"");
}

#[tokio::test]
async fn an_early_end_is_not_an_end() {
    let (mut stream, mut peer, _) = pair();
    peer.write_all(&[0, 0, 0, 9, 0xa1]).await.unwrap();
    drop(peer);
    assert!(matches!(stream.recv::<Note>().await, Err(NetworkError::Closed)));

    let (mut stream, mut peer, _) = pair();
    peer.write_all(&[0, 0, 0, 1, 42]).await.unwrap();
    drop(peer);
    assert_eq!(stream.recv_chunk().await.unwrap(), Some(Bytes::from_static(&[42])));
    assert!(matches!(stream.recv_chunk().await, Err(NetworkError::Closed)));
}

fn note(text: &str) -> Note {
    Note { text: text.into() }
}

/// A stream of an open session, the peer's end of it, and the register that can cut it.
fn pair() -> (FramedStream<Compat<DuplexStream>>, DuplexStream, Sessions) {
    let sessions = Sessions::new(&crate::Limits::default());
    let session = sessions.connected(PEER, ConnectionId::new_unchecked(0), Role::Dialer, None);
    let (near, far) = tokio::io::duplex(64 << 10);
    (
        FramedStream::new(near.compat(), session, LONG_DEADLINES, None),
        far,
        sessions,
    )
}
