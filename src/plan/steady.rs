//! Whether an expression gives the same value for the same row on every shard, and however often it is
//! evaluated.

use super::bind::names_a_moment;
use super::builtin;
use super::schema::Schema;
use super::types::builtin_name;
use crate::catalog::{Function, FunctionKind, TypeKind, Volatility};
use crate::fault::Fault;
use crate::rules::FunctionTouches;
use crate::sql::query::{Call, Expr, Literal, LiteralValue, TypeName, type_oid};

/// Why the expression is not steady, by the first node that is not; subqueries are not looked into.
pub(super) fn unsteady(expr: &Expr, schema: &Schema) -> Option<String> {
    let own = match expr {
        Expr::System(_, name) => Some(format!("the system column {name} differs from shard to shard")),
        Expr::WholeRow(_) => {
            Some("a whole row is a value of a type that differs from shard to shard".to_owned())
        }
        Expr::Wrong(error) => Some(error.message.clone().into_owned()),
        Expr::Unknown(_, name) => {
            Some(format!("\"{name}\" is a column of what has columns that are not known"))
        }
        Expr::Literal(literal) => moment(literal),
        Expr::Cast(_, to) => cast(to, schema),
        Expr::Operator(name, _) => operator(name, schema),
        Expr::Beyond(what, _) => Some(format!("{what} is not evaluated on several shards")),
        Expr::Default => Some("DEFAULT is no value".to_owned()),
        Expr::Call(_) if Fault::VolatileByShard.is_planted() => None,
        Expr::Call(call) => self::call(call, schema),
        _ => None,
    };
    if own.is_some() {
        return own;
    }
    let mut found = None;
    expr.for_each_child(&mut |child| {
        if found.is_none() {
            found = unsteady(child, schema);
        }
    });
    found
}

/// A text that is a time which each shard would read from its own clock.
fn moment(literal: &Literal) -> Option<String> {
    match &literal.value {
        LiteralValue::Text(text) if text.contains(&b'\'') && names_a_moment(text) => {
            Some("a text with the word now, today, tomorrow or yesterday may be a time".to_owned())
        }
        LiteralValue::Text(_) | LiteralValue::Lifted(_) => None,
    }
}

fn cast(to: &TypeName, schema: &Schema) -> Option<String> {
    let name = to.name.join(".");
    if type_oid(to).is_some() {
        // Names of objects become OIDs, which differ from shard to shard.
        let is_name = to.name.last().is_some_and(|bare| bare.starts_with("reg"));
        return is_name
            .then(|| format!("a value of type {name} is an OID, which differs from shard to shard"));
    }
    let catalog = schema.catalog();
    let mut meant = catalog.types().filter(|one| match &to.name[..] {
        [bare] => one.name == *bare,
        [in_schema, bare] => one.name == *bare && one.schema == *in_schema,
        _ => false,
    });
    let is_plain = |one: &crate::catalog::Type| {
        one.calls.iter().all(|function| schema.is_declared_pure(function))
            && matches!(
                one.kind,
                TypeKind::Enum(_) | TypeKind::Domain { .. } | TypeKind::Base | TypeKind::Range(_)
            )
    };
    match meant.next() {
        Some(first) if is_plain(first) && meant.all(is_plain) => None,
        _ => Some(format!("a cast to type {name} is not known to be the same on every shard")),
    }
}

fn operator(name: &str, schema: &Schema) -> Option<String> {
    let catalog = schema.catalog();
    let is_builtin = crate::catalog::builtin::operators(name).next().is_some();
    let is_known = is_builtin || (catalog.is_user_operator(name) && !catalog.is_impure_operator(name));
    (!is_known).then(|| format!("the operator {name} is not known to be the same on every shard"))
}

fn call(call: &Call, schema: &Schema) -> Option<String> {
    let shown = call.name.join(".");
    let refusal = || Some(format!("{shown}() is not known to give the same for a row on every shard"));
    let users = user_functions(&call.name, schema);
    let declared = schema.function_rule(&call.name).map(|rule| &rule.touches);
    if matches!(declared, Some(FunctionTouches::Home | FunctionTouches::ByKey { .. })) {
        // `locate` looks where it runs.
        return None;
    }
    let is_hazard = |function: &&Function| !function.is_pure || function.volatility != Volatility::Immutable;
    if declared != Some(&FunctionTouches::Pure) && users.iter().any(is_hazard) {
        return refusal();
    }
    let own = builtin_name(&call.name).map_or_else(Vec::new, |bare| builtin::candidates(bare, call));
    if own.is_empty() && users.is_empty() {
        return refusal();
    }
    let is_steady =
        |function| builtin_name(&call.name).is_some_and(|bare| builtin::is_per_row(bare, function));
    if own.iter().all(is_steady) { None } else { refusal() }
}

/// The user functions that a call by this name may mean.
pub(super) fn user_functions<'s>(name: &[String], schema: &'s Schema) -> Vec<&'s Function> {
    let (bare, of_schema) = match name {
        [bare] => (bare, None),
        [.., of_schema, bare] => (bare, Some(of_schema)),
        [] => return Vec::new(),
    };
    if of_schema.is_some_and(|of_schema| of_schema == "pg_catalog") {
        return Vec::new();
    }
    let all = schema.catalog().functions_named(bare).iter();
    all.filter(|function| of_schema.is_none_or(|of_schema| function.schema == *of_schema)).collect()
}

/// Whether a call is of an aggregate, not as a window function.
pub(super) fn is_aggregate(call: &Call, schema: &Schema) -> bool {
    call.over.is_none()
        && (builtin_name(&call.name).is_some_and(builtin::is_aggregate)
            || user_functions(&call.name, schema).iter().any(|f| f.kind == FunctionKind::Aggregate))
}

/// Whether an aggregate's result may depend on the order in which it meets its rows.
pub(super) fn depends_on_order(call: &Call, schema: &Schema) -> bool {
    let is_listed = builtin_name(&call.name).is_some_and(builtin::depends_on_order);
    let is_users = !user_functions(&call.name, schema).is_empty();
    (is_listed && call.order_by.is_empty()) || (is_users && is_aggregate(call, schema))
}

/// Whether a call gives a set of rows.
pub(super) fn returns_set(call: &Call, schema: &Schema) -> bool {
    let own = builtin_name(&call.name).map_or_else(Vec::new, |bare| builtin::candidates(bare, call));
    own.iter().any(|function| function.returns_set)
        || user_functions(&call.name, schema).iter().any(|function| function.returns_set)
}
