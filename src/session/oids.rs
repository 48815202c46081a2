//! Descriptions of columns from a shard whose tables have other OIDs than the home shard's.

use crate::catalog::OidMap;
use crate::protocol::read::{Malformed, Reader};
use smallvec::SmallVec;

/// A RowDescription's body in the home shard's OIDs; `None` where it is so already, or malformed.
pub(super) fn in_home_oids(body: &[u8], oids: &OidMap) -> Option<Vec<u8>> {
    let edits = edits(body, oids).ok()?;
    if edits.is_empty() {
        return None;
    }
    let mut told = body.to_vec();
    for (at, oid) in edits {
        told.get_mut(at..at + 4)?.copy_from_slice(&oid.to_be_bytes());
    }
    Some(told)
}

/// The places whose OIDs differ, and the home shard's.
fn edits(body: &[u8], oids: &OidMap) -> Result<SmallVec<[(usize, u32); 8]>, Malformed> {
    let mut edits = SmallVec::new();
    let mut reader = Reader::new(body);
    for _ in 0..reader.i16()? as u16 {
        reader.cstr()?;
        let at = body.len() - reader.rest().len();
        let table = reader.u32()?;
        reader.i16()?;
        let type_oid = reader.u32()?;
        reader.bytes(8)?;
        for (at, oid, home) in
            [(at, table, oids.table_to_home(table)), (at + 6, type_oid, oids.type_to_home(type_oid))]
        {
            if oid != home {
                edits.push((at, home));
            }
        }
    }
    Ok(edits)
}
