//! The columns of answers, by the texts that are sent.
//!
//! What a provider will answer to a text follows from the text and from the columns that the grant shows. The same text over the same columns is
//! therefore planned once, however often it is sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use concordat_engine::{QueryError, foreseen};
use datafusion::arrow::datatypes::SchemaRef;

use super::source::Target;

/// Most answers that are known; when there are more, all are dropped.
const MAX_KNOWN: usize = 512;
/// Longest text that is kept, in bytes: all of them together take at most two megabytes.
const MAX_TEXT: usize = 4096;

/// What is known of answers.
#[derive(Debug, Default)]
pub(super) struct ForeseenAnswers(Mutex<HashMap<String, Vec<Known>>>);

/// What is known of one text.
#[derive(Debug)]
struct Known {
    target: Target,
    /// The columns that it was planned on.
    shown: SchemaRef,
    /// The columns of the answer.
    answer: SchemaRef,
}

impl Known {
    /// Whether the text means the same for another target.
    fn is_of(&self, target: &Target, shown: &SchemaRef) -> bool {
        let of = &self.target;
        (&of.dataset, of.version, of.tier) == (&target.dataset, target.version, target.tier)
            && (Arc::ptr_eq(&self.shown, shown) || self.shown == *shown)
    }
}

impl ForeseenAnswers {
    /// The columns that the answer of `target` to `sql` has, if it shows these columns.
    ///
    /// # Errors
    /// The error with which the provider would refuse the text. It is not kept.
    pub(super) async fn columns(&self, sql: &str, target: &Target, shown: &SchemaRef) -> Result<SchemaRef, QueryError> {
        let known = self.with(|known| {
            let of_text = known.get(sql)?;
            let known = of_text.iter().find(|known| known.is_of(target, shown))?;
            Some(Arc::clone(&known.answer))
        });
        if let Some(answer) = known {
            return Ok(answer);
        }
        let answer = foreseen(sql, &target.dataset, target.version, shown, target.tier).await?;
        if sql.len() <= MAX_TEXT {
            self.with(|known| {
                if known.values().map(Vec::len).sum::<usize>() >= MAX_KNOWN {
                    known.clear();
                }
                known.entry(sql.to_owned()).or_default().push(Known {
                    target: target.clone(),
                    shown: Arc::clone(shown),
                    answer: Arc::clone(&answer),
                });
            });
        }
        Ok(answer)
    }

    fn with<T>(&self, access: impl FnOnce(&mut HashMap<String, Vec<Known>>) -> T) -> T {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::scope::Tier;
    use datafusion::arrow::array::Float64Array;

    use super::*;
    use crate::federation::testing::{Dataset, ints};

    /// Each answer is the one that planning gives, in whichever order the texts, columns and tiers come.
    #[tokio::test]
    async fn foreseen_answer_is_known_for_the_same_text_columns_and_tier_only() {
        let of = |tier, columns| Dataset::new("aachen.heart", tier, vec![("x", columns)]);
        let datasets = [
            of(Tier::Records, ints(&[1])),
            of(Tier::Records, Arc::new(Float64Array::from(vec![1.0]))),
            of(Tier::Count, ints(&[1])),
        ];
        let texts = [
            "SELECT x FROM heart",
            "SELECT count(*) AS n FROM heart",
            "SELECT sum(x) AS s FROM heart",
            "SELECT y FROM heart",
        ];
        let answers = ForeseenAnswers::default();
        for _ in 0..2 {
            for sql in texts {
                for dataset in &datasets {
                    let (target, shown) = (dataset.target(), dataset.schema());
                    let planned = foreseen(sql, &target.dataset, target.version, &shown, target.tier).await;
                    let found = answers.columns(sql, &target, &shown).await;
                    match (planned, found) {
                        (Ok(planned), Ok(found)) => assert_eq!(planned, found, "{sql}"),
                        (Err(planned), Err(found)) => assert_eq!(planned.to_string(), found.to_string(), "{sql}"),
                        other => panic!("{sql}: {other:?}"),
                    }
                }
            }
        }
        assert_eq!(answers.with(|known| known.len()), 3, "an error was kept");
    }

    #[tokio::test]
    async fn foreseen_answers_are_bounded() {
        let dataset = Dataset::new("aachen.heart", Tier::Records, vec![("x", ints(&[1]))]);
        let answers = ForeseenAnswers::default();
        for number in 0..=MAX_KNOWN {
            let sql = format!("SELECT {number} AS n, x FROM heart");
            answers
                .columns(&sql, &dataset.target(), &dataset.schema())
                .await
                .unwrap();
        }
        assert_eq!(answers.with(|known| known.len()), 1);
        let long = format!("SELECT x FROM heart WHERE {} x > 1", "x > 0 AND ".repeat(MAX_TEXT / 8));
        drop(answers.columns(&long, &dataset.target(), &dataset.schema()).await);
        assert_eq!(answers.with(|known| known.len()), 1);
    }
}
