//! Malicious peers against well-behaved nodes, over real sockets.
//!
//! The well-behaved side is the product as it is: [`well_behaved::InProcessNode`] runs the whole node on real files. The attacker,
//! [`malicious_peer::MaliciousPeer`], shares nothing with it but the encoding of messages: it uses libp2p directly, so it can send
//! any byte at any moment. Most malicious peers are admitted members with valid keys, because non-members do not get far.
//!
//! Each test ends in [`well_behaved::World::assert_still_serving`]: another member is served, and the ledgers are valid.

mod addresses;
mod answers;
mod attribution;
mod begun;
mod combined_grants;
mod connections;
mod continued;
mod countersignatures;
mod deliveries;
mod ended_sessions;
mod engine;
mod entry_points;
mod evidence;
mod floods;
mod frames;
mod grant_columns;
mod identity;
mod lapsed;
mod late_receipts;
mod ledger_forks;
mod ledgers;
mod logins;
mod malicious_peer;
mod membership;
mod negotiation;
mod negotiation_fixture;
mod notices;
mod own_key;
mod own_queries;
mod queries;
mod reviews;
mod rows;
mod standing;
mod starts;
mod streams;
mod unconfirmed;
mod under_attack;
mod well_behaved;
