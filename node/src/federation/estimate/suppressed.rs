//! What the rules of a holder leave out or change, in sentences. They follow from the terms, and from no row.

use concordat_protocol::scope::{Protection, Tier, Transform};
use concordat_protocol::wire::messages::EstimatedTerms;

use crate::federation::planned_part::AnswerRows;
use crate::federation::source::Target;

/// The sentences about one answer of `target`; `sql` is its text, if it is known.
pub(super) fn suppressed(
    target: &Target,
    (rows, sql): (AnswerRows, Option<&str>),
    terms: &EstimatedTerms,
) -> Vec<String> {
    let mut sentences: Vec<String> = withheld(rows, terms).into_iter().collect();
    if terms.tier < Tier::Records && terms.protection != Protection::Exact {
        sentences.push(format!("figures are changed by noise: {}", terms.protection));
    }
    if let Some(most) = terms.limits.max_rows {
        sentences.push(format!("an answer of more than {most} rows is refused"));
    }
    let named = |column: &str| sql.is_none_or(|sql| sql.contains(column));
    let changed = target
        .columns
        .iter()
        .filter(|(column, transform)| *transform != Transform::Clear && named(column.as_str()));
    sentences.extend(changed.map(|(column, transform)| format!("`{column}` is shown as: {transform}")));
    sentences
}

/// What is withheld of figures about few subjects. Of private ones each is shown, also of no one: its noise is what protects it, and decides
/// at tier `exists`.
fn withheld(rows: AnswerRows, terms: &EstimatedTerms) -> Option<String> {
    let min_cell = terms.limits.min_cell;
    match terms.protection {
        Protection::Exact | Protection::Perturbed(_) => {}
        Protection::Private(_) if terms.tier == Tier::Exists => {
            return Some(format!(
                "`exists` is true if a number of subjects with noise is {min_cell} or more, also by the noise alone"
            ));
        }
        Protection::Private(_) => return None,
    }
    match (terms.tier, rows) {
        (Tier::Records, _) => None,
        (Tier::Exists, _) => Some(format!("`exists` is false for fewer than {min_cell} subjects")),
        (Tier::Count | Tier::Aggregate, AnswerRows::One) => {
            Some(format!("figures about fewer than {min_cell} subjects are withheld"))
        }
        (Tier::Count | Tier::Aggregate, AnswerRows::Groups | AnswerRows::Records) => Some(format!(
            "figures about fewer than {min_cell} subjects are withheld, and so are others from which they would follow"
        )),
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::scope::{Limits, Loss, Noise};

    use super::*;
    use crate::federation::testing::{Dataset, ints};

    fn target() -> Target {
        let columns = vec![("age", ints(&[41])), ("ward", ints(&[1])), ("score", ints(&[1]))];
        Dataset::new("aachen.heart", Tier::Records, columns)
            .showing("ward", Transform::Pseudonym)
            .target()
    }

    fn terms(tier: Tier, protection: Protection, max_rows: Option<u64>) -> EstimatedTerms {
        EstimatedTerms {
            tier,
            protection,
            limits: Limits {
                max_rows,
                min_cell: 12,
                ..Limits::default()
            },
            queries_left: None,
            noise: None,
        }
    }

    #[test]
    fn suppressed_is_what_the_terms_state() {
        let noise = Protection::Perturbed(Noise::new(5, 10, 1).unwrap());
        let found = |tier, rows, protection| {
            let terms = terms(tier, protection, None);
            suppressed(&target(), (rows, Some("SELECT score FROM heart")), &terms)
        };
        let exact = |tier, rows| found(tier, rows, Protection::Exact);
        assert_eq!(
            exact(Tier::Aggregate, AnswerRows::Groups),
            ["figures about fewer than 12 subjects are withheld, and so are others from which they would follow"]
        );
        assert_eq!(
            exact(Tier::Count, AnswerRows::One),
            ["figures about fewer than 12 subjects are withheld"]
        );
        assert_eq!(
            exact(Tier::Exists, AnswerRows::One),
            ["`exists` is false for fewer than 12 subjects"]
        );
        assert!(exact(Tier::Records, AnswerRows::Records).is_empty());
        let noisy = found(Tier::Count, AnswerRows::One, noise);
        assert!(noisy.len() == 2 && noisy[1].contains("noise"), "{noisy:?}");
        assert!(found(Tier::Records, AnswerRows::Records, noise).is_empty());
        let private = found(Tier::Aggregate, AnswerRows::Groups, Protection::Private(Loss::DEFAULT));
        assert!(
            private.len() == 1 && private[0].contains("noise"),
            "none is withheld: {private:?}"
        );
        let exists = found(Tier::Exists, AnswerRows::One, Protection::Private(Loss::DEFAULT));
        assert!(exists.len() == 2 && exists[0].contains("is 12 or more"), "{exists:?}");
    }

    #[test]
    fn suppressed_names_the_columns_of_the_text_that_are_changed() {
        let terms = terms(Tier::Records, Protection::Exact, Some(100));
        let of_text = |sql| suppressed(&target(), (AnswerRows::Records, sql), &terms);
        let most = "an answer of more than 100 rows is refused";
        assert_eq!(of_text(Some("SELECT age FROM heart")), [most]);
        let ward = "`ward` is shown as: pseudonym";
        assert_eq!(of_text(Some("SELECT \"ward\" FROM heart")), [most, ward]);
        // Of records whose columns are decided later, all that can be read.
        assert_eq!(of_text(None), [most, ward]);
    }
}
