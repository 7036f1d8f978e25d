//! What Concordat nodes say to each other and what must hold.
//!
//! The parts in the order of the story: who somebody is ([`ids`], [`identity`], [`signed`]), who belongs to the consortium
//! ([`membership`]), what a permission covers ([`scope`]), how two sides come to one ([`negotiation`], [`grant`]), how it is
//! used ([`query`]), how use is proved afterwards ([`audit`]), and how all of it is carried ([`wire`]).
//!
//! Nothing here reads a clock, a disk or a socket: bytes, events and `now` come in, values and messages go out.

pub mod audit;
pub mod grant;
pub mod identity;
pub mod ids;
pub mod labels;
pub mod membership;
pub mod negotiation;
pub mod policy_set;
pub mod query;
pub mod schema;
pub mod scope;
pub mod signed;
pub mod text;
pub mod time;
pub mod wire;
