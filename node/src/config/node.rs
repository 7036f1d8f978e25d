//! `[node]`: the institution and the addresses of the node.

use std::fmt;

use concordat_protocol::{
    ids::{InstitutionId, Jurisdiction},
    text::LegalName,
};

use super::reader::Section;
use super::writer::{list, text};
use concordat_network::{DialRange, Dialing, Multiaddr, address};

/// The port for peers, TCP and UDP, unless another is set.
pub const DEFAULT_PORT: u16 = 7400;

/// `[node]`.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSection {
    /// Short id of the institution.
    pub institution: InstitutionId,
    /// Its legal name.
    pub name: LegalName,
    /// The country whose law binds it.
    pub jurisdiction: Jurisdiction,
    /// Addresses to listen on; port 0 picks a free one.
    pub listen: Vec<Multiaddr>,
    /// Addresses at which others reach this node, as stated on the roster; empty means those it listens on.
    pub announce: Vec<Multiaddr>,
    /// Ranges of addresses at which members are dialed.
    pub dial: Vec<DialRange>,
}

impl NodeSection {
    /// Addresses to listen on at `port`, over TCP and QUIC, on all interfaces.
    pub fn listen_at(port: u16) -> Vec<Multiaddr> {
        address::on_all_interfaces(port)
    }
}

/// Reads the section.
pub(super) fn node(section: &mut Section<'_>) -> Option<NodeSection> {
    let institution = section.required("institution");
    let name = section.required("name");
    let jurisdiction = section.required("jurisdiction");
    let listen = section
        .list("listen")
        .unwrap_or_else(|| NodeSection::listen_at(DEFAULT_PORT));
    if listen.is_empty() {
        section.mistake::<()>(
            "listen",
            "does not contain an address; a node without one cannot be reached",
        );
    }
    let announce = section.list("announce").unwrap_or_default();
    let dial = section.list("dial").unwrap_or_else(Dialing::default_ranges);
    Some(NodeSection {
        institution: institution?,
        name: name?,
        jurisdiction: jurisdiction?,
        listen,
        announce,
        dial,
    })
}

/// The section as `init` writes it.
impl fmt::Display for NodeSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[node]\ninstitution = {}", text(&self.institution))?;
        writeln!(f, "name = {}", text(&self.name))?;
        writeln!(f, "# ISO 3166-1: the country whose law binds the institution")?;
        writeln!(f, "jurisdiction = {}", text(&self.jurisdiction))?;
        writeln!(f, "# port 0 picks a free one")?;
        writeln!(f, "listen = {}", list(&self.listen))?;
        writeln!(f, "# where others reach this node; if empty, where it listens")?;
        writeln!(f, "announce = {}", list(&self.announce))?;
        writeln!(
            f,
            "# addresses of members that are dialed: public, private, loopback, link-local"
        )?;
        writeln!(f, "# and blocks such as 10.20.0.0/16; all others are not")?;
        writeln!(f, "dial = {}", list(&self.dial))
    }
}
