//! A session's `search_path`.

/// The schemas that an unqualified name is looked up in, in order, without the implicit `pg_catalog`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SearchPath {
    schemas: Vec<String>,
}

impl SearchPath {
    /// Reads the setting's value as Postgres does: identifiers, perhaps quoted, separated by commas;
    /// unquoted ones in lower case; `$user` is `user`.
    pub fn parse(setting: &str, user: &str) -> SearchPath {
        let mut schemas = Vec::new();
        for item in split(setting) {
            schemas.push(if item == "$user" { user.to_owned() } else { item });
        }
        SearchPath { schemas }
    }

    /// The schemas in order.
    pub fn schemas(&self) -> &[String] {
        &self.schemas
    }
}

fn split(setting: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut chars = setting.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
        let mut item = String::new();
        match chars.peek() {
            None => return items,
            Some('"') => {
                chars.next();
                while let Some(c) = chars.next() {
                    if c != '"' {
                        item.push(c);
                    } else if chars.next_if_eq(&'"').is_some() {
                        item.push('"');
                    } else {
                        break;
                    }
                }
            }
            Some(_) => {
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != ',') {
                    item.extend(c.to_lowercase());
                }
            }
        }
        items.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_postgres_reads_them() {
        for (setting, schemas) in [
            ("\"$user\", public", vec!["me", "public"]),
            ("App,\"App\" , \"a\"\"b\"", vec!["app", "App", "a\"b"]),
            ("$user", vec!["me"]),
            ("", vec![]),
            ("\"\"", vec![""]),
        ] {
            assert_eq!(SearchPath::parse(setting, "me").schemas(), schemas, "{setting}");
        }
    }
}
