//! The messages that Concordat nodes exchange and the rules that these messages must satisfy.
//!
//! The parts in the order in which they are used: identities and signatures ([`ids`], [`identity`], [`signed`]), who belongs to
//! the consortium ([`membership`]), what a permission covers ([`scope`]), what a steward
//! declares about the data ([`collection`], [`release`]), what a policy is and how it
//! decided ([`policy_set`], [`decision`]), how two sides agree on one
//! ([`negotiation`], [`grant`]), how it is used ([`query`]), how its use is proven afterward ([`audit`]), and how all of it is transmitted
//! ([`wire`]). [`canary`] is a generated collection for checks of what is released, and [`probe`] are these checks.
//! [`nesting`] is the bound that a text of a person satisfies before a parser that calls itself reads it.
//!
//! Nothing here reads a clock, a disk or a socket: bytes, events and `now` come in, values and messages go out.

pub mod audit;
pub mod canary;
pub mod collection;
pub mod decision;
pub mod error_kind;
pub mod grant;
pub mod identity;
pub mod ids;
pub mod labels;
pub mod membership;
pub mod negotiation;
pub mod nesting;
pub mod policy_set;
pub mod probe;
pub mod query;
pub mod release;
pub mod schema;
pub mod scope;
pub mod signed;
pub mod text;
pub mod time;
pub mod wire;
