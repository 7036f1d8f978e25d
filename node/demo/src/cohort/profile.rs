//! The three hospitals in numbers.

use super::rng::Normal;
use super::site::Site;

impl Site {
    pub(super) fn profile(self) -> &'static Profile {
        match self {
            Self::Cleveland => &CLEVELAND,
            Self::Budapest => &BUDAPEST,
            Self::Zurich => &ZURICH,
        }
    }

    /// Keeps the random streams of the hospitals apart when they share a seed.
    pub(super) fn stream(self) -> u64 {
        match self {
            Self::Cleveland => 0x434c_5600,
            Self::Budapest => 0x4255_4400,
            Self::Zurich => 0x5a52_4800,
        }
    }
}

/// What distinguishes the subjects of one hospital. Shares are per thousand.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) record_prefix: &'static str,
    pub(super) first_postcode: u64,
    pub(super) postcodes: u64,
    pub(super) age: Normal,
    pub(super) male: u64,
    pub(super) ill: i64,
    pub(super) severity: [(i64, u64); 4],
    pub(super) trestbps: Normal,
    pub(super) chol: Normal,
    pub(super) fasting_sugar_high: u64,
    pub(super) restecg: [(i64, u64); 3],
    pub(super) thalach: Normal,
    pub(super) missing: Missing,
}

/// How often a finding was not recorded, per thousand subjects.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) chol: u64,
    pub(super) fbs: u64,
    pub(super) slope: u64,
    pub(super) ca: u64,
    pub(super) thal: u64,
}

const CLEVELAND: Profile = Profile {
    record_prefix: "CLV",
    first_postcode: 44_101,
    postcodes: 98,
    age: Normal { mean: 54, deviation: 9 },
    male: 680,
    ill: 460,
    severity: [(1, 40), (2, 26), (3, 25), (4, 9)],
    trestbps: Normal {
        mean: 132,
        deviation: 17,
    },
    chol: Normal {
        mean: 246,
        deviation: 50,
    },
    fasting_sugar_high: 150,
    restecg: [(0, 50), (1, 2), (2, 48)],
    thalach: Normal {
        mean: 150,
        deviation: 19,
    },
    missing: Missing {
        chol: 0,
        fbs: 0,
        slope: 0,
        ca: 13,
        thal: 7,
    },
};

const BUDAPEST: Profile = Profile {
    record_prefix: "BUD",
    first_postcode: 1_011,
    postcodes: 229,
    age: Normal { mean: 48, deviation: 8 },
    male: 720,
    ill: 360,
    severity: [(1, 35), (2, 25), (3, 26), (4, 14)],
    trestbps: Normal {
        mean: 133,
        deviation: 17,
    },
    chol: Normal {
        mean: 251,
        deviation: 65,
    },
    fasting_sugar_high: 70,
    restecg: [(0, 80), (1, 18), (2, 2)],
    thalach: Normal {
        mean: 139,
        deviation: 20,
    },
    missing: Missing {
        chol: 78,
        fbs: 27,
        slope: 646,
        ca: 990,
        thal: 905,
    },
};

const ZURICH: Profile = Profile {
    record_prefix: "ZRH",
    first_postcode: 8_001,
    postcodes: 64,
    age: Normal { mean: 55, deviation: 9 },
    male: 915,
    ill: 930,
    severity: [(1, 42), (2, 28), (3, 26), (4, 4)],
    trestbps: Normal {
        mean: 130,
        deviation: 21,
    },
    chol: Normal {
        mean: 235,
        deviation: 55,
    },
    fasting_sugar_high: 110,
    restecg: [(0, 70), (1, 25), (2, 5)],
    thalach: Normal {
        mean: 125,
        deviation: 22,
    },
    missing: Missing {
        chol: 800,
        fbs: 610,
        slope: 138,
        ca: 960,
        thal: 423,
    },
};
