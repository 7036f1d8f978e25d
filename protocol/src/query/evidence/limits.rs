//! What evidence may contain, and that everything that a node accepts fits.

use crate::query::MAX_QUERY_AGE_MS;
use crate::time::MAX_CLOCK_SKEW_MS;

/// Most ledger entries about one query. The record of a query names no more.
pub const MAX_PROOFS: usize = 16;
/// How much later than the query a certificate may be dated, in milliseconds.
pub const MAX_CERTIFICATE_DELAY_MS: i64 = 300_000;
/// How much later than the end of a certificate the query may be dated, in milliseconds.
pub const MAX_QUERY_DELAY_MS: i64 = 120_000;
/// How much earlier than a receipt the head of a ledger that comes with it may be dated, in milliseconds. Both are dated by the provider, or the
/// head by a consumer whose clock may be behind.
pub const MAX_HEAD_DELAY_MS: i64 = 180_000;

/// How old a query may be by the provider's clock when it is admitted.
const OLDEST_ADMITTED_MS: i64 = MAX_QUERY_AGE_MS.saturating_add(MAX_CLOCK_SKEW_MS);

// The provider dates its own certificate at the decision, and accepts one of the consumer that is dated ahead of its clock.
const _: () = assert!(OLDEST_ADMITTED_MS.saturating_add(MAX_CLOCK_SKEW_MS) <= MAX_CERTIFICATE_DELAY_MS);
// It accepts a query that is dated ahead of its clock, under a certificate that ends now.
const _: () = assert!(MAX_CLOCK_SKEW_MS <= MAX_QUERY_DELAY_MS);
// The clock of a consumer may be behind by as much as a query that was sent now would be too old.
const _: () = assert!(OLDEST_ADMITTED_MS <= MAX_HEAD_DELAY_MS);
