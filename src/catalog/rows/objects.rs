//! Types, functions, operators, casts, collations, and the database itself.

use super::{Builder, WIDTH, boolean, numbers};
use crate::catalog::database::SearchPathSetting;
use crate::catalog::{
    Attribute, Cast, Collation, CollationProvider, DatabaseFacts, Function, FunctionKind, FunctionName,
    Trigger, Type, TypeKind, Volatility,
};

impl Builder {
    /// A row that hangs on no relation.
    pub(super) fn object(&mut self, row: &[Option<&str>; WIDTH]) -> Option<()> {
        let [kind, a, b, c, d, e, ..] = *row;
        match kind? {
            "type" => self.type_row(row)?,
            "attribute" => {
                let attribute =
                    Attribute { number: b?.parse().ok()?, name: c?.to_owned(), type_oid: d?.parse().ok()? };
                if let TypeKind::Composite(attributes) =
                    &mut self.catalog.types.get_mut(a?.parse().ok()?)?.kind
                {
                    attributes.push(attribute);
                }
            }
            "label" => {
                let labels = self.labels.entry(a?.parse().ok()?).or_default();
                labels.push((c?.parse().ok()?, b?.to_owned()));
            }
            "function" => self.function(row)?,
            "operator" => {
                self.catalog.operators.insert(a?.to_owned());
                if boolean(d?)? {
                    let operands = [b?.parse().ok()?, c?.parse().ok()?];
                    self.catalog.impure.operator(a?, operands, e?);
                }
            }
            "cast" => {
                let is_implicit = matches!(c?, "a" | "i");
                let (source, target) = (a?.parse().ok()?, b?.parse().ok()?);
                self.catalog.casts.push(Cast { source, target, is_implicit, function: d?.to_owned() });
            }
            "compares" => self.catalog.impure.compares(a?.parse().ok()?, b?),
            "event_trigger" => {
                let trigger = Trigger { name: a?.to_owned(), function: b?.to_owned() };
                self.catalog.event_triggers.push(trigger);
            }
            "collation" => self.collation(row)?,
            "database" => self.database(row)?,
            "search_path" => {
                let setting = SearchPathSetting {
                    role: a.map(str::to_owned),
                    is_for_database: boolean(b?)?,
                    value: c?.to_owned(),
                };
                self.catalog.database.search_paths.push(setting);
            }
            _ => return None,
        }
        Some(())
    }

    fn type_row(&mut self, row: &[Option<&str>; WIDTH]) -> Option<()> {
        let [_, oid, schema, name, kind, array, related, typmod, is_not_null, extension, relation_kind, _] =
            *row;
        let related = related?.parse().ok()?;
        let kind = match kind? {
            "b" => TypeKind::Base,
            "e" => TypeKind::Enum(Vec::new()),
            "d" => TypeKind::Domain {
                base: related,
                typmod: typmod?.parse().ok()?,
                is_not_null: boolean(is_not_null?)?,
            },
            "c" if relation_kind == Some("c") => TypeKind::Composite(Vec::new()),
            "c" => TypeKind::Row(related),
            "r" => TypeKind::Range(related),
            "m" => TypeKind::Multirange(related),
            "p" => TypeKind::Pseudo,
            _ => return None,
        };
        self.catalog.types.insert(Type {
            oid: oid?.parse().ok()?,
            schema: schema?.to_owned(),
            name: name?.to_owned(),
            kind,
            array: array?.parse().ok()?,
            extension: extension.map(str::to_owned),
            calls: Vec::new(),
        });
        Some(())
    }

    /// Brings everything in an order of its own.
    pub(super) fn finish_objects(&mut self) {
        self.finish_labels();
        self.catalog.types.finish();
        for functions in self.catalog.functions.values_mut() {
            functions.sort_by(|a, b| (&a.schema, &a.arguments).cmp(&(&b.schema, &b.arguments)));
        }
        self.catalog.casts.sort_by_key(|cast| (cast.source, cast.target));
        self.catalog.database.search_paths.sort();
        self.catalog.event_triggers.sort_by(|a, b| a.name.cmp(&b.name));
        self.catalog.finish_impure();
    }

    fn finish_labels(&mut self) {
        for (oid, mut labels) in std::mem::take(&mut self.labels) {
            labels.sort_by(|a, b| a.0.total_cmp(&b.0));
            if let Some(Type { kind: TypeKind::Enum(sorted), .. }) = self.catalog.types.get_mut(oid) {
                *sorted = labels.into_iter().map(|(_, label)| label).collect();
            }
        }
    }

    fn function(&mut self, row: &[Option<&str>; WIDTH]) -> Option<()> {
        let [
            _,
            schema,
            name,
            is_pure,
            takes_row,
            kind,
            volatility,
            language,
            arguments,
            result,
            set,
            trusted,
        ] = *row;
        let (is_pure, takes_row) = (boolean(is_pure?)?, boolean(takes_row?)?);
        let function = Function {
            schema: schema?.to_owned(),
            name: name?.to_owned(),
            kind: match kind? {
                "f" => FunctionKind::Plain,
                "p" => FunctionKind::Procedure,
                "a" => FunctionKind::Aggregate,
                "w" => FunctionKind::Window,
                _ => return None,
            },
            volatility: match volatility? {
                "i" => Volatility::Immutable,
                "s" => Volatility::Stable,
                "v" => Volatility::Volatile,
                _ => return None,
            },
            language: language?.to_owned(),
            arguments: numbers(arguments.unwrap_or_default())?,
            result: result?.parse().ok()?,
            returns_set: boolean(set?)?,
            is_trusted: boolean(trusted?)?,
            is_pure,
        };
        let start = FunctionName { is_pure: true, takes_row: false, is_aggregate: false };
        let entry = self.catalog.function_names.entry(function.name.clone()).or_insert(start);
        entry.is_pure &= is_pure;
        entry.takes_row |= takes_row && !is_pure;
        entry.is_aggregate |= matches!(function.kind, FunctionKind::Aggregate | FunctionKind::Window);
        self.catalog.functions.entry(function.name.clone()).or_default().push(function);
        Some(())
    }

    fn collation(&mut self, row: &[Option<&str>; WIDTH]) -> Option<()> {
        let [_, oid, schema, name, provider, is_deterministic, is_c, ..] = *row;
        let collation = Collation {
            oid: oid?.parse().ok()?,
            schema: schema?.to_owned(),
            name: name?.to_owned(),
            provider: match provider? {
                "c" => CollationProvider::Libc,
                "i" => CollationProvider::Icu,
                "b" => CollationProvider::Builtin,
                _ => return None,
            },
            is_deterministic: boolean(is_deterministic?)?,
            is_c: boolean(is_c?)?,
        };
        self.catalog.collations.insert(collation.oid, collation);
        Some(())
    }

    fn database(&mut self, row: &[Option<&str>; WIDTH]) -> Option<()> {
        let [_, name, encoding, version, search_path, loaded_by, digest, ..] = *row;
        let search_paths = std::mem::take(&mut self.catalog.database.search_paths);
        self.catalog.database = DatabaseFacts {
            name: name?.to_owned(),
            encoding: encoding?.to_owned(),
            server_version: version?.parse().ok()?,
            loaded_by: loaded_by?.to_owned(),
            defaults_digest: digest.map(str::to_owned),
            search_path: search_path.unwrap_or_default().to_owned(),
            search_paths,
        };
        Some(())
    }
}
