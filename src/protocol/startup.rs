//! The packets before the first typed message: StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.
//!
//! Source: PostgreSQL 15 `src/backend/postmaster/postmaster.c` (`ProcessStartupPacket`), and the
//! manual's "Message Formats". Limits, texts and codes are Postgres's own.

use super::read::Reader;
use super::{backend, write};
use crate::error::SqlError;
use crate::sqlstate;

/// The request code of CancelRequest.
pub const CANCEL_REQUEST: u32 = 1234 << 16 | 5678;
/// The request code of SSLRequest.
pub const SSL_REQUEST: u32 = 1234 << 16 | 5679;
/// The request code of GSSENCRequest.
pub const GSS_ENC_REQUEST: u32 = 1234 << 16 | 5680;
/// Protocol version 3.0, the only one spoken.
pub const PROTOCOL_3_0: u32 = 3 << 16;
/// Smallest packet: its length and a code.
pub const PACKET_LEN_MIN: usize = 8;
/// Largest packet, its length field included (Postgres's MAX_STARTUP_PACKET_LENGTH does not count that).
pub const PACKET_LEN_MAX: usize = 10_004;
/// First byte of a TLS ClientHello: a client that speaks TLS without asking first.
pub const TLS_HANDSHAKE_BYTE: u8 = 0x16;
/// Longest name of a user or database in bytes; longer ones are cut, as Postgres cuts them.
pub const NAME_LEN_MAX: usize = 63;

/// The length field of a first packet is out of bounds; Postgres closes without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid length of startup packet")]
pub struct BadPacketLength;

/// Reads the length of the packet at the start of `bytes`; `None` where fewer than 4 bytes are there.
///
/// # Errors
/// [`BadPacketLength`] outside [`PACKET_LEN_MIN`]..=[`PACKET_LEN_MAX`].
pub fn packet_len(bytes: &[u8]) -> Result<Option<usize>, BadPacketLength> {
    let Some(&length) = bytes.first_chunk::<4>() else { return Ok(None) };
    let len = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if (PACKET_LEN_MIN..=PACKET_LEN_MAX).contains(&len) { Ok(Some(len)) } else { Err(BadPacketLength) }
}

/// What a client may send first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Asks for TLS.
    SslRequest,
    /// Asks for GSSAPI encryption.
    GssEncRequest,
    /// Asks to cancel another session's statement.
    Cancel {
        /// The session's process id, from BackendKeyData.
        process_id: i32,
        /// The session's secret, from BackendKeyData.
        secret: i32,
    },
    /// Opens a session.
    Startup(StartupMessage<'a>),
}

/// Why a packet is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Postgres closes without a word.
    #[error(transparent)]
    Length(#[from] BadPacketLength),
    /// A protocol version other than 3.x; answered with [`unsupported_version`].
    #[error("unsupported frontend protocol {}.{}", .0 >> 16, .0 & 0xffff)]
    Version(u32),
    /// An error that the client is told.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// Parses one whole packet, its length field included.
///
/// # Errors
/// [`PacketError`]; never panics, whatever the bytes.
pub fn parse(packet: &[u8]) -> Result<Packet<'_>, PacketError> {
    let mut reader = Reader::new(packet);
    let (Ok(_), Ok(code)) = (reader.u32(), reader.u32()) else { return Err(BadPacketLength.into()) };
    match code {
        SSL_REQUEST => Ok(Packet::SslRequest),
        GSS_ENC_REQUEST => Ok(Packet::GssEncRequest),
        CANCEL_REQUEST => match (reader.i32(), reader.i32(), reader.is_empty()) {
            (Ok(process_id), Ok(secret), true) => Ok(Packet::Cancel { process_id, secret }),
            _ => Err(BadPacketLength.into()),
        },
        version if version >> 16 == PROTOCOL_3_0 >> 16 => {
            Ok(Packet::Startup(StartupMessage::parse(version & 0xffff, reader.rest())?))
        }
        version => Err(PacketError::Version(version)),
    }
}

/// Writes the answer to a protocol version that is not spoken, in the error format of that version.
pub fn unsupported_version(out: &mut Vec<u8>, version: u32) {
    let text = format!(
        "unsupported frontend protocol {}.{}: server supports 3.0 to 3.0",
        version >> 16,
        version & 0xffff
    );
    if version < PROTOCOL_3_0 {
        // Protocol 2 knew no length and no fields.
        out.extend_from_slice(b"EFATAL:  ");
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\n\0");
    } else {
        write::error_response(out, &SqlError::fatal(sqlstate::FEATURE_NOT_SUPPORTED, text));
    }
}

/// A StartupMessage of protocol 3.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartupMessage<'a> {
    minor: u32,
    user: &'a [u8],
    database: &'a [u8],
    replication: &'a [u8],
    pairs: &'a [u8],
    protocol_options: u32,
}

impl<'a> StartupMessage<'a> {
    fn parse(minor: u32, pairs: &'a [u8]) -> Result<Self, SqlError> {
        let mut message =
            StartupMessage { minor, user: b"", database: b"", replication: b"", pairs, protocol_options: 0 };
        let mut list = Pairs(pairs);
        for (name, value) in list.by_ref() {
            match name {
                b"user" => message.user = value,
                b"database" => message.database = value,
                b"replication" => message.replication = value,
                _ if name.starts_with(b"_pq_.") => message.protocol_options += 1,
                _ => {}
            }
        }
        if list.0 != [0] {
            return Err(SqlError::protocol(
                "invalid startup packet layout: expected terminator as last byte",
            ));
        }
        Ok(message)
    }

