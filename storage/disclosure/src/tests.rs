//! Tests of the crate as a whole.

mod red_team;
