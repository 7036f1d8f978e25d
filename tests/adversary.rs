//! Hostile peers against honest nodes, over real sockets.
//!
//! The honest side is the product as it is: [`honest::House`] runs the whole node on real files. The hostile side,
//! [`rogue::Rogue`], shares nothing with it but the encoding of messages: it speaks libp2p directly, so it can send any byte
//! at any moment. Most rogues are admitted members with good keys, because strangers do not get far.
//!
//! Each test ends in [`honest::World::still_stands`]: another member is served, and the ledger holds.

mod answers;
mod attribution;
mod bargaining;
mod connections;
mod deal;
mod deliveries;
mod doors;
mod elsewhere;
mod engine;
mod evidence;
mod floods;
mod frames;
mod honest;
mod ledger_forks;
mod ledgers;
mod membership;
mod notices;
mod questions;
mod rogue;
mod rows;
mod streams;
mod under_attack;
