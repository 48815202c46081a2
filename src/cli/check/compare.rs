//! Judges the shards' answers, each by itself and against the home shard's.

use super::Finding;
use super::live::Answer;
use super::queries::Facts;
use crate::config::{Cluster, Config, Credential, Shard, User};
use std::collections::BTreeMap;

/// Oldest version that is served, as `server_version_num`.
pub(super) const VERSION_MIN: i32 = 150_000;

/// A shard with its facts.
struct Asked<'a> {
    /// `cluster/shard`.
    subject: String,
    facts: &'a Facts,
}

/// Findings about a cluster's shards; `answers` is in their order.
pub(super) fn judge(config: &Config, cluster: &Cluster, answers: &[Answer]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut asked: Vec<Asked<'_>> = Vec::new();
    for (shard, answer) in cluster.shards.iter().zip(answers) {
        let subject = subject(cluster, shard);
        match answer {
            Answer::Failed(error) => findings.push(Finding::error(subject, error.to_string())),
            Answer::Reachable => findings.push(Finding::ok(subject, "reachable")),
            Answer::Facts(facts, _) if facts.version < VERSION_MIN => {
                let found = format!("PostgreSQL {}; 15 or newer is needed", facts.version_text);
                findings.push(Finding::error(subject, found));
            }
            Answer::Facts(facts, _) => {
                alone(&subject, facts, cluster, &mut findings);
                asked.push(Asked { subject, facts });
            }
        }
    }
    let home = cluster.shard(cluster.home_shard).map(|home| subject(cluster, home));
    let first = asked.iter().find(|one| Some(&one.subject) == home.as_ref()).or(asked.first());
    if let Some(first) = first {
        for other in asked.iter().filter(|other| other.subject != first.subject) {
            alike(first, other, &mut findings);
        }
    }
    same_database(cluster, &asked, &mut findings);
    for user in config.users.values() {
        user_on_shards(config, user, &asked, &mut findings);
    }
    if config.auth_query.is_some() {
        verifiers_alike(&asked, &mut findings);
    }
    findings
}

pub(super) fn subject(cluster: &Cluster, shard: &Shard) -> String {
    format!("{}/{}", cluster.name, shard.name)
}

/// What can be said of one shard without the others.
fn alone(subject: &str, facts: &Facts, cluster: &Cluster, findings: &mut Vec<Finding>) {
    findings.push(Finding::ok(
        subject,
        format!(
            "PostgreSQL {}, encoding {}, wal_level {}",
            facts.version_text, facts.encoding, facts.wal_level
        ),
    ));
    if facts.is_standby {
        findings.push(
            Finding::error(subject, "the server is a standby: it takes no writes")
                .hint("name the primary in `primary`"),
        );
    }
    let (prepared, connections) = (facts.max_prepared_transactions, facts.max_connections);
    let found = format!("max_prepared_transactions is {prepared}, max_connections {connections}");
    let hint = format!("set max_prepared_transactions to at least {connections} and restart the server");
    if prepared >= connections {
        findings.push(Finding::ok(subject, found));
    } else if cluster.shards.len() > 1 {
        let effect = if prepared == 0 {
            "writes on several shards are refused"
        } else {
            "writes on several shards may be refused"
        };
        findings.push(Finding::warning(subject, format!("{found}: {effect}")).hint(hint));
    }
    if facts.wal_level == "minimal" {
        let found = "wal_level is minimal: no standby, and no rows can be moved off this server online";
        findings.push(Finding::warning(subject, found).hint("set wal_level to replica or logical"));
    }
    if i64::from(cluster.pool.size) > i64::from(connections) {
        let found = format!("pool.size is {}, above max_connections of {connections}", cluster.pool.size);
        findings.push(Finding::warning(subject, found).hint("lower pool.size or raise max_connections"));
    }
    if facts.stale_collations > 0 {
        let found = format!(
            "{} collations have another version than when they were made: indexes on text may be wrong",
            facts.stale_collations
        );
        findings.push(
            Finding::warning(subject, found)
                .hint("REINDEX, then ALTER DATABASE or COLLATION ... REFRESH VERSION"),
        );
    }
    if !facts.is_monitor {
        let found = "the maintenance user is not a member of pg_monitor: it cannot see others' activity";
        findings.push(Finding::warning(subject, found).hint("GRANT pg_monitor TO the maintenance user"));
    }
}

