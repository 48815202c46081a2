//! What the catalog knows of the database as a whole: its collations, and what its sessions start with.

/// A collation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collation {
    /// OID on the shard that the catalog was read from; the same on every server for Postgres's own.
    pub oid: u32,
    /// Schema.
    pub schema: String,
    /// Name; `default` is the database's.
    pub name: String,
    /// Who compares. Of `default`, the provider of the database's locale.
    pub provider: CollationProvider,
    /// Whether texts that compare equal have equal bytes.
    pub is_deterministic: bool,
    /// Whether it compares as bytes: C, POSIX, and those of the built-in provider.
    pub is_c: bool,
}

/// `pg_collation.collprovider`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollationProvider {
    /// `c`: the operating system.
    Libc,
    /// `i`
    Icu,
    /// `b`: Postgres itself, since version 17.
    Builtin,
}

/// The OID of the collation `default`.
pub const DEFAULT_COLLATION: u32 = 100;

/// The database, and what its sessions start with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Its name.
    pub name: String,
    /// Its encoding, as `UTF8`.
    pub encoding: String,
    /// `server_version_num`.
    pub server_version: u32,
    /// Who read the catalog.
    pub loaded_by: String,
    /// Changes with any setting that a role or database brings along.
    pub defaults_digest: Option<String>,
    /// `search_path` of the sessions of `loaded_by`.
    pub(super) search_path: String,
    pub(super) search_paths: Vec<SearchPathSetting>,
}

/// ALTER ROLE or ALTER DATABASE ... SET search_path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SearchPathSetting {
    /// `None`: all roles.
    pub(super) role: Option<String>,
    /// Whether it is for this database only.
    pub(super) is_for_database: bool,
    pub(super) value: String,
}

impl DatabaseFacts {
    /// The `search_path` that sessions of a role start with; `None` where it cannot be told from what
    /// whoever read the catalog could see.
    ///
    /// Source: PostgreSQL, `process_settings` in `utils/init/postinit.c`.
    pub fn search_path_of(&self, role: &str) -> Option<&str> {
        // What the reader was given is the server's own default only where no setting overlays it.
        self.setting_of(role)
            .or_else(|| self.setting_of(&self.loaded_by).is_none().then_some(&*self.search_path))
    }

    fn setting_of(&self, role: &str) -> Option<&str> {
        let rank = |setting: &&SearchPathSetting| match (&setting.role, setting.is_for_database) {
            (Some(_), true) => 0,
            (Some(_), false) => 1,
            (None, true) => 2,
            (None, false) => 3,
        };
        let applies = |setting: &&SearchPathSetting| setting.role.as_deref().is_none_or(|of| of == role);
        self.search_paths.iter().filter(applies).min_by_key(rank).map(|setting| setting.value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(role: Option<&str>, is_for_database: bool, value: &str) -> SearchPathSetting {
        SearchPathSetting { role: role.map(str::to_owned), is_for_database, value: value.to_owned() }
    }

    #[test]
    fn the_most_particular_setting_is_in_force() {
        let mut facts = DatabaseFacts {
            loaded_by: "keeper".to_owned(),
            search_path: "public".to_owned(),
            ..DatabaseFacts::default()
        };
        assert_eq!(facts.search_path_of("app"), Some("public"));
        facts.search_paths = vec![setting(None, false, "everybody")];
        assert_eq!(facts.search_path_of("app"), Some("everybody"));
        facts.search_paths.push(setting(None, true, "here"));
        assert_eq!(facts.search_path_of("app"), Some("here"));
        facts.search_paths.push(setting(Some("app"), false, "mine"));
        assert_eq!(facts.search_path_of("app"), Some("mine"));
        assert_eq!(facts.search_path_of("other"), Some("here"));
        facts.search_paths.push(setting(Some("app"), true, "mine here"));
        assert_eq!(facts.search_path_of("app"), Some("mine here"));
    }

    #[test]
    fn a_readers_own_setting_hides_the_servers() {
        let facts = DatabaseFacts {
            loaded_by: "keeper".to_owned(),
            search_path: "kept".to_owned(),
            search_paths: vec![setting(Some("keeper"), false, "kept")],
            ..DatabaseFacts::default()
        };
        assert_eq!(facts.search_path_of("keeper"), Some("kept"));
        assert_eq!(facts.search_path_of("app"), None);
    }
}
