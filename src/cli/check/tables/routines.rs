//! Functions and triggers that may hide table access: are they declared, and can the declarations hold.

use super::{Cluster, Finding, Place, family, listed, place, sharded_rule, shown};
use crate::catalog::{Catalog, Function, Relation};
use crate::datum::oid;
use crate::rules::{FunctionRule, FunctionTouches, Rules, TriggerRule, TriggerTouches};
use std::collections::BTreeSet;

pub(super) fn judge(cluster: Cluster<'_>, findings: &mut Vec<Finding>) {
    undeclared_functions(cluster, findings);
    let mut told = BTreeSet::new();
    for shard in cluster.shards {
        let catalog = &shard.tables.catalog;
        for relation in catalog.relations().filter(|relation| !relation.triggers.is_empty()) {
            for (name, found) in undeclared_triggers(cluster.rules, catalog, relation) {
                if told.insert(name.clone()) {
                    let hint = "declare it by [[trigger]], or make its function IMMUTABLE, or drop it";
                    findings.push(Finding::warning(shard.subject, found).hint(hint));
                }
            }
        }
    }
    for rule in cluster.rules.functions() {
        function_rule(cluster, rule, findings);
    }
    for rule in cluster.rules.triggers() {
        trigger_rule(cluster, rule, findings);
    }
}

fn declared<'a>(rules: &'a Rules, schema: &str, name: &str) -> Option<&'a FunctionRule> {
    rules.functions().iter().find(|rule| rule.schema == schema && rule.name == name)
}

/// User functions whose calls are refused.
fn undeclared_functions(cluster: Cluster<'_>, findings: &mut Vec<Finding>) {
    let mut names = BTreeSet::new();
    for shard in cluster.shards {
        let is_undeclared = |function: &&Function| {
            !function.is_pure && declared(cluster.rules, &function.schema, &function.name).is_none()
        };
        let own = |function: &&Function| function.schema != "howdah";
        let functions = shard.tables.catalog.functions().filter(is_undeclared).filter(own);
        // A trigger's function is not called; its trigger is told.
        let functions = functions.filter(|function| function.result != oid::TRIGGER);
        names.extend(functions.map(|function| format!("{}.{}", function.schema, function.name)));
    }
    if !names.is_empty() {
        let found = format!(
            "{} user functions are neither IMMUTABLE nor declared, so their calls are refused: {}",
            names.len(),
            listed(&names)
        );
        let hint = "declare by [[function]] what they touch, or make them IMMUTABLE where they are";
        findings.push(Finding::warning(cluster.name, found).hint(hint));
    }
}

/// Triggers that make writes to their table be refused, with what is told of each.
fn undeclared_triggers(rules: &Rules, catalog: &Catalog, relation: &Relation) -> Vec<(String, String)> {
    let is_declared = |trigger: &crate::catalog::Trigger| {
        let is_named = |rule: &TriggerRule, part: &Relation| {
            rule.name == trigger.name && rule.schema == part.schema && rule.table == part.name
        };
        let by_rule = super::ancestors(catalog, relation)
            .into_iter()
            .any(|part| rules.triggers().iter().any(|rule| is_named(rule, part)));
        let function = trigger.function.split_once('.').and_then(|(s, name)| declared(rules, s, name));
        by_rule || function.is_some_and(|rule| rule.touches == FunctionTouches::Pure)
    };
    let table = shown(&relation.schema, &relation.name);
    let undeclared = relation.triggers.iter().filter(|trigger| !is_declared(trigger));
    undeclared
        .map(|trigger| {
            let found = format!(
                "trigger \"{}\" on {table} calls {}(), which may reach other tables: writes to the table are refused",
                trigger.name, trigger.function
            );
            (format!("{table}.{}", trigger.name), found)
        })
        .collect()
}

/// Whether the function of a rule exists, and has the arguments that the rule names.
fn function_rule(cluster: Cluster<'_>, rule: &FunctionRule, findings: &mut Vec<Finding>) {
    let name = format!("{}.{}", rule.schema, rule.name);
    let mut is_known = false;
    for shard in cluster.shards {
        let catalog = &shard.tables.catalog;
        for function in catalog.functions_named(&rule.name).iter().filter(|f| f.schema == rule.schema) {
            is_known = true;
            let FunctionTouches::ByKey { group, arguments } = &rule.touches else { continue };
            let Some(group) = cluster.rules.group(*group) else { continue };
            for (number, key_type) in arguments.iter().zip(&group.key_types) {
                let given = usize::from(*number).checked_sub(1).and_then(|at| function.arguments.get(at));
                let found = match given {
                    None => format!(
                        "function {name} has {} arguments; its rule says that argument {number} holds a key",
                        function.arguments.len()
                    ),
                    Some(argument) if !key_type.is_column_type(*argument) => {
                        format!("argument {number} of function {name} is no key of type {key_type}")
                    }
                    Some(_) => continue,
                };
                findings.push(Finding::error(shard.subject, found).hint("correct `argument` in its rule"));
            }
        }
    }
    if !is_known && !cluster.has_failed_shards() {
        let found = format!("function {name}, which has a rule, does not exist");
        findings.push(Finding::warning(cluster.name, found).hint("create it, or remove its rule"));
    }
}

/// Whether the trigger of a rule exists, and can touch what the rule says where its table lies.
fn trigger_rule(cluster: Cluster<'_>, rule: &TriggerRule, findings: &mut Vec<Finding>) {
    let table = shown(&rule.schema, &rule.table);
    let Some((shard, relation)) = cluster.first_with(&rule.schema, &rule.table) else {
        if !cluster.has_failed_shards() {
            let found = format!("trigger \"{}\" has a rule, but there is no table {table}", rule.name);
            findings.push(Finding::warning(cluster.name, found).hint("remove the rule"));
        }
        return;
    };
    let catalog = &shard.tables.catalog;
    let place = place(cluster.rules, catalog, relation);
    let (problem, hint) = match rule.touches {
        TriggerTouches::Home if place != Place::One(cluster.rules.home()) => (
            "cannot touch single tables of the home shard from where its table lies",
            "declare it `pure` or `by_key` if it is, else drop it",
        ),
        TriggerTouches::ByKey if sharded_rule(cluster.rules, catalog, relation).is_none() => {
            ("is declared by_key, but its table is not sharded", "declare it `pure` or `home`")
        }
        TriggerTouches::Pure | TriggerTouches::Home | TriggerTouches::ByKey => {
            let key = ("trigger".to_owned(), rule.name.clone());
            let has_it = family(catalog, relation).into_iter().any(|part| {
                let name = (part.schema.clone(), part.name.clone());
                shard.tables.definitions.get(&name).is_some_and(|parts| parts.contains_key(&key))
            });
            if has_it {
                return;
            }
            ("has a rule, but does not exist", "create it, or remove its rule")
        }
    };
    let found = format!("trigger \"{}\" on {table} {problem}", rule.name);
    let is_missing = problem.ends_with("exist");
    let finding = if is_missing {
        Finding::warning(shard.subject, found)
    } else {
        Finding::error(shard.subject, found)
    };
    findings.push(finding.hint(hint));
}
