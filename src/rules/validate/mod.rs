//! Raw rules to valid ones, with every error at once.

mod bounds;
mod group;
mod interval;
mod name;
mod routine;
mod table;

#[cfg(test)]
mod tests;

use super::raw::RawRules;
use super::{GroupId, Rules};
use crate::diagnostic::{At, Diagnostic, Diagnostics, SourceText, read_toml};
use crate::ids::ShardId;
use std::collections::BTreeMap;
use std::ops::Range;

/// Reads the files of the rules together, as one set.
///
/// `shards` are the cluster's shards in order, `home` is one of them. `None` where anything is wrong;
/// what it is has been added to `diagnostics`, with its place.
pub fn read(
    sources: &[SourceText],
    shards: Vec<String>,
    home: ShardId,
    diagnostics: &mut Diagnostics,
) -> Option<Rules> {
    let mut documents = Vec::new();
    let mut is_complete = true;
    let had_errors = diagnostics.as_slice().len();
    for source in sources {
        match read_toml::<RawRules>(source, diagnostics) {
            Some(document) => {
                is_complete &= document.is_complete;
                documents.push((source, document.value));
            }
            None => is_complete = false,
        }
    }
    let rules = Rules::unsharded(shards, home);
    let mut check = Check { rules, diagnostics, is_complete, taken: BTreeMap::new() };
    for (source, raw) in &documents {
        raw.group.iter().for_each(|group| check.group(source, group));
    }
    for (source, raw) in &documents {
        raw.schema.iter().for_each(|schema| check.schema(source, schema));
    }
    for (source, raw) in &documents {
        raw.sharded.iter().for_each(|table| check.sharded(source, table));
        raw.reference.iter().for_each(|table| check.reference(source, table));
        raw.single.iter().for_each(|table| check.single(source, table));
        raw.function.iter().for_each(|function| check.function(source, function));
        raw.trigger.iter().for_each(|trigger| check.trigger(source, trigger));
    }
    let rules = check.rules;
    let is_valid = is_complete && !diagnostics.as_slice().iter().skip(had_errors).any(Diagnostic::is_error);
    is_valid.then_some(rules)
}

/// What a rule is about; each has one rule at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Group(String),
    Schema(String),
    Table(String, String),
    Function(String, String),
    Trigger(String, String, String),
}

struct Check<'a> {
    rules: Rules,
    diagnostics: &'a mut Diagnostics,
    /// Whether all files were read whole: else what looks missing may be in the part that was not.
    is_complete: bool,
    /// What has a rule, with the rule's place in words.
    taken: BTreeMap<Subject, String>,
}

impl Check<'_> {
    fn error(&mut self, source: &SourceText, span: Range<usize>, message: String, allowed: &str) {
        self.diagnostics.push(source.error(span, message).allowed(allowed));
    }

    /// Whether this is the first rule for `subject`, which `shown` names; tells if not.
    fn take(&mut self, source: &SourceText, span: Range<usize>, subject: Subject, shown: &str) -> bool {
        if let Some(place) = self.taken.get(&subject) {
            let error = source.error(span, format!("{shown} already has a rule"));
            self.diagnostics.push(error.hint(format!("the other one is at {place}")));
            return false;
        }
        self.taken.insert(subject, place(source, span));
        true
    }

    fn shard(&mut self, source: &SourceText, name: &At<String>) -> Option<ShardId> {
        let position = self.rules.shards.iter().position(|shard| shard == name.get());
        if let Some(position) = position {
            return u16::try_from(position).ok().map(ShardId);
        }
        let names: Vec<&str> = self.rules.shards.iter().map(String::as_str).collect();
        let error = source.error(name.span(), format!("there is no shard `{}`", name.get()));
        self.diagnostics.push(error.allowed(listed(&names)).suggest(name.get(), names.iter().copied()));
        None
    }

    fn group_id(&mut self, source: &SourceText, name: &At<String>) -> Option<GroupId> {
        let position = self.rules.groups.iter().position(|group| group.name == *name.get());
        if let Some(position) = position {
            return u16::try_from(position).ok().map(GroupId);
        }
        if self.is_complete {
            let names: Vec<&str> = self.rules.groups.iter().map(|group| group.name.as_str()).collect();
            let error = source.error(name.span(), format!("there is no group `{}`", name.get()));
            let error = if names.is_empty() {
                error.hint(format!("add [[group]] with name = \"{}\"", name.get()))
            } else {
                error.allowed(listed(&names)).suggest(name.get(), names.iter().copied())
            };
            self.diagnostics.push(error);
        }
        None
    }
}

/// A place for another finding to point to.
fn place(source: &SourceText, span: Range<usize>) -> String {
    format!("{}:{}", source.name(), source.place(span).line)
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
