//! Checks the form of a query: which constructs it contains. Its meaning is checked on its plan ([`crate::meaning()`]).
//!
//! A query over one dataset is one plain `SELECT` ([`single`]); one over the datasets of a collection, at tier `records`, may also join them and
//! contain other queries ([`collection`]). Everything that is not listed in this module is refused, so new constructs of a newer parser are
//! refused too. The planner only gets statements that passed.

mod clauses;
mod collection;
mod expression;
mod nearest;
mod refusal;
mod single;

pub(super) use collection::checked as checked_in_collection;
pub(super) use single::checked;
