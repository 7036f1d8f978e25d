//! Figures with noise, of which an answer has a remark.

use concordat_documents::query::{AnswerRemark, RemarkKind};
use concordat_protocol::scope::{Noise, Protection};

use super::*;

/// It follows from the permission, and is the same for one holder and for several.
#[tokio::test]
async fn plan_figures_with_noise_have_a_remark() {
    let holders = |tier| {
        let aachen = heart("aachen.heart", tier, &[40, 41, 50], &[200, 210, 220]);
        let basel = heart("basel.heart", Tier::Records, &[60, 61], &[230, 241]);
        Institutions::new(vec![aachen, basel])
    };
    let perturbed = Protection::Perturbed(Noise::default());
    let all = Arc::new(holders(Tier::Aggregate).protecting(perturbed));
    for table in ["aachen.heart", "consortium.heart"] {
        for figures in ["count(*)", "avg(chol)"] {
            let (plan, report) = all.plan(&format!("SELECT {figures} AS f FROM {table}")).await;
            plan.unwrap();
            let remarks = report.summary().remarks;
            let found: Vec<_> = remarks
                .iter()
                .filter(|remark| remark.kind == RemarkKind::Noise)
                .collect();
            // One on all figures, and of a mean one on its column.
            let expected: &[Option<&str>] = match figures {
                "count(*)" => &[None],
                _ => &[None, Some("chol")],
            };
            let columns: Vec<Option<&str>> = found.iter().map(|remark| remark.column.as_deref()).collect();
            assert_eq!(
                columns, expected,
                "{table} {figures}: records have no noise: {remarks:?}"
            );
            let of_aachen = |remark: &&AnswerRemark| remark.institution.as_ref().unwrap().as_str() == "aachen";
            assert!(found.iter().all(of_aachen), "{found:?}");
            assert!(report.require_complete().is_ok());
        }
    }
    for (all, tier) in [
        (all, Tier::Records),
        (Arc::new(holders(Tier::Aggregate)), Tier::Aggregate),
        (Arc::new(holders(Tier::Exists).protecting(perturbed)), Tier::Exists),
    ] {
        let institution = if tier == Tier::Records { "basel" } else { "aachen" };
        let (plan, report) = all
            .plan(&format!("SELECT count(*) AS n FROM {institution}.heart"))
            .await;
        plan.unwrap();
        let remarks = report.summary().remarks;
        assert!(
            remarks.iter().all(|remark| remark.kind != RemarkKind::Noise),
            "{tier:?}: {remarks:?}"
        );
    }
}
