//! Addresses between two rosters: this node's own, those of the other members, and how they reach those who need them.
//!
//! 1. When the addresses of this node differ from those that it has stated, it signs a record with the next number.
//! 2. On each new session the dialer sends all records that it knows, and gets those that it lacks.
//! 3. A record that is new here is durable, the node is dialed at its addresses, after those of the roster, and the record goes to
//!    all other peers as it was signed. So it reaches, through any member, those who could not be reached at their old addresses.
//! 4. A record of this node itself that comes back with a higher number is from before this node was restored: the next one is above it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use concordat_protocol::ids::NodeId;
use concordat_protocol::membership::{
    AddressRecord, MAX_ADDRESSES, Member, MemberNode, ValidAddressRecord, ValidRoster,
};
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Address;
use concordat_protocol::wire::messages::{AddressesFrame, MAX_ADDRESS_RECORDS};
use concordat_protocol::wire::streams::ADDRESSES;
use tracing::Instrument as _;

use super::address_book::{NodeAddresses, Received, StoredRecord};
use super::error::MembershipError;
use super::handle::Membership;
use super::span::session_span;
use crate::shutdown::Stage;
use concordat_network::{FramedStream, IncomingStreams, Multiaddr, Session};

/// How long addresses have to be unchanged before they are stated: interfaces come and go together.
const SETTLED: Duration = Duration::from_millis(200);
/// Minimum time between two records of this node: less than peers accept in a minute.
const INTERVAL: Duration = Duration::from_secs(10);

impl Membership {
    /// Serves records of addresses to peers, and states this node's own, until `stage` stops.
    pub fn sync_addresses(&self, incoming: IncomingStreams, stage: &Stage) {
        stage.spawn(self.clone().serve_addresses(incoming, stage.clone()));
        stage.spawn(self.clone().state_addresses(stage.clone()));
    }

    /// What is known about the addresses of a node beside the roster: its newest record, and where it was reached.
    pub(crate) fn known_addresses(&self, node: &NodeId) -> NodeAddresses {
        self.0.addresses.of(node)
    }

