//! stub
pub fn savepoint_name(_t: &[u8]) -> Option<Vec<u8>> {
    None
}
