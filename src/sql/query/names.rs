//! Names of relations, types and output columns in sqlparser's tree.

use super::expression::TypeName;
use super::{Expr, Item, NotRead, SubqueryKind};
use crate::catalog::builtin;
use crate::sql::parse::{self, ast};
use ast::{DataType, ExactNumberInfo, TimezoneInfo};

pub(super) use crate::sql::parse::ROWS_FROM;

fn not_understood<T>(what: &str) -> Result<T, NotRead> {
    Err(NotRead(format!("{what} is not understood yet")))
}

/// A name's parts as Postgres stores them.
pub(super) fn object_name(name: &ast::ObjectName) -> Result<Vec<String>, NotRead> {
    let part = |part: &ast::ObjectNamePart| match part {
        ast::ObjectNamePart::Identifier(ident) => Ok(parse::ident_name(ident)),
        ast::ObjectNamePart::Function(_) => not_understood("a name of this kind"),
    };
    name.0.iter().map(part).collect()
}

/// The bare operator of ORDER BY ... USING.
pub(super) fn operator_name(name: &ast::ObjectName) -> Result<String, NotRead> {
    match &name.0[..] {
        [ast::ObjectNamePart::Identifier(ident)] => Ok(ident.value.clone()),
        _ => not_understood("an operator of this kind"),
    }
}

/// A type as Postgres stores its name.
pub(super) fn data_type(data_type: &DataType) -> Result<TypeName, NotRead> {
    let plain = |name: &str, has_modifier: bool| TypeName {
        name: vec![name.to_owned()],
        has_modifier,
        is_array: false,
    };
    let has_number = |info: &ExactNumberInfo| !matches!(info, ExactNumberInfo::None);
    let is_zoned = |zone: &TimezoneInfo| matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
    Ok(match data_type {
        DataType::SmallInt(None) | DataType::Int2(None) => plain("int2", false),
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => plain("int4", false),
        DataType::BigInt(None) | DataType::Int8(None) => plain("int8", false),
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => {
            plain("numeric", has_number(info))
        }
        DataType::Float4 | DataType::Real => plain("float4", false),
        DataType::Float8 | DataType::DoublePrecision | DataType::Float(ExactNumberInfo::None) => {
            plain("float8", false)
        }
        DataType::Bool | DataType::Boolean => plain("bool", false),
        DataType::Text => plain("text", false),
        DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
            plain("varchar", length.is_some())
        }
        DataType::Char(_) | DataType::Character(_) => plain("bpchar", true),
        DataType::Date => plain("date", false),
        DataType::Time(precision, zone) => {
            plain(if is_zoned(zone) { "timetz" } else { "time" }, precision.is_some())
        }
        DataType::Timestamp(precision, zone) => {
            plain(if is_zoned(zone) { "timestamptz" } else { "timestamp" }, precision.is_some())
        }
        DataType::Interval { fields, precision } => {
            plain("interval", fields.is_some() || precision.is_some())
        }
        DataType::Uuid => plain("uuid", false),
        DataType::JSON => plain("json", false),
        DataType::JSONB => plain("jsonb", false),
        DataType::Bytea => plain("bytea", false),
        DataType::Regclass => plain("regclass", false),
        DataType::Bit(_) => plain("bit", true),
        DataType::BitVarying(length) | DataType::VarBit(length) => plain("varbit", length.is_some()),
        DataType::TsVector => plain("tsvector", false),
        DataType::TsQuery => plain("tsquery", false),
        DataType::GeometricType(kind) => plain(&kind.to_string().to_ascii_lowercase(), false),
        DataType::Custom(name, modifiers) => {
            TypeName { name: object_name(name)?, has_modifier: !modifiers.is_empty(), is_array: false }
        }
        DataType::Array(ast::ArrayElemTypeDef::SquareBracket(element, _)) => {
            TypeName { is_array: true, ..self::data_type(element)? }
        }
        _ => return not_understood("a type of this kind"),
    })
}

