//! Syntax of password verifiers as Postgres keeps them in `pg_authid.rolpassword`.
//!
//! Source: PostgreSQL `src/backend/libpq/auth-scram.c` (`parse_scram_secret`), `src/common/md5_common.c`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Kinds of verifiers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Scram,
    Md5,
}

/// The kind of a verifier; `Err` says what is wrong, without its text.
pub(super) fn kind(verifier: &str) -> Result<Kind, &'static str> {
    if let Some(rest) = verifier.strip_prefix("SCRAM-SHA-256$") {
        return scram(rest).map(|()| Kind::Scram);
    }
    match verifier.strip_prefix("md5") {
        Some(digits) if digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Kind::Md5),
        Some(_) => Err("after `md5` come 32 hexadecimal digits"),
        None => Err("it begins neither with `SCRAM-SHA-256$` nor with `md5`"),
    }
}

/// Checks `iterations:salt$stored_key:server_key`.
fn scram(rest: &str) -> Result<(), &'static str> {
    let (head, keys) = rest.split_once('$').ok_or("the second `$` is missing")?;
    let (iterations, salt) = head.split_once(':').ok_or("`:` between iterations and salt is missing")?;
    let (stored, server) = keys.split_once(':').ok_or("`:` between the two keys is missing")?;
    if !iterations.parse::<u32>().is_ok_and(|count| count > 0) {
        return Err("the number of iterations is not a number above 0");
    }
    if !STANDARD.decode(salt).is_ok_and(|salt| !salt.is_empty()) {
        return Err("the salt is not Base64");
    }
    let is_key = |key: &str| STANDARD.decode(key).is_ok_and(|key| key.len() == 32);
    if !(is_key(stored) && is_key(server)) {
        return Err("a key is not 32 bytes in Base64");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn verifiers_of_postgres_are_recognised_and_broken_ones_are_not() {
        let key = "A".repeat(43) + "=";
        let good = format!("SCRAM-SHA-256$4096:c2FsdA==${key}:{key}");
        assert_eq!(kind(&good), Ok(Kind::Scram));
        assert_eq!(kind(&format!("md5{}", "0aF".repeat(10) + "12")), Ok(Kind::Md5));
        for bad in [
            String::new(),
            "secret".into(),
            "md5".into(),
            "md5".to_owned() + &"g".repeat(32),
            "SCRAM-SHA-256$".into(),
            good.replace("4096", "0"),
            good.replace("4096", "many"),
            good.replace("c2FsdA==", "c2F*dA=="),
            good.replace("c2FsdA==", ""),
            good.replace(&format!(":{key}"), ":QUJD"),
            good.replace(&format!(":{key}"), ""),
        ] {
            assert!(kind(&bad).is_err(), "{bad}");
        }
    }
}
