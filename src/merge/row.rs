//! DataRow: finding its fields without decoding them.

use crate::error::SqlError;
use crate::protocol::read::{Malformed, Reader};

/// Where a field lies in a DataRow's body; `None` is NULL.
pub(super) type Field = Option<(usize, usize)>;

/// A DataRow's body with the places of its first fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    body: &'a [u8],
    fields: &'a [Field],
}

impl<'a> Row<'a> {
    /// Finds the first `count` fields; `places` is room for them that is used again and again.
    #[inline]
    pub(super) fn read(
        body: &'a [u8],
        count: usize,
        places: &'a mut Vec<Field>,
    ) -> Result<Row<'a>, SqlError> {
        places.clear();
        let mut reader = Reader::new(body);
        let mut read = || -> Result<(), Malformed> {
            if usize::from(reader.i16()? as u16) < count {
                return Err(Malformed);
            }
            for _ in 0..count {
                let len = reader.i32()?;
                places.push(match usize::try_from(len) {
                    Ok(len) => {
                        let start = body.len() - reader.rest().len();
                        let _value = reader.bytes(len)?;
                        Some((start, start + len))
                    }
                    Err(_) => None,
                });
            }
            Ok(())
        };
        read().map_err(|Malformed| SqlError::protocol("invalid row from a shard"))?;
        Ok(Row { body, fields: places })
    }

    /// A field's bytes; `None` is NULL.
    #[inline]
    pub(super) fn field(&self, at: usize) -> Option<&'a [u8]> {
        let (start, end) = (*self.fields.get(at)?)?;
        self.body.get(start..end)
    }
}

/// Appends the first `count` columns of a DataRow's body as a whole message.
#[inline]
pub(super) fn put_leading(body: &[u8], count: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
    let malformed = |Malformed| SqlError::protocol("invalid row from a shard");
    let mut reader = Reader::new(body);
    if usize::from(reader.i16().map_err(malformed)? as u16) < count {
        return Err(malformed(Malformed));
    }
    for _ in 0..count {
        let len = reader.i32().map_err(malformed)?;
        if let Ok(len) = usize::try_from(len) {
            reader.bytes(len).map_err(malformed)?;
        }
    }
    let end = body.len() - reader.rest().len();
    let columns = u16::try_from(count).unwrap_or(u16::MAX);
    let len = u32::try_from(end + 4).unwrap_or(u32::MAX);
    let [a, b, c, d] = len.to_be_bytes();
    let [high, low] = columns.to_be_bytes();
    out.extend_from_slice(&[crate::protocol::backend::DATA_ROW, a, b, c, d, high, low]);
    out.extend_from_slice(body.get(2..end).unwrap_or_default());
    Ok(())
}