    /// The addresses of a node in the order in which they are tried: those of the roster, then those that the node has stated since.
    pub(super) fn addresses_of(&self, member: &Member, node: &MemberNode) -> Vec<Address> {
        let known = self.0.addresses.of(&node.node).record;
        let since = known.filter(|known| known.record.at >= member.stated_at);
        let stated = since.map_or_else(Vec::new, |known| known.record.addresses);
        let mut all = node.addresses.clone();
        for address in stated {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all
    }

    async fn serve_addresses(self, mut incoming: IncomingStreams, stage: Stage) {
        while let Some(stream) = stage.token().run_until_cancelled(incoming.next()).await {
            let membership = self.clone();
            let span = session_span(stream.session().peer());
            let served = async move {
                if let Err(error) = membership.serve_records(stream).await {
                    tracing::debug!(%error, "records of addresses were not exchanged");
                }
            };
            stage.spawn(served.instrument(span));
        }
    }

    async fn serve_records(&self, mut stream: FramedStream) -> Result<(), MembershipError> {
        let peer = stream.session().peer();
        let AddressesFrame { records, complete } = stream.expect().await?;
        let received: Vec<(NodeId, u64)> = records
            .iter()
            .filter_map(|signed| signed.peek_unverified().ok())
            .map(|record| (record.node, record.number))
            .collect();
        let newer = self.keep(records).await?;
        let lacks = |known: &StoredRecord| {
            let theirs = received.iter().find(|(node, _)| *node == known.record.node);
            theirs.map_or(complete, |(_, number)| *number < known.record.number)
        };
        let reply = self.frame(false, lacks);
        stream.send(&reply).await?;
        stream.close().await?;
        self.pass_on(newer, Some(peer)).await;
        Ok(())
    }

    /// Sends all records to the peer of a new session, and keeps those that it has in return.
    pub(super) async fn exchange_addresses(&self, session: &Session) {
        let peer = session.peer();
        match self.send_records(peer, &self.frame(true, |_| true)).await {
            Ok(newer) => self.pass_on(newer, Some(peer)).await,
            Err(error) => tracing::debug!(%error, "records of addresses were not exchanged"),
        }
    }

    /// Sends records and returns those in the reply that are new here.
    async fn send_records(
        &self,
        peer: NodeId,
        frame: &AddressesFrame,
    ) -> Result<Vec<Signed<AddressRecord>>, MembershipError> {
        let mut stream = self.0.network.open(peer, ADDRESSES).await?;
        stream.send(frame).await?;
        let reply: AddressesFrame = stream.expect().await?;
        self.keep(reply.records).await
    }

    /// The newest of the records for which `is_sent` holds, at most [`MAX_ADDRESS_RECORDS`].
    fn frame(&self, complete: bool, is_sent: impl Fn(&StoredRecord) -> bool) -> AddressesFrame {
        let mut records = self.0.addresses.records();
        records.retain(is_sent);
        records.sort_by_key(|known| std::cmp::Reverse(known.record.at));
        records.truncate(MAX_ADDRESS_RECORDS);
        AddressesFrame {
            records: records.into_iter().map(|known| known.signed).collect(),
            complete,
        }
    }

    /// Keeps the records that are newer than the known ones, dials there, and returns them.
    async fn keep(&self, records: Vec<Signed<AddressRecord>>) -> Result<Vec<Signed<AddressRecord>>, MembershipError> {
        let mut newer = Vec::new();
        for signed in records.into_iter().take(MAX_ADDRESS_RECORDS) {
            newer.extend(self.receive_one(signed).await?);
        }
        if newer.is_empty() {
            return Ok(Vec::new());
        }
        self.dial_members().await?;
        if newer.iter().any(|valid| valid.record().node == self.0.identity.node()) {
            self.0.restated.notify_one();
        }
        Ok(newer.iter().map(|valid| valid.signed().clone()).collect())
    }

    async fn receive_one(&self, signed: Signed<AddressRecord>) -> Result<Option<ValidAddressRecord>, MembershipError> {
        let Some(roster) = self.newest() else { return Ok(None) };
        let now = self.0.clock.now();
        let valid = match ValidAddressRecord::check(signed, &roster, now) {
            Ok(valid) => valid,
            Err(error) => {
                tracing::debug!(%error, "a record of addresses was ignored");
                return Ok(None);
            }
        };
        let inner = self.0.clone();
        let stored = move || Ok::<_, MembershipError>((inner.addresses.receive(&valid, now)?, valid));
        let (received, valid) = tokio::task::spawn_blocking(stored).await??;
        if received == Received::TooMany {
            tracing::info!(peer = %valid.record().node.short(), "a node states other addresses too often; the last ones are ignored");
        }
        Ok((received == Received::Newer).then_some(valid))
    }

    /// Sends records to every peer but the one that they came from. That one passes on what it has replied with itself.
    async fn pass_on(&self, records: Vec<Signed<AddressRecord>>, from: Option<NodeId>) {
        if records.is_empty() {
            return;
        }
        let frame = AddressesFrame {
            records,
            complete: false,
        };
        let open_sessions = self.0.network.sessions().borrow().clone();
        let attested = open_sessions.values().filter(|session| session.attested().is_some());
        let peers = attested.map(Session::peer).filter(|peer| Some(*peer) != from);
        let sent = peers.map(|peer| {
            let frame = &frame;
            let sent = async move {
                if let Err(error) = self.send_records(peer, frame).await {
                    tracing::debug!(%error, "records of addresses were not passed on");
                }
            };
            sent.instrument(session_span(peer))
        });
        futures::future::join_all(sent.collect::<Vec<_>>()).await;
    }

    /// Drops what is known about the addresses of nodes that `roster` does not list.
    pub(super) async fn drop_addresses_of_others(&self, roster: Arc<ValidRoster>) -> Result<(), MembershipError> {
        let inner = self.0.clone();
        let dropped = move || inner.addresses.retain(&roster, inner.identity.node());
        Ok(tokio::task::spawn_blocking(dropped).await??)
    }

    /// Gives the network the members with their present addresses.
    async fn dial_members(&self) -> Result<(), MembershipError> {
        let _changing = self.0.changing.lock().await;
        let Some(roster) = self.newest() else { return Ok(()) };
        Ok(self.0.network.set_members(Arc::new(self.peers(&roster))).await?)
    }

    /// States this node's addresses whenever they differ from what it has stated.
    async fn state_addresses(self, stage: Stage) {
        let mut listening = self.0.network.watch_listening();
        let mut roster = self.watch();
        loop {
            let wait = match self.state_own().await {
                Ok(true) => INTERVAL,
                Ok(false) => SETTLED,
                Err(error) => {
                    tracing::error!(%error, "the addresses of this node could not be stated");
                    INTERVAL
                }
            };
            let changed = async {
                tokio::time::sleep(wait).await;
                tokio::select! {
                    changed = listening.changed() => changed.is_ok(),
                    changed = roster.changed() => changed.is_ok(),
                    () = self.0.restated.notified() => true,
                }
            };
            match stage.token().run_until_cancelled(changed).await {
                Some(true) => tokio::time::sleep(SETTLED).await,
                Some(false) | None => return,
            }
        }
    }

    /// Signs a record of this node's addresses and sends it to all peers, if it has not stated these; returns whether it did.
    async fn state_own(&self) -> Result<bool, MembershipError> {
        let Some(roster) = self.newest() else { return Ok(false) };
        let Some(record) = self.next_record(&roster) else {
            return Ok(false);
        };
        let signed = Signed::sign(&record, &self.0.identity.node_key).map_err(MembershipError::OwnDocument)?;
        let signed = signed.signed().clone();
        let now = self.0.clock.now();
        let valid = match ValidAddressRecord::check(signed.clone(), &roster, now) {
            Ok(valid) => valid,
            Err(error) => {
                tracing::warn!(%error, "the addresses of this node cannot be stated; set `node.announce` in `concordat.toml`");
                return Ok(false);
            }
        };
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || inner.addresses.receive(&valid, now)).await??;
        tracing::info!(
            number = record.number,
            "this node states other addresses than the roster does"
        );
        self.pass_on(vec![signed], None).await;
        Ok(true)
    }

