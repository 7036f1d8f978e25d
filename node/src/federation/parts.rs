//! What each member computes of a grouping below tier `records`, so that an aggregate over all members follows from their answers.
//!
//! Numbers of rows and subjects, and sums, are added. Everything else that is computed from moments follows from the number of values, the
//! mean and the variance of each member, of pairs also from the covariance: the holders compute these for any query, so that no holder
//! computes anything for this node that a person could not query. A mean, a variance and a covariance have the same set of values, so they
//! are one distinction for the holder's memory. A quantile does not follow from those of the members.

use concordat_engine::{CellAggregate, CellColumn, Condition, Grouping, Measured, Output, Quantity};

use super::merge::Combined;

/// The aggregates that members compute.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    grouping: &'a Grouping,
    cells: Vec<CellAggregate>,
}

impl<'a> Parts<'a> {
    /// None yet.
    pub(super) const fn new(grouping: &'a Grouping) -> Self {
        Self {
            grouping,
            cells: Vec::new(),
        }
    }

    /// The aggregates so far: the number of each is its position.
    pub(super) fn cells(&self) -> &[CellAggregate] {
        &self.cells
    }

    /// Whether each of the aggregates is a number of rows or subjects.
    pub(super) fn counts(&self) -> Vec<bool> {
        let is_count = |cell: &CellAggregate| match cell {
            CellAggregate::Subjects { .. } | CellAggregate::Rows { .. } => true,
            CellAggregate::Moments { .. } | CellAggregate::Quantile { .. } => false,
        };
        self.cells.iter().map(is_count).collect()
    }

    /// A column of the grouping that is an aggregate; `None` for a group. If there is only one member, its aggregate is requested as it is.
    ///
    /// # Errors
    /// Why it does not follow from the answers of several members, with what to write instead.
    pub(super) fn combined(&mut self, column: CellColumn, one_member: bool) -> Result<Option<Combined>, String> {
        let grouping = self.grouping;
        let cell = |at: usize| grouping.statistic().cells().get(at).cloned();
        Ok(match column {
            CellColumn::Group(_) => None,
            CellColumn::Cell(at) => match cell(at) {
                Some(cell) if one_member => Some(Combined::Sum(self.part(cell))),
                Some(cell) => Some(self.aggregate(cell)?),
                None => None,
            },
            CellColumn::Scaled { of, by, plus } => {
                let of = self.combined(CellColumn::Cell(of), one_member)?;
                of.map(|of| Combined::Scaled {
                    of: Box::new(of),
                    by: by.get(),
                    plus: plus.get(),
                })
            }
            CellColumn::Quotient { of, by } => match (cell(of), cell(by)) {
                (Some(of), Some(by)) => Some(Combined::Quotient {
                    of: self.part(of),
                    by: self.part(by),
                }),
                _ => None,
            },
        })
    }

    fn aggregate(&mut self, cell: CellAggregate) -> Result<Combined, String> {
        match cell {
            CellAggregate::Subjects { .. }
            | CellAggregate::Rows { .. }
            | CellAggregate::Moments {
                output: Output::Sum, ..
            } => Ok(Combined::Sum(self.part(cell))),
            CellAggregate::Moments {
                of,
                with: None,
                output,
                filter,
            } => self.values(&of, output, &filter),
            CellAggregate::Moments {
                of,
                with: Some(with),
                output,
                filter,
            } => self.pairs([of, with], output, filter),
            CellAggregate::Quantile { .. } => Err(
                "a quantile over several members does not follow from theirs: count the levels of the column with `GROUP BY`, or query each \
                 member by name"
                    .to_owned(),
            ),
        }
    }

    fn values(&mut self, of: &Quantity, output: Output, filter: &Condition) -> Result<Combined, String> {
        let present = self.present(of)?;
        let count = self.count(Condition::all(vec![filter.clone(), present]));
        let moment = |output| CellAggregate::Moments {
            of: of.clone(),
            with: None,
            output,
            filter: filter.clone(),
        };
        let mean = self.part(moment(Output::Mean));
        let variance = (output != Output::Mean).then(|| self.part(moment(Output::VarianceOfPopulation)));
        Ok(Combined::Values {
            count,
            mean,
            variance,
            output,
        })
    }

    /// Moments of two operands are those of the rows that have both.
    fn pairs(&mut self, of: [Quantity; 2], output: Output, filter: Condition) -> Result<Combined, String> {
        let [first, second] = &of;
        let has_first = self.present(first)?;
        let has_second = self.present(second)?;
        let count = self.count(Condition::all(vec![
            filter.clone(),
            has_first.clone(),
            has_second.clone(),
        ]));
        let mut moment = |of: &Quantity, output, other: &Condition| {
            self.part(CellAggregate::Moments {
                of: of.clone(),
                with: None,
                output,
                filter: Condition::all(vec![filter.clone(), other.clone()]),
            })
        };
        let means = [
            moment(first, Output::Mean, &has_second),
            moment(second, Output::Mean, &has_first),
        ];
        let variances = [
            moment(first, Output::VarianceOfPopulation, &has_second),
            moment(second, Output::VarianceOfPopulation, &has_first),
        ];
        let [first, second] = of;
        let covariance = self.part(CellAggregate::Moments {
            of: first,
            with: Some(second),
            output: Output::CovarianceOfPopulation,
            filter,
        });
        Ok(Combined::Pairs {
            count,
            means,
            variances,
            covariance,
            output,
        })
    }

    /// The rows in which a quantity has a value.
    fn present(&self, of: &Quantity) -> Result<Condition, String> {
        let present = self.grouping.known().present(of.clone());
        present.ok_or_else(|| "an aggregate over several members has no number of values".to_owned())
    }

    /// A number of rows, or of subjects where each has one row, as the holders count them.
    fn count(&mut self, filter: Condition) -> usize {
        let counts_rows = match self.grouping.statistic().measured() {
            Measured::Rows(dataset) => !self.grouping.known().is_unique(dataset),
            Measured::Subjects => false,
        };
        self.part(if counts_rows {
            CellAggregate::Rows { filter }
        } else {
            CellAggregate::Subjects { filter }
        })
    }

    /// The number of the aggregate, which is requested once even if it is used several times.
    fn part(&mut self, cell: CellAggregate) -> usize {
        let known = self.cells.iter().position(|known| *known == cell);
        known.unwrap_or_else(|| {
            self.cells.push(cell);
            self.cells.len().saturating_sub(1)
        })
    }
}
