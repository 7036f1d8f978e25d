use super::*;
use concordat_protocol::error_kind::{ErrorKind, Explain};

fn split(shares: u8, threshold: u8) -> (RecoveryKey, Vec<String>) {
    let key = RecoveryKey::random();
    let split = key.split(SharePlan::new(shares, threshold).unwrap()).unwrap();
    let lines = split.iter().map(|share| share.line().to_string()).collect();
    (key, lines)
}

fn read<'a>(lines: impl IntoIterator<Item = &'a String>) -> Vec<Share> {
    lines.into_iter().map(|line| line.parse().unwrap()).collect()
}

fn combined<'a>(lines: impl IntoIterator<Item = &'a String>) -> Result<String, ShareError> {
    let key = RecoveryKey::from_shares(&read(lines))?;
    Ok(key.0.to_string().expose_secret().to_owned())
}

/// All subsets of five shares: those of three and more recover the key, and all others do not.
#[test]
fn any_three_of_five_shares_recover_the_key_and_no_two_do() {
    let (key, lines) = split(5, 3);
    let secret = key.0.to_string().expose_secret().to_owned();
    for chosen in 1_u32..32 {
        let subset: Vec<&String> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| chosen >> at & 1 == 1)
            .map(|(_, line)| line)
            .collect();
        let given = subset.len();
        match combined(subset.iter().rev().copied()) {
            Ok(found) => assert!(given >= 3 && found == secret, "{chosen:b}"),
            Err(error) => assert_eq!(error, ShareError::TooFew { given, needed: 3 }, "{chosen:b}"),
        }
    }
}

#[test]
fn maximum_number_of_shares_recovers_the_key() {
    let (key, lines) = split(255, 255);
    assert_eq!(combined(&lines).unwrap(), key.0.to_string().expose_secret());
    assert_eq!(
        combined(&lines[..254]),
        Err(ShareError::TooFew {
            given: 254,
            needed: 255
        })
    );
}

/// Shares with a forged threshold recover no key, and no part of one.
#[test]
fn shares_with_a_forged_threshold_recover_nothing() {
    let (_, lines) = split(5, 3);
    let forged = lines[..2].iter().map(|line| {
        let mut share: Share = line.parse().unwrap();
        share.plan.threshold = 2;
        share
    });
    assert_eq!(
        RecoveryKey::from_shares(&forged.collect::<Vec<_>>()).unwrap_err(),
        ShareError::Forged
    );
}

#[test]
fn shares_of_different_escrows_do_not_mix() {
    let ((_, one), (_, other)) = (split(3, 2), split(3, 2));
    let error = combined([&one[0], &other[1]]).unwrap_err();
    assert!(matches!(error, ShareError::Mixed { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn a_share_counts_once() {
    let (_, lines) = split(3, 2);
    assert_eq!(combined([&lines[1], &lines[1]]), Err(ShareError::Twice { number: 2 }));
    assert_eq!(
        combined([&lines[0], &lines[1], &lines[0]]),
        Err(ShareError::Twice { number: 1 })
    );
    assert_eq!(RecoveryKey::from_shares(&[]).unwrap_err(), ShareError::None);
}

#[test]
fn every_changed_character_of_a_share_is_detected() {
    let (_, lines) = split(3, 2);
    let line = &lines[0];
    assert!(line.is_ascii() && !line.contains(char::is_whitespace), "{line}");
    for at in 0..line.len() {
        let mut bytes = line.clone().into_bytes();
        bytes[at] = if bytes[at] == b'z' { b'y' } else { b'z' };
        let changed = String::from_utf8(bytes).unwrap();
        let error = changed.parse::<Share>().unwrap_err();
        assert!(
            matches!(error, ShareError::Damaged | ShareError::NoShare),
            "{changed}: {error:?}"
        );
        assert!(line.get(..at).unwrap().parse::<Share>().is_err(), "cut at {at}");
    }
}

/// A share with a recomputed check is valid by itself; the recovered key reveals the forgery.
#[test]
fn forged_share_recovers_nothing() {
    let (_, lines) = split(3, 2);
    for at in [0, 1, 30, SHARED - 1] {
        let mut shares = read(&lines[..2]);
        shares[1].data[at] ^= 1;
        let forged: Share = shares[1].line().parse().unwrap();
        shares[1] = forged;
        assert_eq!(RecoveryKey::from_shares(&shares).unwrap_err(), ShareError::Forged);
        assert_eq!(ShareError::Forged.kind(), ErrorKind::Unverified);
    }
    let (_, others) = split(3, 2);
    let mut foreign = read(&others[..2]);
    for share in &mut foreign {
        share.escrow = read(&lines[..1])[0].escrow.clone();
    }
    assert_eq!(
        RecoveryKey::from_shares(&foreign).unwrap_err(),
        ShareError::Forged,
        "another key under its name"
    );
    let mut shares = read(&lines[..2]);
    shares[1].plan.shares = 4;
    assert_eq!(RecoveryKey::from_shares(&shares).unwrap_err(), ShareError::Forged);
}

#[test]
fn a_share_is_found_between_comments_and_in_capital_letters() {
    let (_, lines) = split(2, 2);
    let file = format!("# Share 1 of 2\r\n\n  {}  \r\n", lines[0].to_uppercase());
    let share = Share::in_file(file.as_bytes()).unwrap();
    assert_eq!(*share.line(), lines[0]);
    assert_eq!(Share::in_file(b"AGE-SECRET-KEY-1").unwrap_err(), ShareError::NoShare);
    assert_eq!(Share::in_file(&[0xFF]).unwrap_err(), ShareError::NoShare);
}

#[test]
fn plans_that_protect_nothing_are_refused() {
    for (shares, threshold) in [(0, 0), (1, 1), (3, 0), (3, 1), (3, 4)] {
        assert_eq!(SharePlan::new(shares, threshold).unwrap_err().kind(), ErrorKind::Usage);
    }
}

#[test]
fn a_share_shows_neither_in_debug_nor_anything_of_the_key() {
    let (key, lines) = split(2, 2);
    let share: Share = lines[0].parse().unwrap();
    let data = lines[0].split(':').nth(4).unwrap();
    assert!(!format!("{share:?} {key:?}").contains(data));
    // Two splits of one key have no share in common.
    let again = key.split(share.plan).unwrap();
    assert_ne!(*again[0].line(), lines[0]);
    assert_eq!(again[0].escrow(), share.escrow());
}
