//! Rules of functions and triggers: what they touch.

use super::{Check, Subject};
use crate::diagnostic::{At, SourceText};
use crate::rules::raw::{RawFunction, RawTrigger};
use crate::rules::{FunctionRule, FunctionTouches, GroupId, TriggerRule, TriggerTouches};

/// What a function may be declared to touch.
const TOUCHES: [&str; 3] = ["pure", "home", "by_key"];
/// Most arguments that a function of Postgres has.
const ARGUMENTS_MAX: u16 = 100;

impl Check<'_> {
    pub(super) fn function(&mut self, source: &SourceText, raw: &At<RawFunction>) {
        let function = raw.get();
        let name = function.name.as_ref().and_then(|name| {
            let (schema, function) = self.qualified(source, name, "function")?;
            let subject = Subject::Function(schema.clone(), function.clone());
            let shown = format!("function `{schema}.{function}`");
            self.take(source, name.span(), subject, &shown).then_some((schema, function))
        });
        let touches = self.function_touches(source, raw);
        if let (Some((schema, name)), Some(touches)) = (name, touches) {
            self.rules.functions.push(FunctionRule { schema, name, touches });
        }
    }

    fn function_touches(&mut self, source: &SourceText, raw: &At<RawFunction>) -> Option<FunctionTouches> {
        let function = raw.get();
        let word = self.touches(source, function.touches.as_ref()?)?;
        if word == "by_key" {
            let group = match &function.group {
                Some(group) => self.group_id(source, group),
                None => self.only_group(source, raw),
            };
            return self.by_key(source, raw, group);
        }
        let argument = function.argument.as_ref().map(|argument| ("argument", argument.span()));
        let group = function.group.as_ref().map(|group| ("group", group.span()));
        for (key, span) in argument.into_iter().chain(group) {
            let found = format!("`{key}` does not go with touches = \"{word}\"");
            self.error(source, span, found, "only with touches = \"by_key\"");
        }
        Some(if word == "pure" { FunctionTouches::Pure } else { FunctionTouches::Home })
    }

    /// The group of a rule that names none.
    fn only_group(&mut self, source: &SourceText, raw: &At<RawFunction>) -> Option<GroupId> {
        if self.rules.groups.len() == 1 || !self.is_complete {
            return Some(GroupId(0));
        }
        let names: Vec<&str> = self.rules.groups.iter().map(|group| group.name.as_str()).collect();
        let found = "`group` is missing: whose key does the argument hold?".to_owned();
        let allowed = super::listed(&names);
        self.error(source, raw.span(), found, &allowed);
        None
    }

    fn by_key(
        &mut self,
        source: &SourceText,
        raw: &At<RawFunction>,
        group: Option<GroupId>,
    ) -> Option<FunctionTouches> {
        let Some(argument) = &raw.get().argument else {
            let error = source.error(raw.span(), "`argument` is missing: which argument holds the key?");
            self.diagnostics.push(error.hint("add `argument = 1`, or a list with one for each key column"));
            return None;
        };
        let mut arguments = Vec::new();
        for (number, span) in argument.values() {
            if !(1..=ARGUMENTS_MAX).contains(number) {
                let found = format!("no function has an argument {number}");
                self.error(source, span, found, &format!("1 to {ARGUMENTS_MAX}"));
                return None;
            }
            arguments.push(*number);
        }
        let id = group?;
        let group = self.rules.group(id)?;
        if arguments.len() != group.key_types.len() {
            let wanted = group.key_types.len();
            let found = format!("{} arguments for the {wanted} keys of `{}`", arguments.len(), group.name);
            self.error(source, argument.span(), found, "one argument for each key column");
            return None;
        }
        Some(FunctionTouches::ByKey { group: id, arguments })
    }

    pub(super) fn trigger(&mut self, source: &SourceText, raw: &At<RawTrigger>) {
        let trigger = raw.get();
        let table = trigger.table.as_ref().and_then(|table| self.qualified(source, table, "table"));
        let name = trigger.name.as_ref().and_then(|name| {
            let trigger = self.unqualified(source, (name.get(), name.span()), "trigger")?;
            Some((trigger, name.span()))
        });
        let touches = trigger.touches.as_ref().and_then(|word| self.touches(source, word));
        let (Some((schema, table)), Some((name, span)), Some(word)) = (table, name, touches) else { return };
        let subject = Subject::Trigger(schema.clone(), table.clone(), name.clone());
        if self.take(source, span, subject, &format!("trigger `{name}` on `{schema}.{table}`")) {
            let touches = match word {
                "pure" => TriggerTouches::Pure,
                "home" => TriggerTouches::Home,
                _ => TriggerTouches::ByKey,
            };
            self.rules.triggers.push(TriggerRule { schema, table, name, touches });
        }
    }

    fn touches(&mut self, source: &SourceText, word: &At<String>) -> Option<&'static str> {
        let known = TOUCHES.into_iter().find(|known| known == word.get());
        if known.is_none() {
            let error = source.error(word.span(), format!("`{}` is nothing to touch", word.get()));
            self.diagnostics.push(error.allowed(super::listed(&TOUCHES)).suggest(word.get(), TOUCHES));
        }
        known
    }
}
