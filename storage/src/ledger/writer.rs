//! The one thread that appends.

use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use concordat_keys::LedgerKey;
use concordat_protocol::audit::{Cause, EntryBody, LedgerEntry, leaf_hash};
use concordat_protocol::ids::{Digest32, QueryId};
use concordat_protocol::time::Timestamp;

use super::anchor::{Anchor, Anchoring, is_frequent};
use super::medium::{MAX_GROUP, Medium};
use super::receipt::declaration;
use super::record::seal_record;
use super::segments;
use super::shared::{Shared, locked};
use super::tip::Tip;
use super::{LedgerError, LedgerReceipt};
use crate::meta::Batch;

/// Receives the result of an append.
pub(super) type Reply = Box<dyn FnOnce(Result<LedgerReceipt, LedgerError>) + Send>;

/// One append.
pub(super) struct Command {
    /// What happened.
    pub(super) body: EntryBody,
    /// Who caused it.
    pub(super) cause: Cause,
    /// When.
    pub(super) at: Timestamp,
    /// The change of the state that the entry records, if it is announced with a note of that change.
    pub(super) change: Option<NotedChange>,
    /// Receives the result.
    pub(super) reply: Reply,
}

/// A change of the state that the last entry of a group records.
pub(super) struct NotedChange {
    /// What is stored with the announcement of the entry.
    pub(super) note: Batch,
    /// When the state covers the entry.
    pub(super) anchoring: Anchoring,
}

/// Entries that wait to be made durable together.
struct Group {
    tip: Tip,
    records: Vec<u8>,
    /// The ends of segments in it.
    ends: Vec<Tip>,
    waiting: Vec<Waiting>,
    /// Whether it contains an entry that must be anchored before it is acknowledged.
    anchored_first: bool,
    /// The change that its last entry records.
    change: Option<NotedChange>,
}

struct Waiting {
    reply: Reply,
    sequence: u64,
    leaf: Digest32,
    permits: Option<QueryId>,
    declares: Option<Box<EntryBody>>,
}

/// Owns the log.
pub(super) struct Writer<M> {
    key: Arc<LedgerKey>,
    shared: Arc<Mutex<Shared>>,
    medium: M,
    anchor: Option<Anchor>,
}

impl<M: Medium> Writer<M> {
    /// A writer that continues after the end of `shared`.
    pub(super) fn new(key: Arc<LedgerKey>, shared: Arc<Mutex<Shared>>, medium: M, anchor: Option<Anchor>) -> Self {
        Self {
            key,
            shared,
            medium,
            anchor,
        }
    }

