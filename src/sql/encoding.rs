//! Which client encodings can be read byte by byte as ASCII with opaque high-bit bytes.
//!
//! Owns that list only. In the client-only encodings BIG5, GBK, GB18030, JOHAB, SJIS, SHIFT_JIS_2004 and UHC
//! a byte of ASCII's range may be the second half of a character: 0x5C (a backslash) in SJIS, BIG5, GBK,
//! and in JOHAB even 0x3B (a semicolon). The server converts before it scans, so its token boundaries are
//! not those of the client's bytes; statements in such an encoding must be refused or treated as opaque.
//! Source: src/include/mb/pg_wchar.h and src/common/encnames.c of PostgreSQL 15.

/// Whether SQL in the client encoding `name` can be scanned before the server converts it.
///
/// Names are compared as Postgres does (letters and digits only, in any case). The answer for a name that
/// is not known is no; Postgres refuses such a name.
pub fn is_scannable(name: &[u8]) -> bool {
    let mut clean = [0u8; 24];
    let mut len = 0;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        let Some(slot) = clean.get_mut(len) else {
            return false;
        };
        *slot = byte.to_ascii_lowercase();
        len += 1;
    }
    matches!(
        clean.get(..len).unwrap_or_default(),
        b"utf8"
            | b"unicode"
            | b"sqlascii"
            | b"abc"
            | b"alt"
            | b"euccn"
            | b"eucjis2004"
            | b"eucjp"
            | b"euckr"
            | b"euctw"
            | b"iso88591"
            | b"iso885910"
            | b"iso885913"
            | b"iso885914"
            | b"iso885915"
            | b"iso885916"
            | b"iso88592"
            | b"iso88593"
            | b"iso88594"
            | b"iso88595"
            | b"iso88596"
            | b"iso88597"
            | b"iso88598"
            | b"iso88599"
            | b"koi8"
            | b"koi8r"
            | b"koi8u"
            | b"latin1"
            | b"latin10"
            | b"latin2"
            | b"latin3"
            | b"latin4"
            | b"latin5"
            | b"latin6"
            | b"latin7"
            | b"latin8"
            | b"latin9"
            | b"muleinternal"
            | b"tcvn"
            | b"tcvn5712"
            | b"vscii"
            | b"win"
            | b"win1250"
            | b"win1251"
            | b"win1252"
            | b"win1253"
            | b"win1254"
            | b"win1255"
            | b"win1256"
            | b"win1257"
            | b"win1258"
            | b"win866"
            | b"win874"
            | b"windows1250"
            | b"windows1251"
            | b"windows1252"
            | b"windows1253"
            | b"windows1254"
            | b"windows1255"
            | b"windows1256"
            | b"windows1257"
            | b"windows1258"
            | b"windows866"
            | b"windows874"
    )
}

#[cfg(test)]
mod tests {
    use super::is_scannable;

    #[test]
    fn encodings_whose_second_bytes_are_ascii_are_not_scannable() {
        for name in [
            "SJIS",
            "Shift_JIS",
            "mskanji",
            "windows932",
            "SHIFT_JIS_2004",
            "BIG5",
            "GBK",
            "windows936",
            "GB18030",
            "JOHAB",
            "UHC",
            "windows949",
            "",
            "nonsense",
            "a-very-long-name-of-no-encoding-at-all",
        ] {
            assert!(!is_scannable(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_compare_without_case_and_punctuation() {
        for name in
            ["UTF8", "utf-8", "Unicode", "SQL_ASCII", "EUC_JIS_2004", "latin1", "ISO_8859-1", "WIN1252"]
        {
            assert!(is_scannable(name.as_bytes()), "{name}");
        }
    }
}
