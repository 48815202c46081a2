//! What goes to each shard of a scatter.

use super::Ask;
use crate::error::SqlError;
use crate::merge::{Limits, MergePlan};
use crate::plan::Scatter;
use crate::protocol::read::{Malformed, Reader};
use crate::protocol::{frontend, write};
use crate::session::expected::Kind;
use crate::sql::splice::{Spliced, splice};
use crate::sqlstate;
use smallvec::SmallVec;

/// A statement with a higher limit is not asked for all rows at once: so many first, then more.
const ROWS_FIRST: u64 = 1000;
/// Rows asked for at a time, at most.
const ROWS_MAX: u64 = 64 * ROWS_FIRST;

/// Messages for a shard, and what they are answered with.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) kinds: SmallVec<[Kind; 5]>,
    /// The format codes that the client asked for.
    pub(super) formats: Vec<i16>,
    /// How many rows were asked for, where more is to be asked for later; the portal stays open, and no
    /// Sync was sent.
    pub(super) rows: Option<u64>,
    /// The text, where it is not the client's.
    pub(super) spliced: Option<Spliced>,
}

/// # Errors
/// `08P01` for a Bind message that is none, or has other format codes than columns.
pub(super) fn outgoing(
    ask: &Ask,
    scatter: &Scatter,
    limits: Limits,
    scs: bool,
) -> Result<Outgoing, SqlError> {
    let plan = &scatter.merge;
    let (Ask::Query(sql) | Ask::Bound { sql, .. }) = ask;
    let spliced = match scatter.edits.as_slice() {
        [] => None,
        edits => Some(splice(sql, scs, edits).ok_or_else(other_tokens)?),
    };
    let sql = spliced.as_ref().map_or(sql.as_ref(), |spliced| spliced.text.as_slice());
    let rows = limits.limit.map(|limit| limit.saturating_add(limits.offset));
    let rows = rows.filter(|rows| *rows > ROWS_FIRST).map(|_| ROWS_FIRST);
    let mut outgoing = match ask {
        Ask::Query(_) if rows.is_none() && !plan.has_helpers() => {
            let mut bytes = Vec::with_capacity(sql.len() + 6);
            write::query(&mut bytes, sql);
            let kinds = [Kind::Query].into_iter().collect();
            Outgoing { bytes, kinds, formats: Vec::new(), rows: None, spliced: None }
        }
        Ask::Query(_) => portal(sql, &[], &[0, 0, 0, 0], Vec::new(), plan, rows)?,
        Ask::Bound { types, bind, .. } => {
            let (values, formats) =
                split(bind).map_err(|Malformed| SqlError::protocol("invalid message format"))?;
            portal(sql, types, values, formats, plan, rows)?
        }
    };
    outgoing.spliced = spliced;
    Ok(outgoing)
}

fn other_tokens() -> SqlError {
    SqlError::new(sqlstate::INTERNAL_ERROR, "the statement is another than the one that was planned")
}

/// Parse to Execute, by the unnamed statement and portal. `values`: a Bind message's parameters.
fn portal(
    sql: &[u8],
    types: &[u32],
    values: &[u8],
    formats: Vec<i16>,
    plan: &MergePlan,
    rows: Option<u64>,
) -> Result<Outgoing, SqlError> {
    let mut tail = Vec::with_capacity(2 + 4 * types.len());
    put_count(&mut tail, types.len());
    types.iter().for_each(|oid| tail.extend_from_slice(&oid.to_be_bytes()));
    let mut bytes = Vec::with_capacity(sql.len() + values.len() + tail.len() + 64);
    write::parse(&mut bytes, b"", sql, &tail);
    let shard_formats = plan.shard_formats(&formats)?;
    write::message(&mut bytes, frontend::BIND, |b| {
        b.extend_from_slice(&[0, 0]);
        b.extend_from_slice(values);
        put_count(b, shard_formats.len());
        shard_formats.iter().for_each(|format| b.extend_from_slice(&format.to_be_bytes()));
    });
    write::describe(&mut bytes, b'P', b"");
    put_execute(&mut bytes, rows);
    let mut kinds: SmallVec<[Kind; 5]> =
        [Kind::Parse, Kind::Bind, Kind::DescribePortal, Kind::Execute].into_iter().collect();
    if rows.is_none() {
        write::sync(&mut bytes);
        kinds.push(Kind::Sync);
    } else {
        write::flush(&mut bytes);
    }
    Ok(Outgoing { bytes, kinds, formats, rows, spliced: None })
}

/// How many rows to ask for after `rows`.
pub(super) fn more(rows: u64) -> u64 {
    (rows * 2).min(ROWS_MAX)
}

/// Execute of the unnamed portal; `None`: all rows.
pub(super) fn put_execute(out: &mut Vec<u8>, rows: Option<u64>) {
    let rows = rows.map_or(0, |rows| i32::try_from(rows).unwrap_or(i32::MAX));
    write::message(out, frontend::EXECUTE, |b| {
        b.push(0);
        b.extend_from_slice(&rows.to_be_bytes());
    });
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
}

/// A Bind message's parameters (behind its names), and the format codes of its result.
fn split(bind: &[u8]) -> Result<(&[u8], Vec<i16>), Malformed> {
    let mut reader = Reader::new(bind);
    for _ in 0..reader.i16()? as u16 {
        reader.i16()?;
    }
    for _ in 0..reader.i16()? as u16 {
        let len = reader.i32()?;
        if let Ok(len) = usize::try_from(len) {
            reader.bytes(len)?;
        }
    }
    let values = bind.get(..bind.len() - reader.rest().len()).ok_or(Malformed)?;
    let count = reader.i16()? as u16;
    let formats = (0..count).map(|_| reader.i16()).collect::<Result<_, _>>()?;
    Ok((values, formats))
}

/// An ErrorResponse's body about the text that was sent, as one about the client's text.
pub(super) fn original_error(body: &[u8], spliced: &Spliced) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut reader = Reader::new(body);
    while let Ok(kind) = reader.u8() {
        let Some(value) = reader.cstr().ok().filter(|_| kind != 0) else { break };
        let position = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        out.push(kind);
        match position.filter(|_| kind == b'P') {
            Some(position) => {
                out.extend_from_slice(spliced.original_position(position).to_string().as_bytes());
            }
            None => out.extend_from_slice(value),
        }
        out.push(0);
    }
    out.push(0);
    out
}
