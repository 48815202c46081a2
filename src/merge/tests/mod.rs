//! Tests of the merge machine: tables of input and output, and a model of what is right.

mod combining;
mod model;
mod streams;

use super::*;
use crate::datum::oid;
use crate::datum::order::Style;
use crate::protocol::frame;
use crate::protocol::read::Reader;
use std::sync::Arc;

/// A cell as text; `None` is NULL.
type Cell = Option<String>;
type Cells = Vec<Cell>;

pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::message(&mut out, tag, |b| b.extend_from_slice(body));
    out
}

/// RowDescription of columns in text format.
pub(super) fn description(columns: &[(&str, u32)]) -> Vec<u8> {
    let columns: Vec<(&str, u32, i16)> = columns.iter().map(|(name, oid)| (*name, *oid, -1)).collect();
    let mut out = Vec::new();
    write::row_description(&mut out, &columns);
    out
}

/// The same with all columns in binary.
pub(super) fn binary_description(columns: &[(&str, u32)]) -> Vec<u8> {
    let text = description(columns);
    let mut columns = columns::read(&text[5..]).unwrap();
    columns.iter_mut().for_each(|column| column.format = 1);
    let mut out = Vec::new();
    columns::put(&columns, &mut out);
    out
}

pub(super) fn row(cells: &[Option<&str>]) -> Vec<u8> {
    let cells: Vec<Option<&[u8]>> = cells.iter().map(|cell| cell.map(str::as_bytes)).collect();
    let mut out = Vec::new();
    write::data_row(&mut out, &cells);
    out
}

/// What a shard answers with: description, rows, completion.
pub(super) fn answer(columns: &[(&str, u32)], rows: &[&[Option<&str>]]) -> Vec<u8> {
    let mut out = description(columns);
    rows.iter().for_each(|cells| out.extend(row(cells)));
    write::command_complete(&mut out, &format!("SELECT {}", rows.len()));
    out
}

/// Runs a merge over the shards' whole answers, which come in pieces of the given sizes in turn; what the
/// client gets, and whether every shard was heard to its end.
pub(super) struct Play<'a> {
    pub(super) plan: &'a MergePlan,
    pub(super) limits: Limits,
    pub(super) style: Style,
    pub(super) formats: &'a [i16],
    pub(super) pieces: &'a [usize],
    pub(super) out_max: usize,
}

impl<'a> Play<'a> {
    pub(super) fn new(plan: &'a MergePlan) -> Play<'a> {
        Play {
            plan,
            limits: Limits::default(),
            style: Style::default(),
            formats: &[],
            pieces: &[usize::MAX],
            out_max: usize::MAX,
        }
    }

    pub(super) fn run(&self, answers: &[Vec<u8>]) -> Result<Vec<u8>, SqlError> {
        let mut merge = Merge::new(Setup {
            plan: &Arc::new(self.plan.clone()),
            limits: self.limits,
            style: self.style,
            formats: self.formats,
            describes: true,
            legs: answers.len(),
            home: 0,
        });
        let mut at = vec![0; answers.len()];
        let mut pieces = self.pieces.iter().cycle();
        let mut all = Vec::new();
        let mut out = Vec::new();
        loop {
            match merge.poll(&mut out, self.out_max)? {
                Step::Full => {
                    assert!(out.len() >= self.out_max);
                    all.append(&mut out);
                }
                Step::Message { .. } => assert!(!merge.body().is_empty()),
                Step::Suspended => unreachable!("no number of rows was asked for"),
                Step::Done => {
                    all.append(&mut out);
                    merge.finish(&mut all);
                    return Ok(all);
                }
                Step::Blocked => {
                    let has_more = |leg: &usize| at[*leg] < answers[*leg].len();
                    let wanted = (0..answers.len()).filter(|leg| merge.wants(*leg) == Want::Bytes);
                    let leg = { wanted }.find(has_more).expect("a blocked merge wants what there is");
                    let rest = &answers[leg][at[leg]..];
                    let space = merge.space(leg);
                    let size = (*pieces.next().unwrap()).min(rest.len()).min(space.len()).max(1);
                    space[..size].copy_from_slice(&rest[..size]);
                    merge.filled(leg, size);
                    at[leg] += size;
                }
            }
        }
    }
}

/// The rows and the command tag of what a client gets.
pub(super) fn read(mut bytes: &[u8]) -> (Vec<Cells>, String) {
    let mut rows = Vec::new();
    let mut tag = String::new();
    while !bytes.is_empty() {
        let header = frame::header(bytes).unwrap().unwrap();
        let body = &bytes[5..header.frame_len];
        match header.tag {
            backend::DATA_ROW => rows.push(cells(body)),
            backend::COMMAND_COMPLETE => {
                tag = String::from_utf8(body[..body.len() - 1].to_vec()).unwrap();
            }
            backend::ROW_DESCRIPTION => assert!(rows.is_empty()),
            other => panic!("unexpected message {}", char::from(other)),
        }
        bytes = &bytes[header.frame_len..];
    }
    (rows, tag)
}

fn cells(body: &[u8]) -> Cells {
    let mut reader = Reader::new(body);
    let count = reader.i16().unwrap();
    let cells = (0..count)
        .map(|_| {
            let len = usize::try_from(reader.i32().unwrap()).ok()?;
            Some(String::from_utf8_lossy(reader.bytes(len).unwrap()).into_owned())
        })
        .collect();
    assert!(reader.is_empty());
    cells
}

pub(super) fn shown(rows: &[Cells]) -> Vec<String> {
    let cell = |cell: &Cell| cell.clone().unwrap_or_else(|| "-".to_owned());
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect()
}

pub(super) fn key(column: usize) -> SortKey {
    SortKey { column, descending: false, nulls_first: false, text_is_c: true }
}

pub(super) fn ordered(keys: &[SortKey]) -> MergePlan {
    MergePlan::new(MergeKind::Ordered(keys.to_vec()))
}
