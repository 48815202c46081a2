//! Calls of functions and aggregates.

use super::{Builder, Read, ident, not_understood};
use crate::sql::parse::{self, ast};
use crate::sql::query::Expr;
use crate::sql::query::expression::{Call, Over, Place, SubqueryKind};
use crate::sql::query::names::object_name;
use crate::sql::query::scope::Scope;
use ast::{
    DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, WindowType,
};

/// A call of a function with nothing but arguments.
pub(super) fn plain(name: Vec<String>, arguments: Vec<Expr>, has_named: bool) -> Expr {
    Expr::Call(Box::new(Call {
        name,
        place: Place(None),
        arguments,
        is_star: false,
        is_distinct: false,
        has_named,
        order_by: Vec::new(),
        within_group: Vec::new(),
        filter: None,
        over: None,
    }))
}

impl Builder<'_> {
    /// Reads a call, and what looks like one.
    pub(super) fn call(&mut self, function: &ast::Function, scope: &Scope<'_>) -> Read<Expr> {
        let is_plain = !function.uses_odbc_syntax
            && matches!(function.parameters, FunctionArguments::None)
            && function.null_treatment.is_none();
        if !is_plain {
            return not_understood("a call of this kind");
        }
        let name = object_name(&function.name)?;
        let list = match &function.args {
            FunctionArguments::None => {
                return Ok(Expr::Beyond("a value of the session or the clock", Vec::new()));
            }
            FunctionArguments::Subquery(query) => {
                return match &name[..] {
                    [only] if only == "array" => self.subquery(SubqueryKind::Array, query, scope),
                    _ => not_understood("a call with a query as its argument"),
                };
            }
            FunctionArguments::List(list) => list,
        };
        let is_star = matches!(&list.args[..], [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        let (arguments, has_named) =
            if is_star { (Vec::new(), false) } else { self.arguments(&list.args, scope)? };
        let is_bare = function.within_group.is_empty()
            && function.filter.is_none()
            && function.over.is_none()
            && list.clauses.is_empty()
            && list.duplicate_treatment.is_none();
        if let ([only], true) = (&name[..], is_bare)
            && let Some(node) = special(only)
        {
            return Ok(node(arguments));
        }
        let mut order_by = Vec::new();
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(entries) => order_by = self.sort_exprs(entries, scope)?,
                _ => return not_understood("a clause of a call"),
            }
        }
        let over = match &function.over {
            None => None,
            Some(WindowType::NamedWindow(base)) => Some(Over { base: Some(ident(base)), ..Over::default() }),
            Some(WindowType::WindowSpec(spec)) => Some(self.window(spec, scope)?),
        };
        let first = function.name.0.first();
        let place = first.and_then(|part| match part {
            ast::ObjectNamePart::Identifier(ident) if self.text.lifted.is_some() => parse::place(ident.span),
            _ => None,
        });
        Ok(Expr::Call(Box::new(Call {
            name,
            place: Place(place),
            arguments,
            is_star,
            is_distinct: matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)),
            has_named,
            order_by,
            within_group: self.sort_exprs(&function.within_group, scope)?,
            filter: function.filter.as_ref().map(|filter| self.expr(filter, scope)).transpose()?,
            over,
        })))
    }

    /// Arguments, and whether one is given by name.
    pub(super) fn arguments(
        &mut self,
        arguments: &[FunctionArg],
        scope: &Scope<'_>,
    ) -> Read<(Vec<Expr>, bool)> {
        let mut read = Vec::new();
        let mut has_named = false;
        for argument in arguments {
            let value = match argument {
                FunctionArg::Unnamed(value) => value,
                FunctionArg::Named { arg, .. } => {
                    has_named = true;
                    arg
                }
                FunctionArg::ExprNamed { .. } => return not_understood("an argument of this kind"),
            };
            match value {
                FunctionArgExpr::Expr(expr) => read.push(self.expr(expr, scope)?),
                _ => return not_understood("an argument of this kind"),
            }
        }
        Ok((read, has_named))
    }
}

/// What looks like a call and is none, by its name.
fn special(name: &str) -> Option<fn(Vec<Expr>) -> Expr> {
    match name {
        "coalesce" => Some(|operands| Expr::Plain("coalesce", operands)),
        "greatest" => Some(|operands| Expr::Plain("greatest", operands)),
        "least" => Some(|operands| Expr::Plain("least", operands)),
        "nullif" => Some(|operands| Expr::Plain("nullif", operands)),
        "row" => Some(Expr::Row),
        "grouping" => Some(|operands| Expr::Beyond("GROUPING()", operands)),
        "current_timestamp" | "current_time" | "localtime" | "localtimestamp" => {
            Some(|operands| Expr::Beyond("a value of the session or the clock", operands))
        }
        _ => None,
    }
}