    /// Works until the last handle is dropped. Appends that arrive during a sync form the next group.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        while let Ok(first) = commands.recv() {
            let mut ends = self.ends_group(&first);
            let mut group = vec![first];
            while !ends && group.len() < MAX_GROUP {
                let Ok(next) = commands.try_recv() else { break };
                ends = self.ends_group(&next);
                group.push(next);
            }
            self.commit(group);
        }
    }

    /// An entry that is anchored before it is acknowledged must be the last of its group ([`super::anchor`]).
    fn ends_group(&self, command: &Command) -> bool {
        self.anchor.is_some() && !is_frequent(&command.body)
    }

    fn commit(&mut self, commands: Vec<Command>) {
        let (tip, refusing) = {
            let shared = locked(&self.shared);
            (shared.tip.clone(), shared.refusing)
        };
        if refusing {
            return commands
                .into_iter()
                .for_each(|command| (command.reply)(Err(LedgerError::Refusing)));
        }
        let mut group = Group {
            tip,
            records: Vec::new(),
            ends: Vec::new(),
            waiting: Vec::new(),
            anchored_first: false,
            change: None,
        };
        for command in commands {
            self.stage(&mut group, command);
        }
        if group.waiting.is_empty() {
            return;
        }
        match self.persist(&mut group) {
            Ok(()) => self.acknowledge(group),
            Err(error) => self.refuse(group, error),
        }
    }

    fn stage(&self, group: &mut Group, command: Command) {
        let Command {
            body,
            cause,
            at,
            change,
            reply,
        } = command;
        let sequence = group.tip.tree.size();
        let permits = permitted_request(&body);
        let declares = declaration(&body);
        let anchored_first = !is_frequent(&body);
        let entry = LedgerEntry {
            sequence,
            previous: group.tip.last,
            at,
            cause,
            body,
        };
        let bytes = entry.encode().map_err(LedgerError::Entry);
        let sealed = bytes.and_then(|bytes| Ok((leaf_hash(&bytes), seal_record(&self.key, sequence, &bytes)?)));
        match sealed {
            Ok((leaf, record)) => {
                group.anchored_first |= anchored_first;
                group.change = change;
                group.tip.push(leaf);
                group.tip.length = group.tip.length.saturating_add(record.len() as u64);
                if segments::is_end(&group.tip) {
                    group.ends.push(group.tip.clone());
                }
                group.records.extend_from_slice(&record);
                group.waiting.push(Waiting {
                    reply,
                    sequence,
                    leaf,
                    permits,
                    declares,
                });
            }
            Err(error) => reply(Err(error)),
        }
    }

    /// What is durable before what: the announcement of an entry, and the note of the change that it records, before the entry; the entry
    /// before its anchor; and the anchor before the group is acknowledged, or, if the caller stores it with the change, before the next
    /// group is written. Otherwise that group would follow an entry that no announcement explains any more.
    fn persist(&mut self, group: &mut Group) -> io::Result<()> {
        let head = group.tip.head();
        let sealed = head.seal(&self.key).map_err(io::Error::other)?;
        let (note, anchoring) = match group.change.take() {
            Some(NotedChange { note, anchoring }) => (note, anchoring),
            None => (Batch::new(), Anchoring::BeforeTheChange),
        };
        if let Some(anchor) = &self.anchor {
            let written = || locked(&self.shared).tip.head();
            anchor.cover_last(written).map_err(io::Error::other)?;
            if group.anchored_first {
                anchor.announce(&head, note).map_err(io::Error::other)?;
            }
        }
        self.medium.append(&group.records)?;
        self.medium.put_head(&sealed)?;
        match &self.anchor {
            Some(anchor) => anchor
                .follow(&head, group.anchored_first.then_some(anchoring))
                .map_err(io::Error::other),
            None => Ok(()),
        }
    }

    /// Readers see the entries before the append is acknowledged, so that its caller can read what it wrote.
    fn acknowledge(&mut self, group: Group) {
        self.end_segments(&group.ends);
        let mut shared = locked(&self.shared);
        group.ends.iter().for_each(|end| shared.segments.note(end));
        shared.advance(group.tip);
        drop(shared);
        for Waiting {
            reply,
            sequence,
            leaf,
            permits,
            declares,
        } in group.waiting
        {
            reply(Ok(LedgerReceipt::new((sequence, leaf), permits, declares)));
        }
    }

    /// The entries and the head are already durable: without these records the next start only takes longer.
    fn end_segments(&mut self, ends: &[Tip]) {
        for end in ends {
            let sealed = segments::seal(&self.key, end).map_err(io::Error::other);
            if let Err(error) = sealed.and_then(|record| self.medium.put_segment(&record)) {
                tracing::warn!(%error, "the end of a segment of the ledger was not stored; the next start takes longer");
            }
        }
    }

    /// What reached the disk is unknown, so nothing may be appended after it.
    fn refuse(&self, group: Group, error: io::Error) {
        locked(&self.shared).refusing = true;
        tracing::error!(%error, "the ledger could not be written and accepts no more entries");
        let error = Arc::new(error);
        for waiting in group.waiting {
            (waiting.reply)(Err(LedgerError::Write(Arc::clone(&error))));
        }
    }
}

fn permitted_request(body: &EntryBody) -> Option<QueryId> {
    if let EntryBody::DecisionMade {
        request,
        permitted: true,
        ..
    } = body
    {
        Some(*request)
    } else {
        None
    }
}
