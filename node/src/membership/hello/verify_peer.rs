//! What a hello contains, and how the peer's is checked against the roster.

use concordat_protocol::audit::LedgerHead;
use concordat_protocol::ids::{NodeId, Nonce};
use concordat_protocol::membership::{CertificateError, NodeCertificate, ValidCertificate, ValidRoster};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{Hello, HelloStatement};

use super::error::HelloError;
use crate::ledger_heads::{LedgerHeadsError, ShownStart};
use crate::membership::error::MembershipError;
use crate::membership::handle::Membership;
use concordat_network::hello::Attested;

/// Maximum age of a hello in milliseconds; the allowed clock skew is added to it.
const MAX_HELLO_AGE_MS: i64 = 30_000;

/// A hello whose certificate and statement were checked; the ledger follows.
#[derive(Clone, Debug)]
pub(super) struct CheckedHello {
    pub(super) attested: Attested,
    /// The start that the peer states.
    pub(super) start: ShownStart,
    /// The heads of this node's ledger that the peer knows.
    pub(super) known_heads: Vec<Signed<LedgerHead>>,
    /// A start of this node that the peer has refused.
    pub(super) refused_start: Option<Signed<HelloStatement>>,
}

impl Membership {
    /// This node's hello to the node `to`.
    pub(super) fn hello(&self, to: NodeId) -> Result<Hello, HelloError> {
        let now = self.0.clock.now();
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        let statement = HelloStatement {
            from: self.0.identity.node(),
            to,
            nonce: Nonce::from_bytes(nonce),
            start: self.0.heads.start(),
            roster: self.newest().map_or(0, |roster| roster.number()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sent_at: now,
        };
        let statement = Signed::sign(&statement, &self.0.identity.node_key)?.signed().clone();
        Ok(Hello {
            certificate: self.0.identity.certificate(now)?,
            next_certificate: self.0.identity.next_certificate(now)?,
            statement,
            known_heads: self.0.heads.known_heads(&to),
            refused_start: self.0.heads.refused_start(&to),
        })
    }

    /// What the hello of `peer` proves.
    pub(super) fn check(&self, hello: Hello, peer: NodeId) -> Result<CheckedHello, HelloError> {
        let now = self.0.clock.now();
        let roster = self.newest().ok_or(MembershipError::NoConsortium)?;
        let (signed, certificate) = certified(&hello, &roster, peer, now)?;
        let member = roster
            .active_node(&peer)
            .ok_or(CertificateError::NotAMember { node: peer })?;
        let statement = hello.statement.clone().verify(peer)?;
        check_statement(statement.document(), peer, self.0.identity.node(), now)?;
        let start = ShownStart {
            start: statement.document().start,
            signed: statement.signed().clone(),
        };
        let heads = &self.0.heads;
        heads.check_start(&peer, &start).map_err(LedgerHeadsError::from)?;
        let attested = Attested {
            institution: certificate.institution().clone(),
            institution_key: certificate.institution_key(),
            earlier_keys: self.recognized_keys(member).into_iter().skip(1).collect(),
            member_since: member.since,
            start: start.start,
            roster_number: statement.document().roster,
            attested_at: now,
            not_after: certificate.not_after(),
            certificate: signed,
        };
        Ok(CheckedHello {
            attested,
            start,
            known_heads: hello.known_heads,
            refused_start: hello.refused_start,
        })
    }
}

/// The certificate signed by the key that the roster names: the sender's present key, or its next one.
fn certified(
    hello: &Hello,
    roster: &ValidRoster,
    peer: NodeId,
    now: Timestamp,
) -> Result<(Signed<NodeCertificate>, ValidCertificate), CertificateError> {
    let check = |signed: &Signed<NodeCertificate>| {
        let valid = ValidCertificate::check(signed.clone(), roster, peer, now)?;
        Ok((signed.clone(), valid))
    };
    match (check(&hello.certificate), &hello.next_certificate) {
        (Err(CertificateError::Signature(_)), Some(next)) => check(next),
        (checked, _) => checked,
    }
}

fn check_statement(statement: &HelloStatement, peer: NodeId, us: NodeId, now: Timestamp) -> Result<(), HelloError> {
    if statement.from != peer || statement.to != us {
        return Err(HelloError::OtherConnection);
    }
    statement
        .sent_at
        .fresh_at(now, MAX_HELLO_AGE_MS)
        .map_err(HelloError::NotFresh)
}

#[cfg(test)]
mod tests {
    use concordat_protocol::ids::StartId;
    use concordat_protocol::membership::NodeStart;

    use super::*;

    #[test]
    fn a_hello_is_bound_to_both_ends_and_to_the_moment() {
        let peer = NodeId::from_bytes([1; 32]);
        let us = NodeId::from_bytes([2; 32]);
        let now = Timestamp::from_millis(1_000_000_000);
        let valid = HelloStatement {
            from: peer,
            to: us,
            nonce: Nonce::from_bytes([0; 16]),
            start: NodeStart {
                generation: 0,
                number: 1,
                id: StartId::from_bytes([1; 16]),
            },
            roster: 1,
            version: "1".into(),
            sent_at: now,
        };
        assert!(check_statement(&valid, peer, us, now).is_ok());
        let elsewhere = HelloStatement {
            to: peer,
            ..valid.clone()
        };
        assert!(matches!(
            check_statement(&elsewhere, peer, us, now),
            Err(HelloError::OtherConnection)
        ));
        let borrowed = HelloStatement {
            from: us,
            ..valid.clone()
        };
        assert!(matches!(
            check_statement(&borrowed, peer, us, now),
            Err(HelloError::OtherConnection)
        ));
        for hour in [-3600, 3600] {
            let wrong_clock = HelloStatement {
                sent_at: now.plus_seconds(hour),
                ..valid.clone()
            };
            assert!(matches!(
                check_statement(&wrong_clock, peer, us, now),
                Err(HelloError::NotFresh(_))
            ));
        }
    }
}
