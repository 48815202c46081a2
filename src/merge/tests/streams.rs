//! Concatenating and ordering: what goes out, what is read, what is refused.

use super::*;

const COLUMNS: &[(&str, u32)] = &[("n", oid::INT8), ("t", oid::TEXT)];

fn two_shards() -> [Vec<u8>; 2] {
    [
        answer(COLUMNS, &[&[Some("1"), Some("a")], &[Some("4"), Some("b")], &[Some("9"), None]]),
        answer(COLUMNS, &[&[Some("2"), Some("c")], &[Some("4"), Some("d")], &[None, Some("e")]]),
    ]
}

#[test]
fn rows_are_concatenated_unchanged() {
    let plan = MergePlan::new(MergeKind::Concat);
    let (rows, tag) = read(&Play::new(&plan).run(&two_shards()).unwrap());
    assert_eq!(shown(&rows), ["1 a", "4 b", "9 -", "2 c", "4 d", "- e"]);
    assert_eq!(tag, "SELECT 6");
}

#[test]
fn rows_are_ordered_by_their_keys() {
    let plan = ordered(&[key(0)]);
    let (rows, tag) = read(&Play::new(&plan).run(&two_shards()).unwrap());
    assert_eq!(shown(&rows), ["1 a", "2 c", "4 b", "4 d", "9 -", "- e"]);
    assert_eq!(tag, "SELECT 6");
    let falling = SortKey { descending: true, nulls_first: true, ..key(0) };
    let answers = [
        answer(COLUMNS, &[&[None, Some("a")], &[Some("9"), Some("b")], &[Some("-1"), Some("c")]]),
        answer(COLUMNS, &[&[Some("10"), Some("d")], &[Some("9"), Some("a")]]),
    ];
    let plan = ordered(&[falling, key(1)]);
    let (rows, _) = read(&Play::new(&plan).run(&answers).unwrap());
    assert_eq!(shown(&rows), ["- a", "10 d", "9 a", "9 b", "-1 c"]);
}

#[test]
fn limit_and_offset_are_of_the_merged_rows() {
    let concat = MergePlan::new(MergeKind::Concat);
    let sorted = ordered(&[key(0)]);
    for (plan, limit, offset, expected) in [
        (&concat, Some(2), 0, vec!["1 a", "4 b"]),
        (&concat, Some(2), 2, vec!["9 -", "2 c"]),
        (&concat, None, 5, vec!["- e"]),
        (&concat, Some(0), 0, vec![]),
        (&concat, Some(7), 9, vec![]),
        (&sorted, Some(3), 0, vec!["1 a", "2 c", "4 b"]),
        (&sorted, Some(2), 3, vec!["4 d", "9 -"]),
        (&sorted, None, 6, vec![]),
        (&sorted, Some(0), 1, vec![]),
    ] {
        let play = Play { limits: Limits { limit, offset }, ..Play::new(plan) };
        let (rows, tag) = read(&play.run(&two_shards()).unwrap());
        assert_eq!(shown(&rows), expected, "limit {limit:?} offset {offset}");
        assert_eq!(tag, format!("SELECT {}", expected.len()));
    }
}

#[test]
fn helper_columns_are_not_shown() {
    let plan = MergePlan { shown: Some(1), ..ordered(&[SortKey { descending: true, ..key(1) }]) };
    let answers = [
        answer(COLUMNS, &[&[Some("1"), Some("z")], &[Some("2"), Some("m")]]),
        answer(COLUMNS, &[&[None, Some("x")], &[Some("4"), Some("a")]]),
    ];
    let bytes = Play::new(&plan).run(&answers).unwrap();
    let (rows, _) = read(&bytes);
    assert_eq!(shown(&rows), ["1", "-", "2", "4"]);
    assert!(bytes.starts_with(&description(&COLUMNS[..1])), "the description is cut too");
}

#[test]
fn the_home_legs_description_is_told() {
    let mut other = answer(COLUMNS, &[]);
    // Another table's OID in the first column.
    other[9..13].copy_from_slice(&77_u32.to_be_bytes());
    let answers = [answer(COLUMNS, &[]), other.clone()];
    for plan in [MergePlan::new(MergeKind::Concat), ordered(&[key(0)])] {
        assert!(Play::new(&plan).run(&answers).unwrap().starts_with(&description(COLUMNS)));
        let turned = [other.clone(), answer(COLUMNS, &[])];
        assert!(!Play::new(&plan).run(&turned).unwrap().starts_with(&description(COLUMNS)));
    }
}