/// What must be the same on every shard.
fn alike(first: &Asked<'_>, other: &Asked<'_>, findings: &mut Vec<Finding>) {
    let (a, b) = (first.facts, other.facts);
    let mut differs = |is_error: bool, what: &str, here: &str, there: &str, hint: &str| {
        if here == there {
            return;
        }
        let shown = if here.len() == 32 { String::new() } else { format!(": {here:?}, there {there:?}") };
        let found = format!("{what} not as on {}{shown}", first.subject);
        let finding = if is_error {
            Finding::error(&other.subject, found)
        } else {
            Finding::warning(&other.subject, found)
        };
        findings.push(finding.hint(hint));
    };
    differs(
        true,
        "server_encoding is",
        &b.encoding,
        &a.encoding,
        "create the database anew with the same ENCODING",
    );
    differs(
        true,
        "the locale is",
        &b.locale,
        &a.locale,
        "texts sort differently: use the same locale, provider and library version",
    );
    differs(
        false,
        "collation versions are",
        &b.collations,
        &a.collations,
        "texts may sort differently: use the same libc and ICU",
    );
    differs(
        false,
        "time zone data are",
        &b.time_zones,
        &a.time_zones,
        "timestamptz values may show differently: use the same tzdata",
    );
    differs(
        false,
        "password_encryption is",
        &b.password_encryption,
        &a.password_encryption,
        "ALTER ROLE ... PASSWORD would make different verifiers",
    );
    let (here, there) = ((b.version / 10_000).to_string(), (a.version / 10_000).to_string());
    differs(
        false,
        "the major version is",
        &here,
        &there,
        "functions may answer differently: run one major version",
    );
    let empty = String::new();
    for (name, here) in &b.settings {
        let there = a.settings.get(name).unwrap_or(&empty);
        differs(
            false,
            &format!("the setting {name} is"),
            here,
            there,
            "answers may differ: give it the same value",
        );
    }
}

/// Two shards must not be one database under two addresses.
fn same_database(cluster: &Cluster, asked: &[Asked<'_>], findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<(i64, &str), &str> = BTreeMap::new();
    for shard in &cluster.shards {
        let subject = subject(cluster, shard);
        let Some(one) = asked.iter().find(|one| one.subject == subject) else { continue };
        let (Some(system), Some(database)) = (one.facts.system_identifier, shard.database.as_deref()) else {
            continue;
        };
        if let Some(other) = seen.insert((system, database), &one.subject) {
            let found = format!("is the same server and database as {other}: every row would be there twice");
            findings.push(Finding::error(&one.subject, found));
        }
    }
}

/// A user must exist everywhere, and have the configured verifier where its proof is passed through.
fn user_on_shards(config: &Config, user: &User, asked: &[Asked<'_>], findings: &mut Vec<Finding>) {
    for shard in asked {
        if !shard.facts.roles.contains(&user.name) {
            if !config.is_admin(&user.name) {
                let found = format!("there is no role {:?} that may log in", user.name);
                findings.push(Finding::warning(&shard.subject, found).hint("CREATE ROLE ... LOGIN"));
            }
            continue;
        }
        let (Credential::Scram(verifier), None) = (&user.credential, &user.server_password) else { continue };
        match &shard.facts.verifiers {
            None => {
                let found = format!(
                    "cannot read the verifier of {:?}, whose proof is passed through: it must equal the configured one",
                    user.name
                );
                findings.push(
                    Finding::warning(&shard.subject, found)
                        .hint("GRANT SELECT ON pg_authid TO the maintenance user, for this check"),
                );
            }
            Some(verifiers) if verifiers.get(&user.name) != Some(verifier) => {
                let found = format!(
                    "the verifier of {:?} is not the configured one: its proof cannot be passed through",
                    user.name
                );
                findings.push(
                    Finding::error(&shard.subject, found)
                        .hint("ALTER ROLE ... PASSWORD with the verifier itself, the same on every shard"),
                );
            }
            Some(_) => {}
        }
    }
}

/// With an auth query, the home shard's verifiers let users in: they must be the same everywhere.
fn verifiers_alike(asked: &[Asked<'_>], findings: &mut Vec<Finding>) {
    let Some((first, others)) = asked.split_first() else { return };
    let Some(expected) = &first.facts.verifiers else {
        let found = "cannot read pg_authid: not looked whether verifiers are the same on every shard";
        findings.push(
            Finding::warning(&first.subject, found)
                .hint("GRANT SELECT ON pg_authid TO the maintenance user, for this check"),
        );
        return;
    };
    for other in others {
        let Some(verifiers) = &other.facts.verifiers else { continue };
        let differing: Vec<&str> = expected
            .iter()
            .filter(|(role, verifier)| verifiers.get(*role) != Some(verifier))
            .map(|(role, _)| role.as_str())
            .collect();
        if !differing.is_empty() {
            let shown =
                differing.iter().take(10).map(|role| format!("{role:?}")).collect::<Vec<_>>().join(", ");
            let found =
                format!("{} roles have another verifier than on {}: {shown}", differing.len(), first.subject);
            findings.push(
                Finding::error(&other.subject, found)
                    .hint("ALTER ROLE ... PASSWORD with the verifier itself, the same on every shard"),
            );
        }
    }
}
