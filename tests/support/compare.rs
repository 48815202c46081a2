//! Whether two servers answered the same.

use std::collections::HashMap;

use super::frame::Frame;
use super::script::Step;
use super::wire::Event;

/// OIDs from here on are given by the server in the order of creation.
const FIRST_USER_OID: u32 = 16384;

/// The first difference between what Postgres and what Howdah answered to one exchange.
///
/// Equal means equal bytes, but for: the process id and key of BackendKeyData; the process id of a
/// NotificationResponse; OIDs of the user's own tables and types, which are numbered by their first
/// appearance; the order of neighbouring ParameterStatus frames; and the fields F, L and R of errors
/// that name no file of Postgres's source, which are those that Howdah itself answers.
pub fn difference(postgres: &[Step], howdah: &[Step]) -> Option<String> {
    let (mut left_oids, mut right_oids) = (HashMap::new(), HashMap::new());
    for (left, right) in postgres.iter().zip(howdah) {
        let expected = normalise(&left.events, &mut left_oids);
        let found = normalise(&right.events, &mut right_oids);
        let same = expected.len() == found.len() && expected.iter().zip(&found).all(|(l, r)| equal(l, r));
        if !same {
            let at = expected.iter().zip(&found).take_while(|(l, r)| equal(l, r)).count();
            return Some(format!(
                "at `{}`, message {at}:\n  postgres {}\n  howdah   {}",
                left.line,
                excerpt(&expected, at),
                excerpt(&found, at)
            ));
        }
    }
    (postgres.len() != howdah.len()).then(|| "different numbers of steps".into())
}

fn excerpt(events: &[Event], at: usize) -> String {
    let from = at.saturating_sub(1);
    let shown: Vec<String> = events.iter().skip(from).take(4).map(|event| format!("{event:?}")).collect();
    format!("{} (of {} messages)", shown.join("\n           "), events.len())
}

fn normalise(events: &[Event], oids: &mut HashMap<u32, u32>) -> Vec<Event> {
    let mut out: Vec<Event> = events
        .iter()
        .map(|event| match event {
            Event::Frame(frame) => Event::Frame(normalise_frame(frame, oids)),
            other => other.clone(),
        })
        .collect();
    let is_status = |event: &Event| matches!(event, Event::Frame(frame) if frame.tag == b'S');
    for run in out.chunk_by_mut(|a, b| is_status(a) && is_status(b)) {
        run.sort_by_key(|event| match event {
            Event::Frame(frame) => frame.body.clone(),
            Event::Closed | Event::TimedOut => Vec::new(),
        });
    }
    out
}

fn normalise_frame(frame: &Frame, oids: &mut HashMap<u32, u32>) -> Frame {
    let mut frame = frame.clone();
    match frame.tag {
        b'K' => frame.body.fill(0),
        b'A' => frame.body[..4].fill(0),
        b't' => {
            for at in (2..frame.body.len()).step_by(4) {
                number(&mut frame.body, at, oids);
            }
        }
        b'T' => {
            let mut at = 2;
            while at < frame.body.len() {
                at += frame.body[at..].iter().position(|&byte| byte == 0).unwrap() + 1;
                number(&mut frame.body, at, oids);
                number(&mut frame.body, at + 6, oids);
                at += 18;
            }
        }
        _ => {}
    }
    frame
}

fn number(body: &mut [u8], at: usize, oids: &mut HashMap<u32, u32>) {
    let Some(field) = body.get_mut(at..at + 4) else { return };
    let oid = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
    if oid >= FIRST_USER_OID {
        let next = FIRST_USER_OID + u32::try_from(oids.len()).unwrap();
        field.copy_from_slice(&oids.entry(oid).or_insert(next).to_be_bytes());
    }
}

fn equal(postgres: &Event, howdah: &Event) -> bool {
    let (Event::Frame(left), Event::Frame(right)) = (postgres, howdah) else { return postgres == howdah };
    if left == right {
        return true;
    }
    let is_report = |frame: &Frame| matches!(frame.tag, b'E' | b'N');
    if left.tag != right.tag
        || !is_report(right)
        || right.field('F').is_some_and(|file| is_postgres_source(&file))
    {
        return false;
    }
    let without_place = |frame: &Frame| -> Vec<_> {
        frame.fields().into_iter().filter(|(code, _)| !matches!(code, 'F' | 'L' | 'R')).collect()
    };
    without_place(left) == without_place(right)
}

fn is_postgres_source(file: &str) -> bool {
    [".c", ".l", ".y"].iter().any(|end| file.ends_with(end))
}
