//! A probe: what a node answers about a canary, so that a peer can compare it with what the node announces ([`crate::probe`]).

use serde::{Deserialize, Serialize};

use super::{Refusal, SMALL_FRAME};
use crate::ids::CanarySeed;
use crate::probe::ProbeRun;
use crate::wire::codec::Frame;

/// Requests the answers about a canary.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeRequest {
    /// Of what the canary is generated: random, so that no one has the answers before.
    pub seed: CanarySeed,
}

impl Frame for ProbeRequest {
    const MAX: usize = 1024;
}

/// The answers about a canary.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ProbeReply {
    /// The answers to all statements, with each protection that the node applies.
    Answered(Vec<ProbeRun>),
    /// There are too many probes, or the node cannot answer now.
    Refused(Refusal),
}

impl Frame for ProbeReply {
    const MAX: usize = SMALL_FRAME;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{ProbeAnswer, ProbeStatement, ProbedCell};
    use crate::scope::{DeltaExponent, Finite, Loss, MicroRho, Protection};
    use crate::text::Label;
    use crate::wire::codec::{self, HEADER_LEN};

    /// Three protections, twelve statements, and at most ten groups with short labels.
    #[test]
    fn probe_with_the_most_cells_fits_into_a_frame() {
        let cell = ProbedCell {
            label: Some(Label::new("common-0").unwrap()),
            value: Some(Finite::new(123.456).unwrap()),
        };
        let rho = MicroRho::new(MicroRho::MAX).unwrap();
        let run = ProbeRun {
            protection: Protection::Private(Loss::new(rho, rho, DeltaExponent::new(12).unwrap()).unwrap()),
            answers: vec![ProbeAnswer::Cells(vec![cell; 10]); ProbeStatement::ALL.len()],
        };
        let reply = ProbeReply::Answered(vec![run.clone(), run.clone(), run]);
        let frame = codec::encode(&reply).unwrap();
        assert!(frame.len() < ProbeReply::MAX / 3, "{}", frame.len());
        let read: ProbeReply = codec::decode(&frame[HEADER_LEN..]).unwrap();
        assert!(matches!(read, ProbeReply::Answered(runs) if runs.len() == 3));
    }
}