    /// The next record of this node; `None` if it has stated its present addresses, or has none, or is not a member.
    fn next_record(&self, roster: &ValidRoster) -> Option<AddressRecord> {
        let ours = self.0.identity.node();
        let member = roster.active_node(&ours)?;
        let listed = member.nodes.iter().find(|node| node.node == ours)?;
        let mut present = self.addresses().ok()?;
        present.truncate(MAX_ADDRESSES);
        let known = self.0.addresses.of(&ours).record.map(|known| known.record);
        let since = known.as_ref().filter(|known| known.at >= member.stated_at);
        let stated = since.map_or(&listed.addresses, |known| &known.addresses);
        let as_set = |addresses: &[Address]| addresses.iter().cloned().collect::<BTreeSet<_>>();
        if as_set(stated) == as_set(&present) {
            return None;
        }
        Some(AddressRecord {
            node: ours,
            number: known.map_or(0, |known| known.number).saturating_add(1),
            addresses: present,
            at: self.0.clock.now().max(member.stated_at),
        })
    }

    /// Notes the address at which this node has reached the peer of a session.
    pub(super) async fn note_good_address(&self, session: &Session) {
        let Some(address) = session.dialed().and_then(|dialed| stated_form(&dialed)) else {
            return;
        };
        let inner = self.0.clone();
        let node = session.peer();
        let note = move || inner.addresses.note_good(node, address, inner.clock.now());
        if let Ok(Err(error)) = tokio::task::spawn_blocking(note).await {
            tracing::warn!(%error, "the address at which a peer was reached could not be stored");
        }
    }
}

/// An address as a member states it: a dialed one names the peer as well.
fn stated_form(dialed: &Multiaddr) -> Option<Address> {
    let text = dialed.to_string();
    let stated = text.split("/p2p/").next()?;
    Address::new(stated).ok()
}