#[test]
fn what_differs_or_cannot_be_compared_fails_before_the_first_row() {
    let rows: &[&[Option<&str>]] = &[&[Some("1"), Some("a")]];
    let of = |columns: &[(&str, u32)]| answer(columns, rows);
    let plain = Style::default();
    let concat = MergePlan::new(MergeKind::Concat);
    let by_text = ordered(&[SortKey { text_is_c: false, ..key(1) }]);
    let by_time = ordered(&[key(0)]);
    let cases = [
        (
            &concat,
            [of(COLUMNS), of(&[("n", oid::INT4), ("t", oid::TEXT)])],
            plain,
            "column \"n\" of the result differs",
        ),
        (
            &concat,
            [of(COLUMNS), of(&[("n", oid::INT8), ("u", oid::TEXT)])],
            plain,
            "column \"t\" of the result differs",
        ),
        (&concat, [of(COLUMNS), of(&COLUMNS[..1])], plain, "the result's columns differ"),
        (&by_text, [of(COLUMNS), of(COLUMNS)], plain, "column \"t\""),
        (
            &by_time,
            [of(&[("at", oid::TIMESTAMPTZ)]), of(&[("at", oid::TIMESTAMPTZ)])],
            Style { has_iso_dates: false, ..plain },
            "another style than ISO over several shards is not supported yet (column \"at\")",
        ),
        (
            &by_time,
            [of(&[("f", oid::FLOAT8)]), of(&[("f", oid::FLOAT8)])],
            Style { float_digits: 0, ..plain },
            "column \"f\"",
        ),
        (&by_time, [of(&[("j", 3802)]), of(&[("j", 3802)])], plain, "column \"j\""),
        (&by_time, [of(&[("i", oid::INTERVAL)]), of(&[("i", oid::INTERVAL)])], plain, "column \"i\""),
    ];
    for (plan, answers, style, message) in cases {
        let error = Play { style, ..Play::new(plan) }.run(&answers).unwrap_err();
        assert_eq!(error.code, crate::sqlstate::FEATURE_NOT_SUPPORTED);
        assert!(error.message.contains(message) && error.hint.is_some(), "{error:?}");
    }
}

#[test]
fn a_leg_that_is_ahead_is_not_read() {
    let mut merge = Merge::new(Setup {
        plan: &Arc::new(ordered(&[key(0)])),
        limits: Limits::default(),
        style: Style::default(),
        formats: &[],
        describes: true,
        legs: 2,
        home: 0,
    });
    let mut out = Vec::new();
    let columns = &[("n", oid::INT4)];
    let mut sent = 0_usize;
    let put = |merge: &mut Merge, leg: usize, bytes: &[u8]| {
        for byte in bytes {
            merge.space(leg)[0] = *byte;
            merge.filled(leg, 1);
        }
    };
    put(&mut merge, 0, &description(columns));
    put(&mut merge, 1, &description(columns));
    while let Step::Message { .. } = merge.poll(&mut out, usize::MAX).unwrap() {}
    let row = row(&[Some("7")]);
    while merge.wants(0) != Want::Nothing {
        put(&mut merge, 0, &row);
        sent += row.len();
        assert_eq!(merge.poll(&mut out, usize::MAX).unwrap(), Step::Blocked);
        assert_eq!(merge.wants(1), Want::Bytes, "the other leg's row is missing");
    }
    assert!(sent < 64 * 1024, "{sent} bytes are held of a leg that is ahead");
    // The other leg's row frees it.
    put(&mut merge, 1, &super::row(&[Some("8")]));
    assert_eq!(merge.poll(&mut out, usize::MAX).unwrap(), Step::Blocked);
    assert_eq!(merge.wants(0), Want::Bytes);
    assert_eq!(merge.wants(1), Want::Ahead);
}

