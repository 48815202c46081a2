//! RowDescription: reading it, and whether two shards' agree.

use crate::error::SqlError;
use crate::protocol::read::{Malformed, Reader};

/// What of a column must be the same on all shards. Its table's OID and its number in it may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: Vec<u8>,
    pub(super) type_oid: u32,
    pub(super) type_modifier: i32,
    pub(super) is_binary: bool,
}

pub(super) fn read(body: &[u8]) -> Result<Vec<Column>, SqlError> {
    columns(body).map_err(|Malformed| SqlError::protocol("invalid row description from a shard"))
}

fn columns(body: &[u8]) -> Result<Vec<Column>, Malformed> {
    let mut reader = Reader::new(body);
    let count = reader.i16()?;
    let mut columns = Vec::new();
    for _ in 0..count {
        let name = reader.cstr()?.to_vec();
        let (_table, _number) = (reader.u32()?, reader.i16()?);
        let type_oid = reader.u32()?;
        let _length = reader.i16()?;
        let type_modifier = reader.i32()?;
        let is_binary = reader.i16()? == 1;
        columns.push(Column { name, type_oid, type_modifier, is_binary });
    }
    Ok(columns)
}

pub(super) fn agree(one: &[Column], other: &[Column]) -> Result<(), SqlError> {
    if one == other {
        return Ok(());
    }
    let differing = one.iter().zip(other).find(|(a, b)| a != b);
    let message = match differing {
        Some((a, _)) => {
            let name = String::from_utf8_lossy(&a.name).into_owned();
            format!("column \"{name}\" of the result differs from shard to shard")
        }
        None => "the result's columns differ from shard to shard".to_owned(),
    };
    Err(SqlError::refused(
        message,
        "Give the table the same columns and types on every shard; types made by users have other OIDs on each, which is not supported yet.",
    ))
}
