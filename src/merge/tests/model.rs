//! The machine against a model: rows are sorted, grouped and cut as a whole, or spread over shards,
//! brought in pieces of any size, and merged. Planted faults show that a difference would be found.

use super::*;
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::BTreeMap;

const COLUMNS: &[(&str, u32)] = &[("a", oid::INT4), ("b", oid::TEXT), ("c", oid::NUMERIC), ("id", oid::INT8)];

/// A row as the model has it.
#[derive(Clone, Debug)]
struct Model {
    a: Option<i32>,
    b: Option<String>,
    c: Option<i64>,
    id: i64,
}

impl Model {
    fn cells(&self) -> Cells {
        vec![
            self.a.map(|a| a.to_string()),
            self.b.clone(),
            self.c.map(|c| format!("{}{}.{}", if c < 0 { "-" } else { "" }, c.abs() / 10, c.abs() % 10)),
            Some(self.id.to_string()),
        ]
    }
}

#[derive(Clone, Debug)]
struct Case {
    rows: Vec<(Model, usize)>,
    shards: usize,
    keys: Vec<SortKey>,
    limit: Option<u64>,
    offset: u64,
    pieces: Vec<usize>,
    out_max: usize,
}

fn models() -> impl Strategy<Value = Model> {
    let text = prop::option::weighted(0.8, "[abAB ]{0,3}");
    (prop::option::weighted(0.8, -3..4_i32), text, prop::option::weighted(0.8, -25..25_i64))
        .prop_map(|(a, b, c)| Model { a, b, c, id: 0 })
}

fn keys() -> impl Strategy<Value = Vec<SortKey>> {
    let one = (0..3_usize, any::<bool>(), any::<bool>()).prop_map(|(column, descending, nulls_first)| {
        SortKey { column, descending, nulls_first, text_is_c: true }
    });
    prop::collection::vec(one, 1..4)
}

fn cases() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec((models(), 0..5_usize), 0..60),
        1..6_usize,
        keys(),
        prop::option::of(0..40_u64),
        0..20_u64,
        prop::collection::vec(1..200_usize, 1..8),
        1..500_usize,
    )
        .prop_map(|(mut rows, shards, keys, limit, offset, pieces, out_max)| {
            for (at, (row, _)) in rows.iter_mut().enumerate() {
                row.id = at as i64;
            }
            Case { rows, shards, keys, limit, offset, pieces, out_max }
        })
}

