//! Which groupings a tier permits.

use concordat_protocol::scope::Tier;

use crate::{
    QueryError,
    statistic::{CellAggregate, Statistic},
};

/// Checks what is decided about a query: at `aggregate` any groupings, below it one number of all rows or subjects of the query.
///
/// # Errors
/// [`QueryError::Tier`] for more than that, and [`QueryError::NotApplied`] at `records`, where there is nothing to decide.
pub(in crate::worker) fn check_tier(tier: Tier, statistics: &[Statistic]) -> Result<(), QueryError> {
    match tier {
        Tier::Aggregate => Ok(()),
        Tier::Exists | Tier::Count => match statistics {
            [one] if is_plain_count(one) => Ok(()),
            _ => Err(QueryError::Tier {
                tier,
                needs: "select one `count(*)` or `count(column)` without `GROUP BY`",
            }),
        },
        Tier::Records => Err(QueryError::NotApplied {
            detail: "records are not decided as cells".to_owned(),
        }),
    }
}

fn is_plain_count(statistic: &Statistic) -> bool {
    let counts = matches!(
        statistic.cells(),
        [CellAggregate::Rows { .. } | CellAggregate::Subjects { .. }]
    );
    counts && statistic.groups().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistic::tests::collections::Collection;

    fn statistics(sql: &str) -> Vec<Statistic> {
        let lowered = Collection::named("omop").lower(sql).unwrap();
        lowered.blocks.into_iter().map(|block| block.statistic).collect()
    }

    #[test]
    fn tier_of_counts_permits_one_number() {
        let one = statistics("SELECT count(*) AS n FROM person");
        let grouped = statistics("SELECT gender_source_value, count(*) AS n FROM person GROUP BY gender_source_value");
        let two = statistics("SELECT count(*) AS n, avg(year_of_birth) AS m FROM person");
        let mean = statistics("SELECT avg(year_of_birth) AS m FROM person");
        for tier in [Tier::Exists, Tier::Count] {
            check_tier(tier, &one).unwrap();
            for more in [&grouped, &two, &mean, &[one.clone(), one.clone()].concat(), &Vec::new()] {
                assert!(
                    matches!(check_tier(tier, more), Err(QueryError::Tier { .. })),
                    "{more:?}"
                );
            }
        }
        for all in [&one, &grouped, &two, &mean] {
            check_tier(Tier::Aggregate, all).unwrap();
            assert!(check_tier(Tier::Records, all).is_err());
        }
    }
}
