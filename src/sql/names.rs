//! stub
pub fn words(_t: &[u8]) -> impl Iterator<Item = &[u8]> {
    _t.split(|b| *b == b' ')
}
