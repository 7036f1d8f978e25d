//! What `concordat doctor` finds: each check examines one thing and reports it as ok, or what is wrong and the command that fixes it.
//!
//! What only the daemon knows is checked here, using its status. The checks of a data directory are in `concordat-program`.

use concordat_documents::problem::Problem;
use concordat_documents::status::{ClockStatus, PeerRules, PeerStatus, RosterStatus, Status};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::time::Timestamp;
use serde::Serialize;

use crate::context::Context;
use crate::output::Column;

/// How far the clocks of this command and of the daemon may be apart, in milliseconds.
const CLOCK_TOLERANCE_MS: i64 = 5_000;
/// A roster that ends sooner than this should be renewed: a week, in milliseconds.
const ROSTER_WARNING_MS: i64 = 7 * 24 * 3600 * 1000;

const COLUMNS: [Column; 4] = [
    ("check", "check"),
    ("", "state"),
    ("what", "what"),
    ("fix it with", "fix"),
];

/// What a check found.
#[derive(Debug)]
pub struct Finding {
    check: &'static str,
    /// Useful information although nothing is wrong.
    note: Option<String>,
    wrong: Option<(String, String)>,
}

impl Finding {
    /// Nothing is wrong.
    #[must_use]
    pub fn ok(check: &'static str) -> Self {
        Self {
            check,
            note: None,
            wrong: None,
        }
    }

    /// Nothing is wrong, and this is useful to know.
    pub fn noted(check: &'static str, note: impl Into<String>) -> Self {
        Self {
            note: Some(note.into()),
            ..Self::ok(check)
        }
    }

    /// This is wrong; the command `fix` repairs it.
    pub fn wrong(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            check,
            note: None,
            wrong: Some((what.into(), fix.into())),
        }
    }

    fn row(&self) -> Row<'_> {
        let (what, fix) = self
            .wrong
            .as_ref()
            .map(|(what, fix)| (what.as_str(), fix.as_str()))
            .unzip();
        Row {
            check: self.check,
            state: if self.wrong.is_none() { "ok" } else { "wrong" },
            what: what.or(self.note.as_deref()),
            fix,
        }
    }
}

/// A finding as it is printed.
#[derive(Debug, Serialize)]
struct Row<'a> {
    check: &'static str,
    state: &'static str,
    what: Option<&'a str>,
    fix: Option<&'a str>,
}

/// Prints the findings of a check of the node.
///
/// # Errors
/// If something is wrong, with the names of these checks.
pub fn report(findings: &[Finding], context: &Context) -> Result<(), Problem> {
    let rows: Vec<Row<'_>> = findings.iter().map(Finding::row).collect();
    context.out.list(&rows, &COLUMNS)?;
    let wrong: Vec<&str> = findings.iter().filter(|f| f.wrong.is_some()).map(|f| f.check).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let found = format!(
        "{} of {} checks found a problem: {}",
        wrong.len(),
        findings.len(),
        wrong.join(", ")
    );
    let mut problem = Problem::new(ErrorKind::Internal, found);
    problem.title = "the node needs attention".to_owned();
    Err(problem)
}

/// Checks of what only the daemon knows.
#[must_use]
pub fn running(status: &Status, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("daemon"), clock(status, now), roster(status, now)];
    findings.push(peers(status));
    findings.push(readiness(status));
    findings.push(ledgers(status));
    findings.push(rules(status));
    findings
}

/// Why a request would not be served now, with what fixes each cause that the status shows.
fn readiness(status: &Status) -> Finding {
    if status.reasons.is_empty() {
        return Finding::ok("readiness");
    }
    let unverified = status.ledger_verification.as_ref().is_some_and(|found| found.failed);
    let causes = [
        (status.roster.is_none(), "concordat consortium join ROSTER"),
        (
            status.listen.is_empty(),
            "set node.listen in concordat.toml, then restart the node",
        ),
        (unverified, "restore the folder `ledger` from a backup"),
    ];
    let fixes: Vec<&str> = causes
        .iter()
        .filter(|(is_one, _)| *is_one)
        .map(|(_, fix)| *fix)
        .collect();
    let fix = if fixes.is_empty() {
        "remove the cause, which the log of `concordat serve` explains, then restart the node".to_owned()
    } else {
        fixes.join("; ")
    };
    Finding::wrong("readiness", status.reasons.join("; "), fix)
}