#[test]
fn long_rows_pass_before_they_are_whole() {
    let long = "x".repeat(300_000);
    let columns = &[("t", oid::TEXT)];
    let answers =
        [answer(columns, &[&[Some(&long)], &[Some("a")]]), answer(columns, &[&[Some(&long)], &[Some("b")]])];
    let plan = MergePlan::new(MergeKind::Concat);
    let play = Play { pieces: &[10_000, 70_000, 3], out_max: 50_000, ..Play::new(&plan) };
    let (rows, tag) = read(&play.run(&answers).unwrap());
    assert_eq!(tag, "SELECT 4");
    let mut lens: Vec<usize> = rows.iter().map(|row| row[0].as_ref().unwrap().len()).collect();
    lens.sort_unstable();
    assert_eq!(lens, [1, 1, 300_000, 300_000]);
    // Where a key has to be found in them, they are waited for.
    let sorted = ordered(&[key(0)]);
    let play = Play { pieces: &[10_000, 70_000, 3], out_max: 50_000, ..Play::new(&sorted) };
    let answers = [answer(columns, &[&[Some("a")], &[Some(&long)]]), answer(columns, &[&[Some("b")]])];
    let (rows, _) = read(&play.run(&answers).unwrap());
    assert_eq!(rows.iter().map(|row| row[0].as_ref().unwrap().len()).collect::<Vec<_>>(), [1, 1, 300_000]);
}

#[test]
fn a_client_that_fetches_gets_as_many_rows_as_it_asks_for() {
    for plan in [MergePlan::new(MergeKind::Concat), ordered(&[key(0)])] {
        let mut merge = Merge::new(Setup {
            plan: &Arc::new(plan),
            limits: Limits { limit: Some(5), offset: 0 },
            style: Style::default(),
            formats: &[],
            describes: false,
            legs: 2,
            home: 0,
        });
        for (leg, answer) in two_shards().iter().enumerate() {
            merge.space(leg)[..answer.len()].copy_from_slice(answer);
            merge.filled(leg, answer.len());
        }
        let mut counts = Vec::new();
        let mut out = Vec::new();
        merge.fetch(Some(2));
        loop {
            match merge.poll(&mut out, usize::MAX).unwrap() {
                Step::Message { .. } => {}
                Step::Suspended => {
                    counts.push(read(&std::mem::take(&mut out)).0.len());
                    merge.fetch(Some(2));
                }
                Step::Done => break,
                other => panic!("{other:?}"),
            }
        }
        merge.finish(&mut out);
        let (rows, tag) = read(&out);
        counts.push(rows.len());
        assert_eq!(counts, [2, 2, 1]);
        assert_eq!(tag, "SELECT 1", "of the last fetch, as Postgres counts");
    }
}

#[test]
fn a_drained_merge_shows_messages_and_drops_rows() {
    let mut merge = Merge::new(Setup {
        plan: &Arc::new(MergePlan::new(MergeKind::Concat)),
        limits: Limits::default(),
        style: Style::default(),
        formats: &[],
        describes: true,
        legs: 1,
        home: 0,
    });
    let mut bytes = answer(COLUMNS, &[&[Some("1"), Some("a")]]);
    write::ready_for_query(&mut bytes, crate::protocol::TransactionStatus::Idle);
    let mut out = Vec::new();
    merge.drain();
    let mut tags = Vec::new();
    for byte in bytes {
        merge.space(0)[0] = byte;
        merge.filled(0, 1);
        while let Step::Message { tag, .. } = merge.poll(&mut out, usize::MAX).unwrap() {
            tags.push(char::from(tag));
        }
    }
    assert_eq!(tags, ['T', 'C', 'Z']);
    assert!(out.is_empty());
}

#[test]
fn bytes_that_are_no_messages_are_an_error() {
    let plan = MergePlan::new(MergeKind::Concat);
    let bad_length = message(b'D', &[]).iter().map(|_| 0).collect::<Vec<u8>>();
    let cut_row = [description(COLUMNS), message(b'D', &[0, 2, 0, 0, 0, 9, 1])].concat();
    assert!(Play::new(&plan).run(&[bad_length]).is_err());
    assert!(Play::new(&ordered(&[key(1)])).run(&[cut_row]).is_err());
}
