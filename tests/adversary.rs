//! Malicious peers against well-behaved nodes, over real sockets.
//!
//! The well-behaved side is the product as it is: [`well_behaved::InProcessNode`] runs the whole node on real files. The attacker,
//! [`malicious_peer::MaliciousPeer`], shares nothing with it but the encoding of messages: it uses libp2p directly, so it can send
//! any byte at any moment. Most malicious peers are admitted members with valid keys, because non-members do not get far.
//!
//! Each test ends in [`well_behaved::World::assert_still_serving`]: another member is served, and the ledgers are valid.

mod addresses;
mod answers;
mod api_connections;
mod attribution;
mod begun;
mod collection_grants;
mod combined_grants;
mod connections;
mod continued;
mod countersignatures;
mod deliveries;
mod ended_sessions;
mod engine;
mod entry_points;
mod estimates;
mod evidence;
mod findings;
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
mod nested_texts;
mod notices;
mod own_key;
mod own_people;
mod own_queries;
mod probes;
mod queries;
mod query_limits;
mod query_texts;
mod reviews;
mod rows;
mod rules;
mod standing;
mod starts;
mod streams;
mod unconfirmed;
mod under_attack;
mod unread_answers;
mod well_behaved;