/// No member is connected although there are others.
fn peers(status: &Status) -> Finding {
    match &status.roster {
        Some(roster) if status.connected == 0 && roster.other_members > 0 => {
            Finding::wrong("peers", "no member is connected", "concordat consortium roster show")
        }
        Some(roster) if roster.other_members == 0 => {
            Finding::noted("peers", "this institution is the only active member of its consortium")
        }
        Some(_) | None => Finding::ok("peers"),
    }
}

/// A ledger that contradicts what its node has signed, here or at a peer, and grants that a restore has suspended.
fn ledgers(status: &Status) -> Finding {
    if status.alarms.is_empty() {
        Finding::ok("ledgers")
    } else {
        Finding::wrong(
            "ledgers",
            status.alarms.join("; "),
            "concordat consortium ledger list; concordat grant list",
        )
    }
}

/// What peers announce that they enforce. Nothing here repairs what is set at another institution, so it is not wrong, but to be known.
fn rules(status: &Status) -> Finding {
    let mut notes: Vec<String> = status.peer_rules.iter().filter_map(mismatches).collect();
    notes.extend(status.peer_rules.iter().filter_map(weaker_rules));
    let connected = status.peers.iter().flatten();
    notes.extend(connected.filter_map(|peer| unannounced(peer, &status.peer_rules)));
    if notes.is_empty() {
        Finding::ok("rules")
    } else {
        Finding::noted("rules", notes.join("; "))
    }
}

/// What a peer announces and does not do, as far as its answers about generated data show it.
fn mismatches(peer: &PeerRules) -> Option<String> {
    let PeerRules {
        node,
        institution,
        mismatches,
        ..
    } = peer;
    let found = (!mismatches.is_empty()).then(|| mismatches.join(", "))?;
    Some(format!(
        "node {} of {institution} does not answer as it announces, so inform the institution: {found}",
        node.short()
    ))
}

/// What a peer has weakened.
fn weaker_rules(peer: &PeerRules) -> Option<String> {
    let PeerRules {
        node,
        institution,
        weaker,
        ..
    } = peer;
    let weaker = (!weaker.is_empty()).then(|| weaker.join(", "))?;
    Some(format!(
        "node {} of {institution} announces weaker rules than before: {weaker}",
        node.short()
    ))
}

/// A connected peer that has not announced what it enforces.
fn unannounced(peer: &PeerStatus, known: &[PeerRules]) -> Option<String> {
    let institution = peer.institution.as_ref()?;
    let is_known = known.iter().any(|known| known.node == peer.node);
    (!is_known).then(|| format!("node {} of {institution} announces no rules", peer.node.short()))
}

fn clock(status: &Status, now: Timestamp) -> Finding {
    match Timestamp::parse(&status.time) {
        Ok(there) if now.since(there).abs() > CLOCK_TOLERANCE_MS => Finding::wrong(
            "clock",
            "the clock has changed since the node started",
            "timedatectl set-ntp true",
        ),
        Ok(_) | Err(_) => clock_at_start(status.clock.as_ref()),
    }
}

/// A clock that is far after the ledger is right if the node was stopped or idle that long; one far before it never is.
fn clock_at_start(difference: Option<&ClockStatus>) -> Finding {
    match difference {
        Some(ClockStatus { before: true, note }) => {
            Finding::wrong("clock", note, "timedatectl set-ntp true; concordat audit tail")
        }
        Some(ClockStatus { before: false, note }) => Finding::noted("clock", note),
        None => Finding::ok("clock"),
    }
}

fn roster(status: &Status, now: Timestamp) -> Finding {
    let newest = status.roster.as_ref();
    let expiry = newest.and_then(|roster| Some((roster, Timestamp::parse(&roster.expires).ok()?)));
    match expiry {
        None => Finding::wrong(
            "roster",
            "this node is not in a consortium",
            "concordat consortium join ROSTER",
        ),
        Some((_, end)) if end.since(now) < ROSTER_WARNING_MS => Finding::wrong(
            "roster",
            format!("the roster expires at {end}"),
            "ask the coordinator for a new one",
        ),
        Some((roster, _)) => refused_roster(roster),
    }
}

/// A roster that is signed with the charter key but was refused by this node must be investigated by a person.
fn refused_roster(roster: &RosterStatus) -> Finding {
    match &roster.refused {
        Some(refused) => Finding::wrong(
            "roster",
            format!("roster {} was refused: {}", refused.number, refused.reason),
            "concordat consortium roster show",
        ),
        None => Finding::noted("roster", &roster.charter.note),
    }
}

