//! stub
#[derive(Debug)]
pub struct Name {
    pub name: Vec<u8>,
}
pub fn statement_name(_t: &[u8]) -> Option<Name> {
    None
}
pub fn is_deallocate_all(_t: &[u8]) -> bool {
    false
}
pub fn nested_execute(_t: &[u8]) -> Option<Name> {
    None
}