/// The OID of a type of `pg_catalog`; `None` for others.
pub(crate) fn type_oid(name: &TypeName) -> Option<u32> {
    let bare = match &name.name[..] {
        [bare] => bare,
        [schema, bare] if schema == "pg_catalog" => bare,
        _ => return None,
    };
    let (oid, array) = builtin::type_named(bare)?;
    Some(if name.is_array { array } else { oid })
}

/// The name that Postgres gives a column of a select list that has no alias; `None` where it is not known.
///
/// Source: PostgreSQL 15, `src/backend/parser/parse_target.c` (`FigureColname`).
pub(super) fn output_name(tree: &ast::Expr, value: &Expr, items: &[Item]) -> Option<String> {
    match tree {
        ast::Expr::Nested(inner) => output_name(inner, value, items),
        ast::Expr::Identifier(ident) if !super::build::is_word_value(ident) => Some(parse::ident_name(ident)),
        ast::Expr::CompoundIdentifier(parts) => parts.last().map(parse::ident_name),
        ast::Expr::Function(function) => object_name(&function.name).ok()?.pop(),
        ast::Expr::Cast { expr, data_type, .. } => match (strong_name(expr, value, items), value) {
            (Some(name), _) => Some(name),
            (None, Expr::Cast(_, name)) => named_type(name),
            (None, _) => named_type(&self::data_type(data_type).ok()?),
        },
        ast::Expr::TypedString(typed) => named_type(&self::data_type(&typed.data_type).ok()?),
        ast::Expr::Subquery(_) => match value {
            Expr::Subquery(subquery) if subquery.kind == SubqueryKind::Scalar => {
                subquery.query.column_names()?.into_iter().next()
            }
            _ => None,
        },
        ast::Expr::Exists { negated: false, .. } => Some("exists".to_owned()),
        ast::Expr::Array(_) => Some("array".to_owned()),
        ast::Expr::Tuple(_) => Some("row".to_owned()),
        ast::Expr::Extract { .. } => Some("extract".to_owned()),
        ast::Expr::Position { .. } => Some("position".to_owned()),
        ast::Expr::Overlay { .. } => Some("overlay".to_owned()),
        ast::Expr::Substring { .. } => Some("substring".to_owned()),
        ast::Expr::Ceil { .. } | ast::Expr::Floor { .. } | ast::Expr::Trim { .. } => None,
        ast::Expr::AtTimeZone { .. } => Some("timezone".to_owned()),
        ast::Expr::Collate { expr, .. } => output_name(expr, value, items),
        ast::Expr::Case { else_result, .. } => {
            let strong = else_result.as_ref().and_then(|result| strong_name(result, value, items));
            Some(strong.unwrap_or_else(|| "case".to_owned()))
        }
        ast::Expr::Interval(_) => Some("interval".to_owned()),
        ast::Expr::Value(literal) => match literal.value {
            ast::Value::Boolean(_) => Some("bool".to_owned()),
            _ => Some("?column?".to_owned()),
        },
        ast::Expr::BinaryOp { .. }
        | ast::Expr::UnaryOp { .. }
        | ast::Expr::IsNull(_)
        | ast::Expr::IsNotNull(_)
        | ast::Expr::InList { .. }
        | ast::Expr::Between { .. }
        | ast::Expr::Like { .. }
        | ast::Expr::ILike { .. } => Some("?column?".to_owned()),
        _ => None,
    }
}

/// The name of an expression that keeps it under a cast.
fn strong_name(tree: &ast::Expr, value: &Expr, items: &[Item]) -> Option<String> {
    match tree {
        ast::Expr::Nested(inner) => strong_name(inner, value, items),
        ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_) | ast::Expr::Function(_) => {
            output_name(tree, value, items)
        }
        ast::Expr::Cast { expr, .. } => strong_name(expr, value, items),
        _ => None,
    }
}

fn named_type(name: &TypeName) -> Option<String> {
    name.name.last().cloned()
}