/// Postgres's order, written anew.
fn compare(keys: &[SortKey], left: &Model, right: &Model) -> Ordering {
    let of = |key: &SortKey| {
        let values = match key.column {
            0 => (left.a.is_none(), right.a.is_none(), left.a.cmp(&right.a)),
            1 => (left.b.is_none(), right.b.is_none(), left.b.cmp(&right.b)),
            _ => (left.c.is_none(), right.c.is_none(), left.c.cmp(&right.c)),
        };
        match values {
            (true, true, _) => Ordering::Equal,
            (true, false, _) => {
                if key.nulls_first {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (false, true, _) => {
                if key.nulls_first {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (false, false, order) => {
                if key.descending {
                    order.reverse()
                } else {
                    order
                }
            }
        }
    };
    keys.iter().map(of).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

impl Case {
    /// Each shard's rows, sorted by the keys.
    fn shards(&self, keys: &[SortKey]) -> Vec<Vec<Model>> {
        let mut shards = vec![Vec::new(); self.shards];
        for (row, shard) in &self.rows {
            shards[shard % self.shards].push(row.clone());
        }
        for shard in &mut shards {
            shard.sort_by(|a, b| compare(keys, a, b));
        }
        shards
    }

    fn run(&self, plan: &MergePlan, answers: &[Vec<u8>]) -> (Vec<Cells>, String) {
        let limits = Limits { limit: self.limit, offset: self.offset };
        let play = Play { limits, pieces: &self.pieces, out_max: self.out_max, ..Play::new(plan) };
        read(&play.run(answers).unwrap())
    }

    /// How many of `count` rows remain.
    fn cut(&self, count: usize) -> usize {
        let left = (count as u64).saturating_sub(self.offset);
        left.min(self.limit.unwrap_or(left)) as usize
    }
}

fn answer_of(rows: &[Model]) -> Vec<u8> {
    let cells: Vec<Cells> = rows.iter().map(Model::cells).collect();
    let cells: Vec<Vec<Option<&str>>> =
        cells.iter().map(|row| row.iter().map(Option::as_deref).collect()).collect();
    let rows: Vec<&[Option<&str>]> = cells.iter().map(Vec::as_slice).collect();
    answer(COLUMNS, &rows)
}

/// Whether the rows are a sort of the case's rows, cut as it says, with every row at most once.
fn is_right_order(case: &Case, rows: &[Cells]) -> bool {
    let by_id: BTreeMap<String, &Model> =
        case.rows.iter().map(|(row, _)| (row.id.to_string(), row)).collect();
    let mut seen: Vec<&str> = rows.iter().filter_map(|row| row[3].as_deref()).collect();
    let found: Vec<&Model> = seen.iter().filter_map(|id| by_id.get(*id).copied()).collect();
    seen.sort_unstable();
    seen.dedup();
    let mut sorted: Vec<&Model> = case.rows.iter().map(|(row, _)| row).collect();
    sorted.sort_by(|a, b| compare(&case.keys, a, b));
    let offset = usize::try_from(case.offset).unwrap().min(sorted.len());
    let expected = &sorted[offset..offset + case.cut(sorted.len())];
    seen.len() == rows.len()
        && found.len() == expected.len()
        && rows.iter().zip(&found).all(|(row, model)| *row == model.cells())
        && found.iter().zip(expected).all(|(a, b)| compare(&case.keys, a, b).is_eq())
}

/// Combines as one server would.
fn groups(case: &Case, by: usize) -> Vec<Cells> {
    let mut sorted: Vec<&Model> = case.rows.iter().map(|(row, _)| row).collect();
    sorted.sort_by(|a, b| compare(&case.keys, a, b));
    let mut merged: Vec<(&Model, i64, Option<i64>)> = Vec::new();
    for row in sorted {
        match merged.last_mut() {
            Some((first, count, max)) if compare(&case.keys[..by], first, row).is_eq() => {
                *count += 1;
                *max = (*max).max(Some(row.id));
            }
            _ => merged.push((row, 1, Some(row.id))),
        }
    }
    let cut = merged.iter().skip(usize::try_from(case.offset).unwrap()).take(case.cut(merged.len()));
    cut.map(|(row, count, max)| {
        let mut cells: Cells = case.keys[..by].iter().map(|key| row.cells()[key.column].clone()).collect();
        cells.push(Some(count.to_string()));
        cells.push(max.map(|max| max.to_string()));
        cells
    })
    .collect()
}

/// Each shard's groups, as it would send them: keys, count, max.
fn grouped_answers(case: &Case, by: usize) -> (MergePlan, Vec<Vec<u8>>) {
    let keys: Vec<SortKey> =
        case.keys[..by].iter().enumerate().map(|(column, key)| SortKey { column, ..*key }).collect();
    let mut columns: Vec<OutputColumn> = (0..by).map(OutputColumn::Input).collect();
    columns.push(OutputColumn::Combine(Combine::Count, by));
    columns.push(OutputColumn::Combine(Combine::Max { text_is_c: false }, by + 1));
    let plan = MergePlan::new(MergeKind::Grouped { keys, by, columns });
    let mut described: Vec<(&str, u32)> = case.keys[..by].iter().map(|key| COLUMNS[key.column]).collect();
    described.extend([("count", oid::INT8), ("max", oid::INT8)]);
    let of_shard = |rows: Vec<Model>| {
        let rows = rows.into_iter().map(|row| (row, 0)).collect();
        let all = Case { rows, limit: None, offset: 0, ..case.clone() };
        let rows = groups(&all, by);
        let rows: Vec<Vec<Option<&str>>> =
            rows.iter().map(|row| row.iter().map(Option::as_deref).collect()).collect();
        let rows: Vec<&[Option<&str>]> = rows.iter().map(Vec::as_slice).collect();
        answer(&described, &rows)
    };
    let answers = case.shards(&case.keys).into_iter().map(of_shard).collect();
    (plan, answers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn merged_streams_are_the_sort_of_all(case in cases()) {
        let answers: Vec<Vec<u8>> = case.shards(&case.keys).iter().map(|rows| answer_of(rows)).collect();
        let (rows, tag) = case.run(&ordered(&case.keys), &answers);
        prop_assert!(is_right_order(&case, &rows), "{rows:?}");
        prop_assert_eq!(tag, format!("SELECT {}", rows.len()));
    }

    #[test]
    fn concatenated_streams_have_every_row_once(case in cases()) {
        let answers: Vec<Vec<u8>> = case.shards(&[]).iter().map(|rows| answer_of(rows)).collect();
        let (rows, _) = case.run(&MergePlan::new(MergeKind::Concat), &answers);
        prop_assert_eq!(rows.len(), case.cut(case.rows.len()));
        let any_order = Case { keys: Vec::new(), ..case.clone() };
        prop_assert!(is_right_order(&any_order, &rows), "{:?}", rows);
    }

    #[test]
    fn merged_groups_are_the_groups_of_all(case in cases(), by in 1..4_usize) {
        let by = by.min(case.keys.len());
        // Groups are sorted by what makes them.
        let case = Case { keys: case.keys[..by].to_vec(), ..case };
        let (plan, answers) = grouped_answers(&case, by);
        let (rows, _) = case.run(&plan, &answers);
        prop_assert_eq!(rows, groups(&case, by));
    }
}

/// The cases that a fault shows in; none would mean that the model is blind to it.
fn finds(fault: impl Fn(&Case) -> Option<bool>) -> bool {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    (0..300).any(|_| {
        let case = cases().new_tree(&mut runner).unwrap().current();
        fault(&case) == Some(true)
    })
}

#[test]
fn planted_faults_are_found() {
    let merged = |case: &Case, plan: &MergePlan, sorted_by: &[SortKey]| {
        let answers: Vec<Vec<u8>> = case.shards(sorted_by).iter().map(|rows| answer_of(rows)).collect();
        case.run(plan, &answers).0
    };
    let turned = |keys: &[SortKey], turn: fn(&mut SortKey)| {
        let mut keys = keys.to_vec();
        keys.iter_mut().for_each(turn);
        keys
    };
    assert!(
        finds(|case| {
            let keys = turned(&case.keys, |key| key.nulls_first = !key.nulls_first);
            Some(!is_right_order(case, &merged(case, &ordered(&keys), &case.keys)))
        }),
        "NULLS FIRST ignored"
    );
    assert!(
        finds(|case| {
            let keys = turned(&case.keys, |key| key.descending = !key.descending);
            Some(!is_right_order(case, &merged(case, &ordered(&keys), &case.keys)))
        }),
        "DESC ignored"
    );
    assert!(
        finds(|case| {
            let keys = case.keys.get(..case.keys.len() - 1).filter(|keys| !keys.is_empty())?;
            Some(!is_right_order(case, &merged(case, &ordered(keys), &case.keys)))
        }),
        "the last key ignored"
    );
    assert!(
        finds(|case| Some(!is_right_order(
            case,
            &merged(case, &MergePlan::new(MergeKind::Concat), &case.keys)
        ))),
        "concatenated instead of merged"
    );
    assert!(
        finds(|case| {
            // Every shard leaves out the offset, and the merge does again.
            let mut answers = Vec::new();
            for rows in case.shards(&case.keys) {
                let offset = usize::try_from(case.offset).unwrap().min(rows.len());
                answers.push(answer_of(&rows[offset..]));
            }
            Some(!is_right_order(case, &case.run(&ordered(&case.keys), &answers).0))
        }),
        "offset applied twice"
    );
    assert!(
        finds(|case| {
            // Shards are asked for LIMIT rows instead of LIMIT + OFFSET.
            let limit = usize::try_from(case.limit?).unwrap();
            let cut = |rows: &Vec<Model>| answer_of(&rows[..limit.min(rows.len())]);
            let answers: Vec<Vec<u8>> = case.shards(&case.keys).iter().map(cut).collect();
            Some(!is_right_order(case, &case.run(&ordered(&case.keys), &answers).0))
        }),
        "offset not added to the shards' limit"
    );
    assert!(
        finds(|case| {
            let by = case.keys.len();
            let (plan, answers) = grouped_answers(case, by);
            let MergeKind::Grouped { keys, columns, .. } = plan.kind else { return None };
            // Rows of a group are handed on as each shard has them.
            let mut columns = columns;
            columns[by] = OutputColumn::Input(by);
            let plan = MergePlan::new(MergeKind::Grouped { keys, by, columns });
            Some(case.run(&plan, &answers).0 != groups(case, by))
        }),
        "counts of a group not added"
    );
}

#[test]
fn an_average_of_averages_is_no_average() {
    // What the plan asks for: sums and counts. Averages in their place give another number.
    let plan = MergePlan::new(MergeKind::Aggregate(vec![OutputColumn::Avg { sum: 0, count: 1 }]));
    let columns = &[("avg", oid::NUMERIC), ("count", oid::INT8)];
    let sums = [answer(columns, &[&[Some("10"), Some("1")]]), answer(columns, &[&[Some("2"), Some("2")]])];
    let averages =
        [answer(columns, &[&[Some("10"), Some("1")]]), answer(columns, &[&[Some("1"), Some("1")]])];
    let run = |answers: &[Vec<u8>]| shown(&read(&Play::new(&plan).run(answers).unwrap()).0);
    assert_eq!(run(&sums), ["4.0000000000000000"]);
    assert_eq!(run(&averages), ["5.5000000000000000"]);
}
