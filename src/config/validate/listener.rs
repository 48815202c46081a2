//! `[[listener]]`.

use super::address::{self, Parts};
use super::files::Pem;
use super::{Context, value_or};
use crate::config::model::{ListenAddress, Listener, ListenerTls};
use crate::config::raw::{RawListener, RawListenerTls, RawListenerTlsMode};
use crate::diagnostic::At;
use std::net::{IpAddr, SocketAddr};

const ADDRESS_ALLOWED: &str =
    "\"127.0.0.1:6432\", \"[::]:6432\", or a Unix socket's directory: \"/run/howdah:6432\"";

/// The port where none is given, PgBouncer's.
const PORT: u16 = 6432;

impl Context<'_> {
    pub(super) fn listeners(&mut self, raw: Vec<At<RawListener>>) -> Vec<Listener> {
        if raw.is_empty() {
            let error = self.source.error(0..0, "there is no [[listener]]: no client could connect");
            self.push(error.hint("add [[listener]] with address = \"127.0.0.1:6432\""));
        }
        let mut listeners: Vec<Listener> = Vec::new();
        for raw in raw {
            let raw = raw.into_inner();
            let Some(written) = raw.address else { continue };
            let address = self.listen_address(&written, raw.port);
            let tls = raw.tls.map_or(Some(ListenerTls::Disabled), |tls| self.listener_tls(tls));
            let (Some(address), Some(tls)) = (address, tls) else { continue };
            if let Some(other) = listeners.iter().find(|other| overlap(&other.address, &address)) {
                let found = format!("{address} overlaps the listener on {}", other.address);
                self.error(written.span(), found, "each address and port once");
                continue;
            }
            listeners.push(Listener { address, tls });
        }
        listeners
    }

    fn listen_address(&mut self, written: &At<String>, port: Option<At<u16>>) -> Option<ListenAddress> {
        let parts = match address::split(written.get()) {
            Ok(parts) => parts,
            Err(wrong) => {
                self.error(written.span(), format!("{:?}: {wrong}", written.get()), ADDRESS_ALLOWED);
                return None;
            }
        };
        let (Parts::Host(_, own_port) | Parts::Directory(_, own_port)) = parts;
        if let (Some(_), Some(port)) = (own_port, &port) {
            self.error(port.span(), "the port is given twice", "in `address`, or as `port`");
        }
        let port = own_port.unwrap_or_else(|| value_or(port, PORT));
        match parts {
            Parts::Directory(directory, _) => {
                let directory = self.resolve(directory);
                if !directory.is_dir() {
                    let found = format!("there is no directory {:?}", directory.display().to_string());
                    self.error(written.span(), found, ADDRESS_ALLOWED);
                    return None;
                }
                Some(ListenAddress::Unix { directory, port })
            }
            Parts::Host(host, _) => match host.parse::<IpAddr>() {
                Ok(ip) => Some(ListenAddress::Tcp(SocketAddr::new(ip, port))),
                Err(_) if host == "localhost" => {
                    Some(ListenAddress::Tcp(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port)))
                }
                Err(_) => {
                    let error = self.source.error(written.span(), format!("{host:?} is not an IP address"));
                    let hint =
                        format!("for every IPv4 address: \"0.0.0.0:{port}\"; with IPv6: \"[::]:{port}\"");
                    self.push(error.allowed(ADDRESS_ALLOWED).hint(hint));
                    None
                }
            },
        }
    }

    fn listener_tls(&mut self, raw: At<RawListenerTls>) -> Option<ListenerTls> {
        let table = raw.span();
        let raw = raw.into_inner();
        let mode = value_or(raw.mode, RawListenerTlsMode::Allow);
        let is_given = raw.certificate.is_some() || raw.key.is_some();
        let identity = self.identity(raw.certificate, raw.key, table.clone());
        let client_ca = raw.client_ca.as_ref().map(|file| self.pem(file, Pem::Certificates));
        let client_ca = match client_ca {
            None => None,
            Some(file) => Some(file?),
        };
        let required = match mode {
            RawListenerTlsMode::Disable => return Some(ListenerTls::Disabled),
            RawListenerTlsMode::Allow => false,
            RawListenerTlsMode::Require => true,
        };
        if identity.is_none() && !is_given {
            self.error(
                table,
                "TLS needs a certificate and its key",
                "`certificate` and `key`, or mode = \"disable\"",
            );
        }
        Some(ListenerTls::Enabled { required, identity: identity?, client_ca })
    }
}

/// Whether two listeners cannot both exist.
fn overlap(a: &ListenAddress, b: &ListenAddress) -> bool {
    match (a, b) {
        (ListenAddress::Tcp(a), ListenAddress::Tcp(b)) => {
            let covers = |x: &SocketAddr, y: &SocketAddr| {
                x.ip().is_unspecified() && (x.is_ipv6() || y.is_ipv4()) || x.ip() == y.ip()
            };
            a.port() == b.port() && a.port() != 0 && (covers(a, b) || covers(b, a))
        }
        (a, b) => a == b,
    }
}
