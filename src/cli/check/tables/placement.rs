//! What can be said of the rules without any server: keys that have no place.

use super::Finding;
use crate::rules::{Edge, Group, Placement, Rules};

/// How many gaps of one group are shown.
const GAPS_MAX: usize = 5;

/// Findings about one cluster's rules.
pub(in crate::cli::check) fn about_rules(cluster: &str, rules: &Rules) -> Vec<Finding> {
    let mut findings = Vec::new();
    if rules.is_home_only() {
        return findings;
    }
    let found = format!(
        "rules: {} groups, {} sharded, {} reference and {} single tables, {} schemas on one shard",
        rules.groups().len(),
        rules.sharded().len(),
        rules.references().len(),
        rules.singles().len(),
        rules.schemas().len()
    );
    findings.push(Finding::ok(cluster, found));
    for group in rules.groups() {
        gaps(cluster, group, &mut findings);
    }
    findings
}

fn gaps(cluster: &str, group: &Group, findings: &mut Vec<Finding>) {
    let Placement::Range(map) = &group.placement else { return };
    let gaps = map.gaps();
    let words = gaps.iter().take(GAPS_MAX).map(|(from, to)| match (from, to) {
        (None, Some(to)) => format!("before {}", edge(to)),
        (Some(from), Some(to)) => format!("from {} to {}", edge(from), edge(to)),
        (Some(from), None) => format!("from {} on", edge(from)),
        (None, None) => "all".to_owned(),
    });
    let words: Vec<String> = words.collect();
    if !words.is_empty() {
        let more = gaps.len().saturating_sub(GAPS_MAX);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let found = format!(
            "no range of group \"{}\" holds keys {}{more}: rows with them are refused",
            group.name,
            words.join(", ")
        );
        findings.push(Finding::warning(cluster, found).hint("add ranges for them if such rows come"));
    }
}

fn edge(edge: &Edge) -> String {
    let words: Vec<String> = edge.iter().map(ToString::to_string).collect();
    match &words[..] {
        [one] => one.clone(),
        many => format!("({})", many.join(", ")),
    }
}
