//! Probes: what is found of members that do not do what they announce, and what a member can make others do with its own.

use std::time::Duration;

use concordat_protocol::audit::EntryBody;
use concordat_protocol::canary::Canary;
use concordat_protocol::ids::{CanarySeed, Digest32, NodeId};
use concordat_protocol::policy_set::Settings;
use concordat_protocol::probe::{
    CellTruth, Mismatch, ProbeAnswer, ProbeRun, ProbeStatement, ProbedCell, ProbedRule, ProbedRules, check,
};
use concordat_protocol::scope::{Finite, Noise, Protection, ProtectionName};
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Label;
use concordat_protocol::wire::messages::{
    EnforcedRules, ProbeReply, ProbeRequest, Refusal, RefusalCode, RulesByTier, RulesFrame, RulesStatement, TierRules,
};
use concordat_protocol::wire::streams::{PROBE, RULES};

use super::malicious_peer::{MaliciousPeer, Wire, sign, soon};
use super::rules::statement;
use super::well_behaved::{InProcessNode, World};

/// What each of them announces as the least number of subjects.
const MIN_CELL: u16 = 10;
/// How often it is checked whether something has happened.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How a member is set, whatever it announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    AsAnnounced,
    NoMinimum,
    NoMemory,
    NoNoise,
    Refusing,
}

impl Setting {
    fn protection(self) -> Protection {
        match self {
            Self::NoNoise => Protection::Perturbed(Noise::new(3, 5, 5).unwrap()),
            Self::AsAnnounced | Self::NoMinimum | Self::NoMemory | Self::Refusing => Protection::Exact,
        }
    }

    fn expected(self) -> Vec<ProbedRule> {
        match self {
            Self::AsAnnounced | Self::Refusing => Vec::new(),
            Self::NoMinimum => vec![ProbedRule::MinCell],
            Self::NoMemory => vec![ProbedRule::Difference],
            Self::NoNoise => vec![ProbedRule::Noise],
        }
    }

    fn shows(self, statement: ProbeStatement, truth: &CellTruth) -> bool {
        let is_large = truth.subjects >= MIN_CELL || self == Self::NoMinimum;
        let is_new = statement != ProbeStatement::YoungerOfSite || self == Self::NoMemory;
        is_large && is_new
    }

    fn reply(self, seed: CanarySeed) -> ProbeReply {
        if self == Self::Refusing {
            return ProbeReply::Refused(Refusal::because(RefusalCode::Busy, "not now"));
        }
        let canary = Canary::of(*seed.as_bytes());
        let answer = |statement: ProbeStatement| {
            let truths = statement.truths(&canary);
            let cells = truths.iter().map(|(label, truth)| ProbedCell {
                label: label.as_deref().map(Label::sanitized),
                value: self
                    .shows(statement, truth)
                    .then(|| Finite::new(truth.value()).unwrap()),
            });
            ProbeAnswer::Cells(cells.collect())
        };
        ProbeReply::Answered(vec![ProbeRun {
            protection: self.protection(),
            answers: ProbeStatement::ALL.map(answer).to_vec(),
        }])
    }
}

/// A statement of rules with one protection.
fn announced(attacker: &MaliciousPeer, protection: ProtectionName) -> Signed<RulesStatement> {
    let tiers = RulesByTier::of(|_| TierRules {
        min_cell: u32::from(MIN_CELL),
        protections: [protection].into(),
        queries_per_day: 1000,
        days: 365,
    });
    let announced = RulesStatement {
        rules: EnforcedRules::new(Label::new("0").unwrap(), Digest32::ZERO, tiers),
        ..statement(attacker, 1, u32::from(MIN_CELL))
    };
    sign(&announced, &attacker.node)
}

/// Announces a protection, and answers probes as it is set.
fn serve(attacker: &MaliciousPeer, setting: Setting) {
    let statement = announced(attacker, setting.protection().name());
    let mut rules = attacker.accept(RULES);
    tokio::spawn(async move {
        loop {
            let (_, mut stream) = Wire::next(&mut rules).await;
            let statement = statement.clone();
            if stream.recv::<RulesFrame>().await.is_ok() {
                stream.send(&RulesFrame { statement }).await.ok();
                stream.is_dropped().await;
            }
        }
    });
    let mut probes = attacker.accept(PROBE);
    tokio::spawn(async move {
        loop {
            let (_, mut stream) = Wire::next(&mut probes).await;
            if let Ok(ProbeRequest { seed }) = stream.recv().await {
                stream.send(&setting.reply(seed)).await.ok();
                stream.is_dropped().await;
            }
        }
    });
}

