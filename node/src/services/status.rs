//! What is running and who is connected.

use concordat_documents::status::{
    AnnouncedRules, CharterStatus, ClockStatus, LedgerVerification, PeerStatus, PolicyStatus, RefusedRoster,
    RejectedPeer, RosterStatus, RulesAtTier, Status,
};
use concordat_protocol::{identity::InstitutionPublicKey, ids::NodeId, wire::messages::EnforcedRules};
use concordat_storage::ledger::Verification;

use crate::iam::{Action, Actor};
use crate::membership::{Rejection, UnconfirmedKey};
use crate::node::Node;
use crate::rules::PeerRules;
use crate::sharing::{ISOLATING, Searching};

/// The node as it is now. Peers are named only to callers with a role that permits it.
pub(crate) fn show(node: &Node, caller: Option<&Actor>) -> Status {
    let may_see_peers = caller.is_some_and(|caller| caller.may(Action::ReadStatus));
    let identity = node.identity();
    let reasons = unready(node);
    let mut alarms = alarms(node);
    if may_see_peers {
        alarms.extend(search_alarms(node));
    }
    Status {
        institution: identity.institution.clone(),
        name: identity.name.clone(),
        jurisdiction: identity.jurisdiction.clone(),
        node: identity.node(),
        fingerprint: identity.institution_public().fingerprint(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: reasons.is_empty(),
        reasons,
        listen: node.network().listen_addrs().iter().map(ToString::to_string).collect(),
        roster: roster(node),
        policy: policy(node),
        ledger_entries: node.ledger().size(),
        ledger_verification: verification(node),
        connected: node.network().connected_peers().len(),
        peers: may_see_peers.then(|| peers(node)),
        rejected_peers: if may_see_peers {
            rejected_peers(node)
        } else {
            Vec::new()
        },
        rules: may_see_peers.then(|| own_rules(node)).flatten(),
        peer_rules: if may_see_peers { peer_rules(node) } else { Vec::new() },
        alarms,
        time: node.clock().now().to_string(),
        clock: node.clock_difference().map(|difference| ClockStatus {
            before: difference.is_before(),
            note: difference.to_string(),
        }),
    }
}

/// What a person must investigate: ledgers that contradict what was signed, and keys that have not been compared.
fn alarms(node: &Node) -> Vec<String> {
    let membership = node.membership();
    let mut alarms = membership.heads().alarms();
    alarms.extend(grant_alarms(node));
    let Some(roster) = membership.newest() else {
        return alarms;
    };
    let identity = node.identity();
    let ours = roster.member(&identity.institution);
    if let Some(member) = ours.filter(|member| member.key != identity.institution_public()) {
        alarms.push(format!(
            "the roster gives this institution the key {}, which this node does not have; ask the coordinator by telephone",
            member.key.fingerprint()
        ));
    }
    for UnconfirmedKey {
        institution,
        key,
        before,
    } in membership.unconfirmed_keys(&roster)
    {
        if institution != identity.institution {
            alarms.push(format!(
                "the holders of the charter replaced the key {} of `{institution}` by {}; compare it with `{institution}` by telephone, then run \
                 `concordat consortium confirm-key {institution} --fingerprint FINGERPRINT`",
                before.fingerprint(),
                key.fingerprint()
            ));
        }
    }
    alarms
}

/// Grants that permit nothing until a person has decided, or about which the other side states something else.
fn grant_alarms(node: &Node) -> Vec<String> {
    let mut alarms = Vec::new();
    let suspended = node.grants().suspended_by_restoration();
    if suspended > 0 {
        alarms.push(format!(
            "{suspended} grants are suspended because this node was restored from an older copy, which may lack a revocation; a data steward \
             decides about each with `concordat grant resume ID` or `concordat grant revoke ID`"
        ));
    }
    let differences = node.grants().differences().into_iter();
    alarms.extend(differences.map(|(grant, reason)| format!("grant {grant}: {reason}")));
    alarms
}

/// People who may be looking for what is withheld.
fn search_alarms(node: &Node) -> Vec<String> {
    match node.sharing().searching() {
        Ok(people) => people.iter().map(search_alarm).collect(),
        Err(error) => vec![format!("who receives withheld figures is not known: {error}")],
    }
}

fn search_alarm(
    Searching {
        collection,
        institution,
        person,
    }: &Searching,
) -> String {
    format!(
        "{person} of `{institution}` received {ISOLATING} answers or more about `{collection}` in 30 days with figures that were withheld because of \
         earlier answers: look at the queries in the ledger, and if they are a search suspend the grant with `concordat grant suspend ID`"
    )
}

/// Why a request would not be served now; empty if it would.
pub(super) fn unready(node: &Node) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Err(error) = node.ledger().ready() {
        reasons.push(error.to_string());
    }
    if let Err(error) = node.membership().valid_roster(node.clock().now()) {
        reasons.push(error.to_string());
    }
    if node.network().listen_addrs().is_empty() {
        reasons.push("the node listens on no address".to_owned());
    }
    reasons.extend(node.lifecycle().store_unavailable());
    reasons
}

