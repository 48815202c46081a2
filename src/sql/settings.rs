//! stub
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Session,
    Local,
}
#[derive(Debug)]
pub struct SettingCommand {
    pub scope: Scope,
}
#[derive(Debug)]
pub enum SettingChange {
    Set { name: String, replay: Vec<u8> },
    Reset { name: String },
    ResetAll,
}
impl SettingCommand {
    pub fn changes(&self) -> Vec<SettingChange> {
        vec![]
    }
}
#[derive(Debug)]
pub struct SetConfig {
    pub name: String,
    pub is_local: bool,
}
impl SetConfig {
    pub fn replay_sql(&self) -> Vec<u8> {
        vec![]
    }
}
pub fn parse_setting(_t: &[u8], _scs: bool) -> Option<SettingCommand> {
    None
}
pub fn parse_set_config(_t: &[u8], _scs: bool) -> Option<Vec<SetConfig>> {
    None
}
pub fn quote_literal(out: &mut Vec<u8>, v: &[u8]) {
    out.push(b'\'');
    out.extend_from_slice(v);
    out.push(b'\'');
}