    /// Writes NegotiateProtocolVersion where the client asked for more than 3.0 without options.
    ///
    /// It comes before anything else that is sent, errors of [`Self::identity`] included.
    pub fn negotiate(&self, out: &mut Vec<u8>) {
        if self.minor == 0 && self.protocol_options == 0 {
            return;
        }
        write::message(out, backend::NEGOTIATE_PROTOCOL_VERSION, |b| {
            b.extend_from_slice(&PROTOCOL_3_0.to_be_bytes());
            b.extend_from_slice(&self.protocol_options.to_be_bytes());
            for (name, _) in Pairs(self.pairs).filter(|(name, _)| name.starts_with(b"_pq_.")) {
                write::cstr(b, name);
            }
        });
    }

    /// The user and the database (by default the user's name), cut to 63 bytes.
    ///
    /// # Errors
    /// `28000` without a user, `22021` for names that are not UTF-8, `0A000` for replication.
    pub fn identity(&self) -> Result<(&'a str, &'a str), SqlError> {
        if !matches!(parse_replication(self.replication)?, Replication::No) {
            return Err(SqlError::fatal(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "replication connections are not supported",
            )
            .with_hint("Connect to the shard's own server for replication."));
        }
        if self.user.is_empty() {
            return Err(SqlError::fatal(
                sqlstate::INVALID_AUTHORIZATION,
                "no PostgreSQL user name specified in startup packet",
            ));
        }
        let user = name(self.user)?;
        Ok((user, if self.database.is_empty() { user } else { name(self.database)? }))
    }

    /// The settings that the client asked for, as they stand in the packet.
    pub fn parameters(&self) -> Parameters {
        Parameters { pairs: self.pairs.into() }
    }
}

enum Replication {
    No,
    Yes,
}

/// Postgres's `parse_bool` takes any unique prefix, in any case, of these words.
fn parse_replication(value: &[u8]) -> Result<Replication, SqlError> {
    let lower = value.to_ascii_lowercase();
    let is_prefix = |word: &[u8], len_min: usize| lower.len() >= len_min && word.starts_with(&lower);
    match lower.as_slice() {
        b"" | b"0" => Ok(Replication::No),
        b"1" | b"database" => Ok(Replication::Yes),
        _ if is_prefix(b"false", 1) || is_prefix(b"no", 1) || is_prefix(b"off", 2) => Ok(Replication::No),
        _ if is_prefix(b"true", 1) || is_prefix(b"yes", 1) || is_prefix(b"on", 2) => Ok(Replication::Yes),
        _ => Err(SqlError::fatal(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"replication\": \"{}\"", String::from_utf8_lossy(value)),
        )
        .with_hint("Valid values are: \"false\", 0, \"true\", 1, \"database\".")),
    }
}

fn name(bytes: &[u8]) -> Result<&str, SqlError> {
    let text = std::str::from_utf8(bytes).map_err(|_invalid| {
        SqlError::fatal(
            sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
            "user and database names in the startup packet must be valid UTF-8",
        )
    })?;
    let end = (0..=NAME_LEN_MAX.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    Ok(text.get(..end).unwrap_or(text))
}

/// The settings of a StartupMessage, kept as one allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    pairs: Box<[u8]>,
}

impl Parameters {
    /// Every setting in the order sent: `options` is among them, names are as the client wrote them, a
    /// name may come twice (the last wins). `user`, `database`, `replication` and `_pq_.` options are not.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        Pairs(&self.pairs).filter(|(name, _)| {
            !matches!(*name, b"user" | b"database" | b"replication") && !name.starts_with(b"_pq_.")
        })
    }

    /// The last value of one setting.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().filter(|(n, _)| *n == name.as_bytes()).last().map(|(_, value)| value)
    }
}

/// Name and value pairs up to the terminator, which stays unread, as does a pair that is cut off.
struct Pairs<'a>(&'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = Reader::new(self.0);
        let name = reader.cstr().ok().filter(|name| !name.is_empty())?;
        let value = reader.cstr().ok()?;
        self.0 = reader.rest();
        Some((name, value))
    }
}

/// Writes a StartupMessage of protocol 3.0.
pub fn write_startup(out: &mut Vec<u8>, pairs: &[(&[u8], &[u8])]) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&PROTOCOL_3_0.to_be_bytes());
    for (name, value) in pairs {
        write::cstr(out, name);
        write::cstr(out, value);
    }
    out.push(0);
    let len = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&len.to_be_bytes());
    }
}

/// Writes SSLRequest.
pub fn write_ssl_request(out: &mut Vec<u8>) {
    out.extend_from_slice(&8_u32.to_be_bytes());
    out.extend_from_slice(&SSL_REQUEST.to_be_bytes());
}

/// Writes CancelRequest.
pub fn write_cancel_request(out: &mut Vec<u8>, process_id: i32, secret: i32) {
    out.extend_from_slice(&16_u32.to_be_bytes());
    out.extend_from_slice(&CANCEL_REQUEST.to_be_bytes());
    out.extend_from_slice(&process_id.to_be_bytes());
    out.extend_from_slice(&secret.to_be_bytes());
}

/// Takes any bytes through everything that is done with a first packet: the entry point for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    let len = match packet_len(bytes) {
        Ok(Some(len)) => len,
        Ok(None) | Err(BadPacketLength) => return,
    };
    let mut out = Vec::new();
    match parse(bytes.get(..len).unwrap_or(bytes)) {
        Ok(Packet::Startup(message)) => {
            message.negotiate(&mut out);
            let _names_or_refusal = message.identity();
            debug_assert!(message.parameters().iter().all(|(name, _)| !name.is_empty()));
        }
        Err(PacketError::Version(version)) => unsupported_version(&mut out, version),
        Ok(Packet::SslRequest | Packet::GssEncRequest | Packet::Cancel { .. })
        | Err(PacketError::Length(_) | PacketError::Sql(_)) => {}
    }
}

#[cfg(test)]
mod tests;