#[cfg(test)]
mod tests {
    use concordat_documents::status::{AnnouncedRules, CharterStatus};
    use concordat_protocol::identity::{NodeKey, PrivateKey as _};
    use concordat_protocol::ids::Digest32;

    use super::*;

    #[test]
    fn doctor_reports_a_clock_far_from_the_ledger() {
        let found = |before| {
            let note = "both times".to_owned();
            clock_at_start(Some(&ClockStatus { before, note }))
        };
        assert!(found(true).wrong.is_some());
        let after = found(false);
        assert_eq!(
            (after.wrong.is_some(), after.note.as_deref()),
            (false, Some("both times"))
        );
        let none = clock_at_start(None);
        assert_eq!((none.wrong.is_some(), none.note), (false, None));
    }

    #[test]
    fn doctor_misses_peers_only_if_there_are_other_members() {
        let found = |connected, other_members| {
            let charter = CharterStatus {
                threshold: 1,
                keys: Vec::new(),
                note: String::new(),
            };
            let roster = RosterStatus {
                number: 1,
                expires: String::new(),
                other_members,
                charter,
                refused: None,
            };
            peers(&Status {
                roster: Some(roster),
                connected,
                ..without_roster()
            })
            .wrong
            .is_some()
        };
        assert!(found(0, 2));
        assert!(!found(1, 2));
        assert!(!found(0, 0));
    }

    #[test]
    fn doctor_notes_weaker_and_missing_rules_of_peers() {
        let node = NodeKey::from_seed(&[2; 32].into()).public();
        let peer = PeerStatus {
            node,
            institution: Some("budapest".parse().unwrap()),
        };
        let found = |peer_rules| {
            let status = Status {
                peers: Some(vec![peer.clone()]),
                peer_rules,
                ..without_roster()
            };
            let found = rules(&status);
            assert!(found.wrong.is_none());
            found.note
        };
        let known = |weaker: &[&str]| {
            vec![PeerRules {
                node,
                institution: "budapest".parse().unwrap(),
                rules: AnnouncedRules {
                    version: String::new(),
                    policy: Digest32::ZERO,
                    tiers: Vec::new(),
                },
                received: String::new(),
                weaker: weaker.iter().map(|weaker| (*weaker).to_owned()).collect(),
                probed: None,
                mismatches: Vec::new(),
            }]
        };
        let short = node.short();
        assert_eq!(found(known(&[])), None);
        let weaker = format!("node {short} of budapest announces weaker rules than before: a, b");
        assert_eq!(found(known(&["a", "b"])), Some(weaker));
        assert_eq!(
            found(Vec::new()),
            Some(format!("node {short} of budapest announces no rules"))
        );
        let mut probed = known(&[]);
        probed[0].mismatches = vec!["a".to_owned(), "b".to_owned()];
        let expected =
            format!("node {short} of budapest does not answer as it announces, so inform the institution: a, b");
        assert_eq!(found(probed), Some(expected));
    }

    #[test]
    fn doctor_without_roster_suggests_joining() {
        let status = without_roster();
        let wrong: Vec<&str> = running(&status, Timestamp::from_millis(0))
            .iter()
            .filter(|f| f.wrong.is_some())
            .map(|f| f.check)
            .collect();
        assert_eq!(wrong, ["roster", "readiness"]);
    }

    #[test]
    fn doctor_names_what_fixes_each_cause() {
        let fix = |status: &Status| readiness(status).wrong.unwrap().1;
        let status = without_roster();
        assert_eq!(
            fix(&status),
            "concordat consortium join ROSTER; set node.listen in concordat.toml, then restart the node"
        );
        let listening = Status {
            listen: vec!["/ip4/127.0.0.1/tcp/7400".to_owned()],
            ..status
        };
        assert_eq!(fix(&listening), "concordat consortium join ROSTER");
    }

    fn without_roster() -> Status {
        let node = NodeKey::from_seed(&[1; 32].into()).public();
        Status {
            institution: "cleveland".parse().unwrap(),
            name: "Cleveland".parse().unwrap(),
            jurisdiction: "US".parse().unwrap(),
            node,
            fingerprint: String::new(),
            version: String::new(),
            ready: false,
            reasons: vec!["no roster".to_owned()],
            listen: Vec::new(),
            roster: None,
            policy: None,
            ledger_entries: 0,
            ledger_verification: None,
            connected: 0,
            peers: None,
            rejected_peers: Vec::new(),
            rules: None,
            peer_rules: Vec::new(),
            alarms: Vec::new(),
            time: String::new(),
            clock: None,
        }
    }
}
