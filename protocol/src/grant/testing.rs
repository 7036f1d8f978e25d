//! Two institutions, for the tests of grants and negotiations.

use zeroize::Zeroizing;

use super::GrantTerms;
use crate::identity::{InstitutionKey, NodeKey, PrivateKey, Side};
use crate::ids::{ColumnName, Digest32, GrantId, InstitutionId};
use crate::scope::{
    BandWidth, Columns, Datasets, Generalization, Limits, People, Places, Protection, Purpose, Purposes, Rows, Scope,
    Subjects, Tier, Transform, Window,
};
use crate::time::Timestamp;

/// 2027-01-15, the start time of these tests.
pub(crate) const T0: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) fn institution_key(seed: u8) -> InstitutionKey {
    InstitutionKey::from_seed(&Zeroizing::new([seed; 32]))
}

pub(crate) fn node(seed: u8) -> NodeKey {
    NodeKey::from_seed(&Zeroizing::new([seed.wrapping_add(100); 32]))
}

pub(crate) fn institution(name: &str) -> InstitutionId {
    InstitutionId::new(name).unwrap()
}

pub(crate) fn side(name: &str, seed: u8) -> Side {
    Side {
        institution: institution(name),
        key: institution_key(seed).public(),
    }
}

/// The one dataset of the collection `heart`.
pub(crate) fn heart(columns: impl IntoIterator<Item = (ColumnName, Transform)>, rows: Rows) -> Datasets {
    Datasets::one("heart".parse().unwrap(), Columns::new(columns).unwrap(), rows)
}

/// What `zurich` requests from `budapest`.
pub(crate) fn wide() -> Scope {
    let columns = ["age", "sex"].map(|name| (ColumnName::new(name).unwrap(), Transform::Clear));
    Scope {
        collection: "budapest.heart".parse().unwrap(),
        tier: Tier::Records,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: heart(columns, Rows::all()),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(T0, T0.plus_seconds(90 * 86_400)).unwrap(),
    }
}

/// What `budapest` offers.
pub(crate) fn narrow() -> Scope {
    let banded = Transform::Generalized(Generalization::AgeBand(BandWidth::Ten));
    let columns = [
        (ColumnName::new("age").unwrap(), banded),
        (ColumnName::new("sex").unwrap(), Transform::Clear),
    ];
    Scope {
        datasets: heart(columns, Rows::all()),
        ..wide()
    }
}

pub(crate) fn terms() -> GrantTerms {
    GrantTerms {
        grant: GrantId::from_bytes([7; 16]),
        revision: 1,
        provider: institution("budapest"),
        provider_key: institution_key(1).public(),
        consumer: institution("zurich"),
        consumer_key: institution_key(2).public(),
        scope: narrow(),
        policy: Digest32::from_bytes([5; 32]),
        transcript: Digest32::from_bytes([6; 32]),
        agreed_at: T0,
    }
}
