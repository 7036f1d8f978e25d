//! `concordat query --estimate`.

use concordat_documents::decision::Decision;
use concordat_documents::problem::Problem;
use concordat_documents::query::{EstimatedNoise, EstimatedPart, NoiseUnit, QueryEstimate, QueryRequest};
use concordat_protocol::scope::Tier;
use serde::Serialize;

use crate::context::Context;
use crate::output::{Column, Format};

/// What the table shows of a part.
const COLUMNS: [Column; 9] = [
    ("holder", "institution"),
    ("datasets", "datasets"),
    ("tier", "tier"),
    ("answers", "answers"),
    ("rows read", "about_rows_read"),
    ("rows", "about_rows"),
    ("bytes", "about_bytes"),
    ("ms", "about_ms"),
    ("queries left", "queries_left"),
];

/// Shows what a query would do. It is not sent.
pub(super) async fn run(request: &QueryRequest, context: &Context) -> Result<(), Problem> {
    let estimate: QueryEstimate = context.client()?.post("/v1/query/estimate", request).await?;
    if context.out.format() == Format::Json {
        return context.out.record(&estimate);
    }
    let lines: Vec<Line<'_>> = estimate.parts.iter().map(Line::of).collect();
    context.out.list(&lines, &COLUMNS)?;
    for remark in &estimate.remarks {
        context.out.remark(remark);
    }
    for note in notes(&estimate) {
        context.out.note(&note);
    }
    Ok(())
}

/// A part in a table: the figures are upper bounds by what is known before, and about.
#[derive(Serialize)]
struct Line<'a> {
    institution: &'a str,
    datasets: &'a [String],
    tier: Tier,
    answers: bool,
    about_rows_read: Option<u64>,
    about_rows: Option<u64>,
    about_bytes: Option<u64>,
    about_ms: Option<u64>,
    queries_left: Option<u32>,
}

impl<'a> Line<'a> {
    fn of(part: &'a EstimatedPart) -> Self {
        Self {
            institution: part.institution.as_str(),
            datasets: &part.datasets,
            tier: part.tier,
            answers: part.decision == Decision::Permit,
            about_rows_read: part.about_rows_read,
            about_rows: part.about_rows,
            about_bytes: part.about_bytes,
            about_ms: part.about_ms,
            queries_left: part.queries_left,
        }
    }
}

/// What the table does not show: why a holder refuses, what it leaves out, and whether there would be an answer. Each sentence once.
fn notes(estimate: &QueryEstimate) -> Vec<String> {
    let mut notes = Vec::new();
    for part in &estimate.parts {
        let about = part.datasets.join(", ");
        let refused = part.reasons.iter().map(|reason| format!("{about}: refused: {reason}"));
        let help = part.help.iter().map(|help| format!("{about}: what to do: {help}"));
        let suppressed = part.suppressed.iter().map(|sentence| format!("{about}: {sentence}"));
        let noise = part.noise.iter().map(|noise| format!("{about}: {}", budget(noise)));
        for note in refused.chain(help).chain(suppressed).chain(noise) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes.push(match estimate.decision {
        Decision::Permit => {
            "each holder decides again when it receives the query; nothing was sent or counted".to_owned()
        }
        Decision::Deny => {
            "the query would be refused, or its answer incomplete; nothing was sent or counted".to_owned()
        }
    });
    notes
}

/// How much of the noise is used, and what the query would use.
fn budget(noise: &EstimatedNoise) -> String {
    let unit = match noise.unit {
        NoiseUnit::Figures => "figures with noise",
        NoiseUnit::MillionthsOfRho => "millionths of rho",
    };
    let query = match noise.query {
        Some(query) => format!("this part of the query would use {query}, and none if it was answered before"),
        None => "what the query would use is not known".to_owned(),
    };
    format!(
        "your institution has {} {unit} for it, of which {} are used and {} are left; {query}",
        noise.allowed, noise.used, noise.left
    )
}

#[cfg(test)]
mod tests {
    use concordat_protocol::ids::GrantId;
    use concordat_protocol::scope::Purpose;

    use super::*;

    fn part(decision: Decision, reasons: &[&str]) -> EstimatedPart {
        EstimatedPart {
            institution: "budapest".parse().unwrap(),
            datasets: vec!["budapest.stays".to_owned()],
            grant: Some(GrantId::from_bytes([1; 16])),
            purpose: Purpose::HealthResearch,
            tier: Tier::Aggregate,
            sql: None,
            decision,
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
            help: (!reasons.is_empty()).then(|| "wait".to_owned()),
            protection: Some("exact".to_owned()),
            suppressed: vec!["figures about fewer than 10 subjects are withheld".to_owned()],
            queries_left: Some(3),
            noise: None,
            about_rows_read: Some(60),
            about_rows: Some(1),
            about_bytes: Some(8),
            about_ms: Some(32),
        }
    }

    fn estimate(parts: Vec<EstimatedPart>, decision: Decision) -> QueryEstimate {
        QueryEstimate {
            decision,
            parts,
            remarks: Vec::new(),
            about_bytes: Some(8),
            steps: Vec::new(),
        }
    }

    #[test]
    fn estimate_notes_name_what_a_holder_refuses_and_leaves_out() {
        let permitted = part(Decision::Permit, &[]);
        let found = notes(&estimate(vec![permitted.clone(), permitted], Decision::Permit));
        assert_eq!(found.len(), 2, "each sentence once: {found:?}");
        assert_eq!(
            found[0],
            "budapest.stays: figures about fewer than 10 subjects are withheld"
        );
        let denied = notes(&estimate(
            vec![part(Decision::Deny, &["the grant is suspended"])],
            Decision::Deny,
        ));
        assert_eq!(denied[0], "budapest.stays: refused: the grant is suspended");
        assert_eq!(denied[1], "budapest.stays: what to do: wait");
        assert!(denied.last().unwrap().starts_with("the query would be refused"));
    }

    #[test]
    fn estimate_notes_state_the_noise_that_is_left() {
        let noisy = |query| EstimatedPart {
            noise: Some(EstimatedNoise {
                unit: NoiseUnit::Figures,
                allowed: 32,
                used: 5,
                left: 27,
                query,
            }),
            ..part(Decision::Permit, &[])
        };
        for (query, expected) in [(Some(4), "would use 4, and none if"), (None, "is not known")] {
            let notes = notes(&estimate(vec![noisy(query)], Decision::Permit)).join("\n");
            let budget = "budapest.stays: your institution has 32 figures with noise for it, of which 5 are used and 27 are left; ";
            assert!(notes.contains(budget) && notes.contains(expected), "{notes}");
        }
        let exact = notes(&estimate(vec![part(Decision::Permit, &[])], Decision::Permit)).join("\n");
        assert!(!exact.contains("noise"), "{exact}");
    }

    #[test]
    fn estimate_line_has_a_value_for_each_column() {
        let part = part(Decision::Deny, &["no"]);
        let line = serde_json::to_value(Line::of(&part)).unwrap();
        for (_, path) in COLUMNS {
            assert!(line.get(path).is_some_and(|value| !value.is_null()), "{path}");
        }
        assert_eq!(line["answers"], false);
    }
}
