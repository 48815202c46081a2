//! RowDescription: reading it, writing it, and whether two shards' agree.

use crate::catalog::OidMap;
use crate::error::SqlError;
use crate::protocol::read::{Malformed, Reader};
use crate::protocol::{backend, write};

/// A column as RowDescription tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: Vec<u8>,
    pub(super) table_oid: u32,
    pub(super) number: i16,
    pub(super) type_oid: u32,
    pub(super) type_len: i16,
    pub(super) type_modifier: i32,
    pub(super) format: i16,
}

impl Column {
    pub(super) fn is_binary(&self) -> bool {
        self.format == 1
    }

    /// The name, for messages.
    pub(super) fn shown_name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// Whether another shard's column is the same. Its table's OID and its number in it may differ.
    fn agrees(&self, other: &Column) -> bool {
        self.name == other.name
            && self.type_oid == other.type_oid
            && self.type_modifier == other.type_modifier
            && self.format == other.format
    }
}

pub(super) fn read(body: &[u8]) -> Result<Vec<Column>, SqlError> {
    columns(body).map_err(|Malformed| SqlError::protocol("invalid row description from a shard"))
}

fn columns(body: &[u8]) -> Result<Vec<Column>, Malformed> {
    let mut reader = Reader::new(body);
    let count = reader.i16()? as u16;
    let mut columns = Vec::new();
    for _ in 0..count {
        columns.push(Column {
            name: reader.cstr()?.to_vec(),
            table_oid: reader.u32()?,
            number: reader.i16()?,
            type_oid: reader.u32()?,
            type_len: reader.i16()?,
            type_modifier: reader.i32()?,
            format: reader.i16()?,
        });
    }
    Ok(columns)
}

/// Makes a shard's OIDs those that clients see.
pub(super) fn translate(columns: &mut [Column], oids: &OidMap) {
    for column in columns {
        column.table_oid = oids.table_to_home(column.table_oid);
        column.type_oid = oids.type_to_home(column.type_oid);
    }
}

/// Appends a RowDescription.
pub(super) fn put(columns: &[Column], out: &mut Vec<u8>) {
    write::message(out, backend::ROW_DESCRIPTION, |b| {
        b.extend_from_slice(&u16::try_from(columns.len()).unwrap_or(u16::MAX).to_be_bytes());
        for column in columns {
            write::cstr(b, &column.name);
            b.extend_from_slice(&column.table_oid.to_be_bytes());
            b.extend_from_slice(&column.number.to_be_bytes());
            b.extend_from_slice(&column.type_oid.to_be_bytes());
            b.extend_from_slice(&column.type_len.to_be_bytes());
            b.extend_from_slice(&column.type_modifier.to_be_bytes());
            b.extend_from_slice(&column.format.to_be_bytes());
        }
    });
}

pub(super) fn agree(one: &[Column], other: &[Column]) -> Result<(), SqlError> {
    let differing = one.iter().zip(other).find(|(a, b)| !a.agrees(b));
    let message = match differing {
        Some((column, _)) => {
            format!("column \"{}\" of the result differs from shard to shard", column.shown_name())
        }
        None if one.len() == other.len() => return Ok(()),
        None => "the result's columns differ from shard to shard".to_owned(),
    };
    Err(SqlError::refused(
        message,
        "Give the table the same columns and types on every shard; with a `maintenance_user`, SHOW DRIFT tells where they differ, and types may have other OIDs on each.",
    ))
}
