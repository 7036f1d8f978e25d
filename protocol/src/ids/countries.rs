//! The countries of ISO 3166-1.

/// The officially assigned alpha-2 codes (ISO 3166 Maintenance Agency, as listed by the IANA time zone database in `iso3166.tab`,
/// 2025), in ascending order, separated by spaces.
///
/// Codes that are only reserved (`EU`, `UK`) or left to users (`XK`, `ZZ`) name no country whose law applies: the law of the European Union
/// applies through its member states, which all have codes.
const ASSIGNED: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG \
    BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI \
    CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH \
    ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ \
    GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT \
    JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS \
    LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU \
    MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG \
    PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG \
    SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK \
    TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU \
    WF WS YE YT ZA ZM ZW";

/// Whether `code` is an officially assigned country code, in upper case.
pub(super) fn is_assigned(code: &str) -> bool {
    ASSIGNED.split(' ').any(|assigned| assigned == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jurisdiction_is_one_of_the_assigned_country_codes() {
        let all: Vec<&str> = ASSIGNED.split(' ').collect();
        assert_eq!(all.len(), 249);
        assert!(all.is_sorted() && all.iter().all(|code| code.len() == 2));
        for code in ["CH", "GB", "HU", "US", "ZW", "AD"] {
            assert!(is_assigned(code), "{code}");
        }
        for code in ["EU", "UK", "XK", "XX", "ZZ", "ch", "C", "", "CH ", "AD AE"] {
            assert!(!is_assigned(code), "{code}");
        }
    }
}
