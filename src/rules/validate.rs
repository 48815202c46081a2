//! Raw rules to valid ones, with every error at once.

use super::raw::{RawGroup, RawRules, RawSharded, RawSingle};
use super::{BucketMap, Group, GroupId, Rules, ShardedTable, SingleTable};
use crate::diagnostic::{At, Diagnostics, SourceText, read_toml};
use crate::ids::ShardId;

const BUCKETS_DEFAULT: u32 = 4096;
const BUCKETS_MAX: u32 = 1 << 16;
/// Sharding functions of later versions.
const LATER_FUNCTIONS: [&str; 4] = ["range", "list", "interval", "lookup"];

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
    let rules = Rules { home, shards, groups: Vec::new(), sharded: Vec::new(), singles: Vec::new() };
    let mut check = Check { rules, diagnostics, is_complete, taken: Vec::new() };
    for (source, raw) in &documents {
        raw.group.iter().for_each(|group| check.group(source, group));
        check.later(source, raw);
    }
    for (source, raw) in &documents {
        raw.sharded.iter().for_each(|table| check.sharded(source, table));
        raw.single.iter().for_each(|table| check.single(source, table));
    }
    let rules = check.rules;
    let is_valid = is_complete && !diagnostics.as_slice().iter().skip(had_errors).any(|d| d.is_error());
    is_valid.then_some(rules)
}

struct Check<'a> {
    rules: Rules,
    diagnostics: &'a mut Diagnostics,
    /// Whether all files were read whole: else what looks missing may be in the part that was not.
    is_complete: bool,
    /// Tables that have a rule, with the rule's place in words.
    taken: Vec<((String, String), String)>,
}