/// How far the ledger has been verified since the start, and what was found; `None` once it is completely verified.
pub(super) fn verification(node: &Node) -> Option<LedgerVerification> {
    match &*node.ledger().verification().borrow() {
        Verification::Whole => None,
        Verification::Running { verified, of } => Some(LedgerVerification {
            failed: false,
            note: format!("the ledger is being verified: {verified} of {of} entries"),
        }),
        Verification::Failed { reason, .. } => Some(LedgerVerification {
            failed: true,
            note: format!("the verification of the ledger failed: {reason}"),
        }),
    }
}

/// The number of the newest roster.
pub(super) fn roster_number(node: &Node) -> Option<u64> {
    node.membership().newest().map(|roster| roster.number())
}

fn roster(node: &Node) -> Option<RosterStatus> {
    let newest = node.membership().newest()?;
    let charter = &newest.roster().charter;
    let ours = &node.identity().institution;
    Some(RosterStatus {
        number: newest.number(),
        expires: newest.roster().not_after.to_string(),
        other_members: newest
            .active_members()
            .filter(|member| member.institution != *ours)
            .count(),
        charter: CharterStatus {
            threshold: charter.threshold(),
            keys: charter.keys().iter().map(InstitutionPublicKey::fingerprint).collect(),
            note: charter.summary(),
        },
        refused: node.membership().refused().map(|refused| RefusedRoster {
            number: refused.number,
            reason: refused.reason,
            at: refused.at.to_string(),
        }),
    })
}

fn policy(node: &Node) -> Option<PolicyStatus> {
    let set = node.policies().current().ok()?;
    Some(PolicyStatus {
        number: set.number(),
        digest: set.digest(),
    })
}

fn peers(node: &Node) -> Vec<PeerStatus> {
    let sessions = node.network().sessions();
    let live = sessions.borrow().clone();
    let peers = live.iter().map(|(id, session)| PeerStatus {
        node: *id,
        institution: session.attested().map(|attested| attested.institution.clone()),
    });
    peers.collect()
}

fn own_rules(node: &Node) -> Option<AnnouncedRules> {
    node.rules().own().map(|statement| announced(&statement.rules))
}

fn peer_rules(node: &Node) -> Vec<concordat_documents::status::PeerRules> {
    let now = node.clock().now();
    let shown = |known: PeerRules| {
        let probe = node.rules().probed(&known.statement.node);
        let mismatches = probe.iter().flat_map(|probe| &probe.found);
        concordat_documents::status::PeerRules {
            node: known.statement.node,
            institution: known.statement.institution.clone(),
            rules: announced(&known.statement.rules),
            received: known.received.to_string(),
            weaker: known.weaker(now).iter().map(ToString::to_string).collect(),
            mismatches: mismatches.map(ToString::to_string).collect(),
            probed: probe.map(|probe| probe.at.to_string()),
        }
    };
    node.rules().peers().into_iter().map(shown).collect()
}

fn announced(rules: &EnforcedRules) -> AnnouncedRules {
    let tiers = rules.tiers().each().into_iter().map(|(tier, rules)| RulesAtTier {
        tier,
        min_cell: rules.min_cell,
        protections: rules.protections.iter().copied().collect(),
        queries_per_day: rules.queries_per_day,
        days: rules.days,
    });
    AnnouncedRules {
        version: rules.version().to_string(),
        policy: rules.policy(),
        tiers: tiers.collect(),
    }
}

fn rejected_peers(node: &Node) -> Vec<RejectedPeer> {
    let roster = node.membership().newest();
    let institution = |id: &NodeId| {
        let mut members = roster.iter().flat_map(|roster| &roster.roster().members);
        let member = members.find(|member| member.nodes.iter().any(|listed| listed.node == *id));
        member.map(|member| member.institution.clone())
    };
    let members = node.membership().rejected_peers();
    let rejected = members
        .into_iter()
        .map(|(id, Rejection { reason, clock })| RejectedPeer {
            node: id,
            institution: institution(&id),
            reason,
            clock,
        });
    rejected.collect()
}
