//! What columns and expressions above cells depend on.

use std::collections::BTreeSet;

use crate::statistic::forms::{Form, NotCountable};

pub(super) type Result<T> = std::result::Result<T, NotCountable>;

/// A figure: the name of its table, and the number of its column there. Each table is read once.
pub(super) type Figure = (String, usize);
pub(super) type Figures = BTreeSet<Figure>;

/// What a column or an expression depends on.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) figures: Figures,
    /// Whether it is missing where one of the figures is.
    pub(super) is_strict: bool,
    /// Whether it is the rank of a row, of which those where one of the figures is missing have the greatest.
    pub(super) is_rank: bool,
}

impl Value {
    /// What depends on no figure.
    pub(super) const fn plain() -> Self {
        Self {
            figures: Figures::new(),
            is_strict: true,
            is_rank: false,
        }
    }

    /// What depends on both, and is missing where either is if `is_strict`.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.figures.extend(other.figures);
        self.is_strict &= other.is_strict;
        self.is_rank = false;
        self
    }
}

pub(super) const fn refused(form: Form) -> NotCountable {
    NotCountable::Form(form)
}