/// What the entries of `target` name as not announced by the node `of`.
fn mismatches(target: &InProcessNode, of: NodeId) -> Vec<Vec<ProbedRule>> {
    let ledger = target.node.ledger();
    let stored = ledger.range(0, ledger.size()).unwrap();
    let about = |body: &EntryBody| {
        if let EntryBody::RulesMismatch { node, found, .. } = body {
            (*node == of).then(|| rules(found.iter()))
        } else {
            None
        }
    };
    stored.iter().filter_map(|stored| about(&stored.entry.body)).collect()
}

fn rules<'a>(found: impl Iterator<Item = &'a Mismatch>) -> Vec<ProbedRule> {
    found.map(|found| found.rule).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probe_finds_members_that_do_not_do_as_announced() {
    let world = World::new().await;
    let settings = [
        Setting::AsAnnounced,
        Setting::NoMinimum,
        Setting::NoMemory,
        Setting::NoNoise,
        Setting::Refusing,
    ];
    let names = ["basel", "bern", "chur", "geneva", "lugano"];
    let mut attackers = Vec::new();
    for ((setting, name), seed) in settings.into_iter().zip(names).zip(20..) {
        let attacker = MaliciousPeer::start(name, seed);
        world.admit(&attacker).await;
        serve(&attacker, setting);
        attacker.meet(&world.provider).await;
        attackers.push((setting, attacker));
    }
    let provider = &world.provider.node;
    provider.rules().probe_due().await;
    // Not due again on the same day.
    provider.rules().probe_due().await;
    for (setting, attacker) in &attackers {
        let probe = provider.rules().probed(&attacker.id());
        let found = probe.map(|probe| rules(probe.found.iter()));
        let expected = (*setting != Setting::Refusing).then(|| setting.expected());
        assert_eq!(found, expected, "{setting:?}");
        let entries: Vec<Vec<ProbedRule>> = expected.into_iter().filter(|rules| !rules.is_empty()).collect();
        assert_eq!(mismatches(&world.provider, attacker.id()), entries, "{setting:?}");
    }
    world.assert_still_serving().await;
}

/// The node as it is: its answers are compared with the truth, and some of them are figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_of_a_member_are_answered_a_few_times_a_day() {
    let world = World::connected().await;
    let rules = world.provider.node.rules();
    let mut answered = 0;
    for number in 0..10 {
        let seed = CanarySeed::from_bytes([number; 32]);
        let request = ProbeRequest { seed };
        let reply = world.attacker.request::<ProbeReply>(&world.provider, PROBE, &request);
        match reply.await.unwrap() {
            ProbeReply::Answered(runs) => {
                answered += 1;
                assert_as_announced(seed, &runs);
            }
            ProbeReply::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::Busy),
        }
    }
    assert_eq!(answered, 4);
    assert!(rules.probed(&world.attacker.id()).is_none(), "it was not probed itself");
    world.assert_still_serving().await;
}

fn assert_as_announced(seed: CanarySeed, runs: &[ProbeRun]) {
    let canary = Canary::of(*seed.as_bytes());
    let protections = ProtectionName::ALL.into_iter();
    let announced = ProbedRules {
        min_cell: u32::from(MIN_CELL),
        protections: protections
            .filter(|name| *name >= Settings::default().protection)
            .collect(),
    };
    let found = check(&canary, &announced, runs);
    assert!(found.is_empty(), "{found:?}: {runs:?}");
    for run in runs {
        for statement in [
            ProbeStatement::Sites,
            ProbeStatement::Sexes,
            ProbeStatement::Codes,
            ProbeStatement::All,
        ] {
            let at = ProbeStatement::ALL
                .iter()
                .position(|known| *known == statement)
                .unwrap();
            let ProbeAnswer::Cells(cells) = &run.answers[at] else {
                panic!("{statement:?} is refused: {run:?}");
            };
            assert!(cells.iter().any(|cell| cell.value.is_some()), "{statement:?}: {run:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probe_of_a_well_behaved_member_finds_nothing() {
    let world = World::new().await;
    let nodes = [&world.provider, &world.member];
    let ids = nodes.map(|node| node.node.identity().node());
    for (prober, peer) in [(nodes[0], ids[1]), (nodes[1], ids[0])] {
        let probed = async {
            loop {
                prober.node.rules().probe_due().await;
                if let Some(probe) = prober.node.rules().probed(&peer) {
                    return probe;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let probe = soon(probed).await;
        assert!(probe.found.is_empty(), "{probe:?}");
        assert!(mismatches(prober, peer).is_empty());
    }
    world.assert_still_serving().await;
}
