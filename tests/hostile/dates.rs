//! `exp`, `nbf`, `iat` and the maximum age, at every boundary and in every spelling of a number, against exact arithmetic.

use edgeward::error::VerifyError;
use edgeward::io::UnixTime;
use edgeward::limits;
use support::{Mint, NOW, access_policy, key_a};

/// 9999-12-31T23:59:59Z
const LAST: i64 = 253_402_300_799;

/// Spellings of `seconds` and a fraction in thousandths.
fn spellings(seconds: i64) -> Vec<(String, i64)> {
    let whole = seconds * 1000;
    let (head, tail) = (seconds / 10, seconds % 10);
    let mut list = vec![
        (format!("{seconds}"), whole),
        (format!("{seconds}.0"), whole),
        (format!("{seconds}e0"), whole),
        (format!("{seconds}E-0"), whole),
        (format!("{head}.{tail}e1"), whole),
        (format!("{head}.{tail}00E+1"), whole),
    ];
    // A number has no leading zero.
    if seconds > 0 {
        list.push((format!("{seconds}000e-3"), whole));
    }
    if seconds < LAST {
        list.extend([1, 500, 999].map(|thousandths| (format!("{seconds}.{thousandths:03}"), whole + thousandths)));
        list.push((format!("{head}.{tail}5e1"), whole + 500));
    }
    list
}

/// The verdict by exact arithmetic, all times in thousandths of a second.
fn expected(
    now: i128,
    exp: i128,
    nbf: Option<i128>,
    iat: Option<i128>,
    skew: i128,
    max_age: Option<i128>,
) -> &'static str {
    if now >= exp + skew {
        "token_expired"
    } else if nbf.is_some_and(|nbf| now + skew < nbf) {
        "token_not_yet_valid"
    } else if iat.is_some_and(|iat| now + skew < iat) {
        "token_issued_in_future"
    } else if max_age.is_some_and(|age| iat.is_some_and(|iat| now >= iat + age + skew)) {
        "token_too_old"
    } else {
        "ok"
    }
}

#[test]
fn every_boundary_of_every_date_is_exact() {
    let keys = key_a().set();
    let mut count = 0;
    for seconds in [0, 1, 61, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, NOW, LAST - 1, LAST] {
        for (text, thousandths) in spellings(seconds) {
            for name in ["exp", "nbf", "iat"] {
                let others = if name == "exp" { String::new() } else { format!(r#","exp":{LAST}"#) };
                let mint = ["exp", "nbf", "iat"].iter().fold(Mint::access(key_a()), |mint, one| mint.without(one));
                let token = mint.splice_claims(&format!(r#""{name}":{text}{others}"#)).text();
                let date = |one: &str| (name == one).then_some(i128::from(thousandths));
                let exp = date("exp").unwrap_or(i128::from(LAST) * 1000);
                let mut ages = vec![None];
                if name == "iat" {
                    ages.extend([Some(0), Some(1), Some(3600), Some(u32::MAX)]);
                }
                for age in ages {
                    for skew in [0, 1, limits::MAX_CLOCK_SKEW_S] {
                        let policy = access_policy().clock_skew_s(skew).unwrap();
                        let policy = if let Some(age) = age { policy.max_age_s(age) } else { policy };
                        let edges = [i64::from(skew), -i64::from(skew), i64::from(skew) + age.map_or(0, i64::from)];
                        let near = edges.iter().flat_map(|edge| (-2..=2).map(move |offset| seconds + edge + offset));
                        let far = [i64::MIN / 1000, -1, 0, LAST, LAST + 61, i64::MAX / 1000];
                        for now in near.chain(far) {
                            let expected = expected(
                                i128::from(now) * 1000,
                                exp,
                                date("nbf"),
                                date("iat"),
                                i128::from(skew) * 1000,
                                age.map(|age| i128::from(age) * 1000),
                            );
                            let verdict = policy.verify(&token, &keys, UnixTime::from_secs(now));
                            let found = verdict.as_ref().map_or_else(VerifyError::code, |_| "ok");
                            assert_eq!(found, expected, "{name} {text}, now {now}, skew {skew}, age {age:?}");
                            count += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(count > 30_000, "{count}");
}