impl Check<'_> {
    fn later(&mut self, source: &SourceText, raw: &RawRules) {
        let kinds = [("reference", &raw.reference), ("schema", &raw.schema), ("function", &raw.function)];
        for (kind, entries) in kinds {
            for entry in entries {
                let error = source.error(entry.span(), format!("[[{kind}]] rules are not supported yet"));
                self.diagnostics.push(error.allowed("[[group]], [[sharded]], [[single]]"));
            }
        }
    }

    fn group(&mut self, source: &SourceText, raw: &At<RawGroup>) {
        let group = raw.get();
        let Some(name) = &group.name else { return };
        if let Some(key_type) = &group.key_type {
            let found = key_type.get().as_str();
            if found != "int8" {
                let error = source.error(key_type.span(), format!("key type `{found}` is not supported yet"));
                self.diagnostics.push(error.allowed("`int8` (for smallint, integer and bigint columns)"));
            }
        }
        if self.rules.groups.iter().any(|known| known.name == *name.get()) {
            let error = source.error(name.span(), format!("group `{}` is defined twice", name.get()));
            self.diagnostics.push(error.allowed("each group once"));
            return;
        }
        let buckets = group.buckets.as_ref().map_or(BUCKETS_DEFAULT, |buckets| *buckets.get());
        let shards = u32::from(self.rules.shard_count());
        if !buckets.is_power_of_two() || buckets > BUCKETS_MAX || buckets < shards {
            let span = group.buckets.as_ref().map_or(name.span(), At::span);
            let error = source.error(span, format!("{buckets} buckets cannot be"));
            let least = shards.max(1).next_power_of_two();
            self.diagnostics.push(error.allowed(format!("a power of two from {least} to {BUCKETS_MAX}")));
            return;
        }
        let map = BucketMap::default_map(buckets, self.rules.shard_count());
        self.rules.groups.push(Group { name: name.get().clone(), map });
    }

    fn sharded(&mut self, source: &SourceText, raw: &At<RawSharded>) {
        let sharded = raw.get();
        if let Some(function) = &sharded.function {
            let found = function.get().as_str();
            if found != "hash" {
                let what =
                    if LATER_FUNCTIONS.contains(&found) { "is not supported yet" } else { "is not known" };
                let error = source.error(function.span(), format!("sharding function `{found}` {what}"));
                self.diagnostics.push(error.allowed("`hash`"));
            }
        }
        let table = sharded.table.as_ref().and_then(|table| self.table(source, table));
        let key = sharded.key.as_ref().and_then(|key| self.column(source, key));
        let group = sharded.group.as_ref().and_then(|group| self.group_id(source, group));
        if let (Some((schema, table)), Some(key), Some(group)) = (table, key, group) {
            self.rules.sharded.push(ShardedTable { schema, table, key, group });
        }
    }

    fn single(&mut self, source: &SourceText, raw: &At<RawSingle>) {
        let single = raw.get();
        let table = single.table.as_ref().and_then(|table| self.table(source, table));
        let shard = match &single.shard {
            None => Some(self.rules.home),
            Some(name) => self.shard(source, name),
        };
        if let (Some((schema, table)), Some(shard)) = (table, shard) {
            self.rules.singles.push(SingleTable { schema, table, shard });
        }
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

    fn column(&mut self, source: &SourceText, key: &At<String>) -> Option<String> {
        match &parts(key.get())?[..] {
            [column] => Some(column.clone()),
            _ => {
                let error = source.error(key.span(), format!("`{}` is not a column's name", key.get()));
                self.diagnostics.push(error.allowed("one column, quoted as in SQL where needed"));
                None
            }
        }
    }

    fn table(&mut self, source: &SourceText, table: &At<String>) -> Option<(String, String)> {
        let name = match parts(table.get()).as_deref() {
            Some([table]) => ("public".to_owned(), table.clone()),
            Some([schema, table]) => (schema.clone(), table.clone()),
            _ => {
                let error = source.error(table.span(), format!("`{}` is not a table's name", table.get()));
                let allowed = "`schema.table` or `table` (in schema public), quoted as in SQL where needed";
                self.diagnostics.push(error.allowed(allowed));
                return None;
            }
        };
        if let Some((_, place)) = self.taken.iter().find(|(known, _)| *known == name) {
            let error = source.error(table.span(), format!("`{}.{}` already has a rule", name.0, name.1));
            self.diagnostics.push(error.hint(format!("the other one is at {place}")));
            return None;
        }
        let place = format!("{}:{}", source.name(), source.place(table.span()).line);
        self.taken.push((name.clone(), place));
        Some(name)
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The parts of a possibly quoted, dotted name, as Postgres stores them; `None` where it is none.
fn parts(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name;
    loop {
        let part;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut value = String::new();
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                match chars.next()? {
                    (_, '"') if chars.next_if(|(_, c)| *c == '"').is_some() => value.push('"'),
                    (at, '"') => break at + 1,
                    (_, c) => value.push(c),
                }
            };
            (part, rest) = (value, quoted.get(end..)?);
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let word = rest.get(..end)?;
            let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
            if !word.chars().all(is_word) || word.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                return None;
            }
            (part, rest) = (word.to_ascii_lowercase(), rest.get(end..)?);
        }
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match rest.strip_prefix('.') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    fn rules(text: &str) -> Result<Rules, Vec<String>> {
        let mut diagnostics = Diagnostics::new();
        let sources = [SourceText::new("rules.toml", text)];
        match read(&sources, shards(), ShardId(0), &mut diagnostics) {
            Some(rules) => Ok(rules),
            None => {
                Err(diagnostics.into_sorted().iter().map(crate::diagnostic::Diagnostic::one_line).collect())
            }
        }
    }

    #[test]
    fn the_examples_are_valid() {
        for text in [
            include_str!("../../sharding-rules/shop.toml"),
            include_str!("../../sharding-rules/pgbench.toml"),
        ] {
            rules(text).unwrap();
        }
        let shop = rules(include_str!("../../sharding-rules/shop.toml")).unwrap();
        assert_eq!(shop.sharded().len(), 3);
        assert!(shop.sharded().iter().all(|table| table.group == GroupId(0)));
        assert_eq!(shop.group(GroupId(0)).unwrap().map.buckets(), 4096);
    }

    #[test]
    fn names_are_read_as_in_sql() {
        for (name, expected) in [
            ("Orders", Some(vec!["orders"])),
            ("app.orders", Some(vec!["app", "orders"])),
            (r#""My App"."a.""b""#, Some(vec!["My App", "a.\"b"])),
            ("", None),
            ("a.", None),
            ("a b", None),
            ("1a", None),
            (r#""open"#, None),
        ] {
            let expected = expected.map(|parts| parts.into_iter().map(str::to_owned).collect());
            assert_eq!(parts(name), expected, "{name}");
        }
    }

    #[test]
    fn every_error_is_told_at_once_with_its_place() {
        let text = r#"
[[group]]
name = "customers"
key_type = "text"
buckets = 1000

[[group]]
name = "other"

[[sharded]]
table = "orders"
key = "customer_id"
group = "othre"
function = "range"

[[single]]
table = "public.orders"

[[single]]
table = "x"
shard = "d"

[[reference]]
table = "countries"

[[sharded]]
table = "y"
keys = "id"
group = "other"
"#;
        let errors = rules(text).unwrap_err();
        for expected in [
            "rules.toml:4:12: error: key type `text` is not supported yet",
            "rules.toml:5:11: error: 1000 buckets cannot be",
            "rules.toml:13:9: error: there is no group `othre`",
            "rules.toml:14:12: error: sharding function `range` is not supported yet",
            "rules.toml:17:9: error: `public.orders` already has a rule",
            "rules.toml:21:9: error: there is no shard `d`",
            "error: [[reference]] rules are not supported yet",
            "`keys`",
        ] {
            assert!(errors.iter().any(|error| error.contains(expected)), "{expected}\n{errors:#?}");
        }
    }
}
