//! Addresses as they are written: `host:port`, `[::1]:port`, `/directory:port`, `10.0.0.0/8`.

use crate::config::model::AddressRange;
use std::net::IpAddr;

/// An address split into its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parts<'a> {
    /// A host name or IP address, without brackets.
    Host(&'a str, Option<u16>),
    /// A folder.
    Directory(&'a str, Option<u16>),
}

/// Splits an address; `Err` says what is wrong with it.
pub(super) fn split(text: &str) -> Result<Parts<'_>, &'static str> {
    if text.is_empty() {
        return Err("the address is empty");
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("the address contains blanks");
    }
    if text.starts_with('/') || text.starts_with('.') {
        let (directory, number) = match text.rsplit_once(':') {
            Some((directory, number)) => (directory, Some(port(number)?)),
            None => (text, None),
        };
        return Ok(Parts::Directory(directory, number));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("the address has no `]`")?;
        let host_is_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
        if !host_is_v6 {
            return Err("what stands in brackets is not an IPv6 address");
        }
        return Ok(Parts::Host(host, after_colon(rest)?));
    }
    let (host, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
    if rest.matches(':').count() > 1 {
        return Err("an IPv6 address needs brackets");
    }
    if host.is_empty() {
        return Err("the address has no host");
    }
    Ok(Parts::Host(host, after_colon(rest)?))
}

fn after_colon(rest: &str) -> Result<Option<u16>, &'static str> {
    match rest.strip_prefix(':') {
        Some(number) => port(number).map(Some),
        None if rest.is_empty() => Ok(None),
        None => Err("after the host comes `:` and a port"),
    }
}

fn port(text: &str) -> Result<u16, &'static str> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or("the port is not a number from 0 to 65535")
}

/// Reads `address` or `address/prefix`; `Err` says what is wrong with it.
pub(super) fn range(text: &str) -> Result<AddressRange, &'static str> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_ignored| "not an IP address")?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(text) => text.parse().ok().filter(|prefix| *prefix <= bits).ok_or(match bits {
            32 => "the length after `/` is not a number from 0 to 32",
            _ => "the length after `/` is not a number from 0 to 128",
        })?,
    };
    let range = AddressRange { base: masked(address, prefix), prefix };
    if range.base == address { Ok(range) } else { Err("bits are set after the length that `/` gives") }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Parts, range, split};

    #[test]
    fn addresses_are_split_into_host_or_folder_and_port() {
        assert_eq!(split("127.0.0.1:5432"), Ok(Parts::Host("127.0.0.1", Some(5432))));
        assert_eq!(split("db.example"), Ok(Parts::Host("db.example", None)));
        assert_eq!(split("[::1]:5432"), Ok(Parts::Host("::1", Some(5432))));
        assert_eq!(split("[::1]"), Ok(Parts::Host("::1", None)));
        assert_eq!(split("/run/pg:5433"), Ok(Parts::Directory("/run/pg", Some(5433))));
        assert_eq!(split("./sockets"), Ok(Parts::Directory("./sockets", None)));
        for bad in [
            "", "::1", "::1:5432", "[::1", "[x]:1", "[::1]x", "h:", "h:x", "h:70000", "h:+1", ":5432",
            "a b:1", "/run:x",
        ] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_hold_exactly_their_addresses() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("::1", "::1", "::2"),
            ("fe80::/10", "fe80::1", "10.0.0.1"),
            ("192.168.1.128/25", "::ffff:192.168.1.200", "192.168.1.127"),
        ] {
            let range = range(text).unwrap();
            assert!(range.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!range.contains(outside.parse().unwrap()), "{text} {outside}");
        }
        assert!(range("0.0.0.0/0").unwrap().contains("1.2.3.4".parse().unwrap()));
        assert!(range("::/0").unwrap().contains("fe80::1".parse().unwrap()));
        for bad in
            ["", "x", "10.0.0.0/33", "::/129", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8"]
        {
            assert!(range(bad).is_err(), "{bad}");
        }
    }
}
