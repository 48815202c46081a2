//! Postgres's extended hash functions, bit for bit.
//!
//! A shard can recompute every placement in SQL (`hashint8extended(key, 0)` and so on), so these must
//! never differ from the server's. `tests/hash_golden.rs` holds them against a live one.
//!
//! Source: PostgreSQL, `src/common/hashfn.c` (Jenkins's lookup3) and `src/backend/access/hash/hashfunc.c`.

/// `hashint8extended`; also of smallint and integer keys widened to bigint, and of a date's day number.
#[inline]
pub fn hash_int8(value: i64, seed: u64) -> u64 {
    let low = value as u32;
    let high = (value >> 32) as u32;
    hash_u32(low ^ if value >= 0 { high } else { !high }, seed)
}

/// `timestamp_hash_extended`, of microseconds since 2000-01-01; timestamptz through its UTC timestamp.
#[inline]
pub fn hash_timestamp(microseconds: i64, seed: u64) -> u64 {
    hash_int8(microseconds, seed)
}

/// `hashtextextended` under a deterministic collation.
pub fn hash_text(text: &[u8], seed: u64) -> u64 {
    hash_bytes(text, seed)
}

/// `uuid_hash_extended`.
pub fn hash_uuid(uuid: &[u8; 16], seed: u64) -> u64 {
    hash_bytes(uuid, seed)
}

const START: u32 = 0x9e37_79b9;
const START_OFFSET: u32 = 3_923_095;

/// The three words that lookup3 stirs.
struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    #[inline]
    fn new(len: u32, seed: u64) -> State {
        let start = START.wrapping_add(len).wrapping_add(START_OFFSET);
        let mut state = State { a: start, b: start, c: start };
        if seed != 0 {
            state.add((seed >> 32) as u32, seed as u32, 0);
            state.mix();
        }
        state
    }

    #[inline]
    fn add(&mut self, a: u32, b: u32, c: u32) {
        self.a = self.a.wrapping_add(a);
        self.b = self.b.wrapping_add(b);
        self.c = self.c.wrapping_add(c);
    }

    #[inline]
    fn mix(&mut self) {
        let State { mut a, mut b, mut c } = *self;
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
        *self = State { a, b, c };
    }

    #[inline]
    fn finish(self) -> u64 {
        let State { mut a, mut b, mut c } = self;
        c = (c ^ b).wrapping_sub(b.rotate_left(14));
        a = (a ^ c).wrapping_sub(c.rotate_left(11));
        b = (b ^ a).wrapping_sub(a.rotate_left(25));
        c = (c ^ b).wrapping_sub(b.rotate_left(16));
        a = (a ^ c).wrapping_sub(c.rotate_left(4));
        b = (b ^ a).wrapping_sub(a.rotate_left(14));
        c = (c ^ b).wrapping_sub(b.rotate_left(24));
        (u64::from(b) << 32) | u64::from(c)
    }
}

/// `hash_uint32_extended`.
#[inline]
fn hash_u32(value: u32, seed: u64) -> u64 {
    let mut state = State::new(4, seed);
    state.add(value, 0, 0);
    state.finish()
}

/// `hash_any_extended`.
pub(super) fn hash_bytes(bytes: &[u8], seed: u64) -> u64 {
    let mut state = State::new(bytes.len() as u32, seed);
    let (blocks, tail) = bytes.as_chunks::<12>();
    for block in blocks {
        let [a, b, c] = words(block);
        state.add(a, b, c);
        state.mix();
    }
    // The last word's lowest byte is left to the length: bytes 8 to 10 of the tail move up by one.
    let mut last = [0_u8; 12];
    for (i, byte) in tail.iter().enumerate() {
        let place = if i < 8 { i } else { i + 1 };
        if let Some(slot) = last.get_mut(place) {
            *slot = *byte;
        }
    }
    let [a, b, c] = words(&last);
    state.add(a, b, c);
    state.finish()
}

/// A block as three little-endian words: the order that Postgres reads on every common machine.
fn words(block: &[u8; 12]) -> [u32; 3] {
    let &[a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = block;
    [
        u32::from_le_bytes([a0, a1, a2, a3]),
        u32::from_le_bytes([b0, b1, b2, b3]),
        u32::from_le_bytes([c0, c1, c2, c3]),
    ]
}
