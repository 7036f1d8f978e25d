//! The start that a peer has shown: whether it is the newest one of its node.

use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::membership::{NodeStart, StartOrder};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{HelloRefusal, HelloStatement, Reason, Refusal, RefusalCode};
use serde::{Deserialize, Serialize};

/// The starts of one node, as it has shown them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerStart {
    pub(super) institution: InstitutionId,
    pub(super) newest: ShownStart,
    pub(super) refused: Option<RefusedStart>,
}

/// A start, and the signed statement of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownStart {
    /// The statement, as the node signed it.
    pub signed: Signed<HelloStatement>,
    /// The start that it states.
    pub start: NodeStart,
}

/// A start that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusedStart {
    pub(super) shown: ShownStart,
    pub(super) at: Timestamp,
}

/// A hello is refused because of the start that it states.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", describe(.shown.start, .newest.start))]
pub struct StartRefused {
    /// The refused start.
    pub shown: Box<ShownStart>,
    /// The newest start that is known.
    pub newest: Box<ShownStart>,
}

/// How a refused start relates to the newest one.
pub(super) fn describe(shown: NodeStart, newest: NodeStart) -> String {
    match shown.compare(&newest) {
        StartOrder::Beside => format!(
            "two nodes run on copies of one data directory: both state start {} of the same node",
            shown.number
        ),
        StartOrder::Same | StartOrder::Later | StartOrder::Earlier => format!(
            "the node is an older copy of itself: it states start {}, and start {} of it is known{}",
            shown.number,
            newest.number,
            if shown.generation < newest.generation {
                ", after a restore that was acknowledged at the node"
            } else {
                ""
            }
        ),
    }
}

impl StartRefused {
    /// The name of the rule behind the refusal, see the protocol.
    fn rule(&self) -> &'static str {
        match self.shown.start.compare(&self.newest.start) {
            StartOrder::Beside => "start-of-a-copy",
            StartOrder::Same | StartOrder::Later | StartOrder::Earlier => "start-not-the-newest",
        }
    }

    /// What the refused node is sent: why, what to do, and the proof.
    pub(crate) fn to_wire(&self) -> HelloRefusal {
        let remedy = "stop one of the two for good; if the refused one is to go on, as after a restore, an administrator there acknowledges \
                      that with `concordat consortium ledger acknowledge-own`";
        HelloRefusal {
            refusal: Refusal {
                code: RefusalCode::Denied,
                reasons: vec![Reason {
                    text: self.to_string(),
                    remedy: Some(remedy.to_owned()),
                    rule: Some(self.rule().to_owned()),
                }],
            },
            newest: self.newest.signed.clone(),
        }
    }

    /// The digests of the signed statements: of the newest start, and of the refused one.
    pub(crate) fn digests(&self) -> (Digest32, Digest32) {
        (self.newest.signed.digest(), self.shown.signed.digest())
    }
}

impl PeerStart {
    pub(super) fn check(&self, shown: &ShownStart) -> Result<(), StartRefused> {
        match shown.start.compare(&self.newest.start) {
            StartOrder::Same | StartOrder::Later => Ok(()),
            StartOrder::Earlier | StartOrder::Beside => Err(StartRefused {
                shown: Box::new(shown.clone()),
                newest: Box::new(self.newest.clone()),
            }),
        }
    }
}
