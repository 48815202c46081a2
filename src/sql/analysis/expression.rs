//! Expressions: every kind of node by name.

use super::{Walk, Walked, condition, not_understood, object_name};
use crate::sql::parse::{self, ast};
use ast::{
    AccessExpr, BinaryOperator, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, OrderByExpr, Subscript, UnaryOperator, WindowFrameBound, WindowSpec, WindowType,
};

impl Walk {
    pub(super) fn expressions<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        level: usize,
    ) -> Walked {
        exprs.into_iter().try_for_each(|expr| self.expression(expr, level))
    }

    /// Walks an expression; chains of binary operators, which lean to the left, in a loop.
    pub(super) fn expression(&mut self, expr: &Expr, level: usize) -> Walked {
        let mut at = expr;
        while let Expr::BinaryOp { left, op, right } = at {
            self.binary_operator(op, level);
            self.expression(right, level)?;
            at = left;
        }
        self.node(at, level)
    }

    fn node(&mut self, expr: &Expr, level: usize) -> Walked {
        match expr {
            Expr::BinaryOp { .. } => self.expression(expr, level),
            Expr::Identifier(ident) => {
                if condition::is_value_word(ident) {
                    self.beyond(level, "a value of the session or the clock");
                } else {
                    self.column(vec![parse::ident_name(ident)], level);
                }
                Ok(())
            }
            Expr::CompoundIdentifier(parts) => {
                self.column(parts.iter().map(parse::ident_name).collect(), level);
                Ok(())
            }
            Expr::Value(_) => Ok(()),
            Expr::TypedString(typed) => self.data_type(&typed.data_type, level),
            Expr::Interval(interval) => self.expression(&interval.value, level),
            Expr::IsFalse(e)
            | Expr::IsNotFalse(e)
            | Expr::IsTrue(e)
            | Expr::IsNotTrue(e)
            | Expr::IsNull(e)
            | Expr::IsNotNull(e)
            | Expr::IsUnknown(e)
            | Expr::IsNotUnknown(e)
            | Expr::Nested(e)
            | Expr::Extract { expr: e, .. }
            | Expr::Ceil { expr: e, .. }
            | Expr::Floor { expr: e, .. } => self.expression(e, level),
            Expr::IsDistinctFrom(a, b) | Expr::IsNotDistinctFrom(a, b) => {
                self.expressions([&**a, &**b], level)
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                self.expressions([&**timestamp, &**time_zone], level)
            }
            Expr::Position { expr, r#in } => self.expressions([&**expr, &**r#in], level),
            Expr::InList { expr, list, .. } => {
                self.expression(expr, level)?;
                self.expressions(list, level)
            }
            Expr::Between { expr, low, high, .. } => self.expressions([&**expr, &**low, &**high], level),
            Expr::Like { any: false, expr, pattern, escape_char, .. }
            | Expr::ILike { any: false, expr, pattern, escape_char, .. }
            | Expr::SimilarTo { expr, pattern, escape_char, .. } => {
                self.expressions([&**expr, &**pattern], level)?;
                self.expressions(escape_char.as_deref(), level)
            }
            Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right } => {
                self.binary_operator(compare_op, level);
                self.expressions([&**left, &**right], level)
            }
            Expr::UnaryOp { op, expr } => {
                self.unary_operator(op, level);
                self.expression(expr, level)
            }
            Expr::Cast {
                kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
                expr,
                data_type,
                format,
            } => {
                if format.is_some() {
                    return not_understood("CAST with FORMAT");
                }
                self.data_type(data_type, level)?;
                self.expression(expr, level)
            }
            Expr::Collate { expr, .. } => {
                self.beyond(level, "COLLATE");
                self.expression(expr, level)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.expressions(operand.as_deref().into_iter().chain(else_result.as_deref()), level)?;
                conditions
                    .iter()
                    .try_for_each(|when| self.expressions([&when.condition, &when.result], level))
            }
            Expr::Tuple(exprs) => self.expressions(exprs, level),
            Expr::Array(array) => self.expressions(&array.elem, level),
            Expr::Function(function) => self.function(function, level),
            _ => self.rare(expr, level),
        }
    }

    /// Nodes that are seldom seen, and subqueries.
    fn rare(&mut self, expr: &Expr, level: usize) -> Walked {
        match expr {
            Expr::Subquery(query) | Expr::Exists { subquery: query, .. } => self.subquery(query, level),
            Expr::InSubquery { expr, subquery, .. } => {
                self.expression(expr, level)?;
                self.subquery(subquery, level)
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                self.expression(expr, level)?;
                self.expressions(substring_from.as_deref().into_iter().chain(substring_for.as_deref()), level)
            }
            Expr::Trim { trim_what, expr, trim_characters, .. } => {
                self.expression(expr, level)?;
                self.expressions(trim_what.as_deref(), level)?;
                self.expressions(trim_characters.iter().flatten(), level)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.expressions([&**expr, &**overlay_what, &**overlay_from], level)?;
                self.expressions(overlay_for.as_deref(), level)
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.expression(root, level)?;
                access_chain.iter().try_for_each(|access| self.access(access, level))
            }
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                self.expressions(sets.iter().flatten(), level)
            }
            _ => not_understood("an expression of this kind"),
        }
    }

    fn access(&mut self, access: &AccessExpr, level: usize) -> Walked {
        match access {
            AccessExpr::Dot(Expr::Identifier(ident)) => {
                // (row).name may call the function `name`.
                self.call(vec![parse::ident_name(ident)], level);
                self.beyond(level, "a field of a row");
                Ok(())
            }
            AccessExpr::Dot(_) => not_understood("a field of this kind"),
            AccessExpr::Subscript(Subscript::Index { index }) => self.expression(index, level),
            AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                self.expressions(lower_bound.iter().chain(upper_bound), level)
            }
            AccessExpr::Subscript(_) => not_understood("a subscript of this kind"),
        }
    }

    fn subquery(&mut self, query: &ast::Query, level: usize) -> Walked {
        self.beyond(level, "a subquery");
        self.query(query, Some(level))?;
        Ok(())
    }

    fn function(&mut self, function: &ast::Function, level: usize) -> Walked {
        if function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None) {
            return not_understood("a call of this kind");
        }
        let name = object_name(&function.name)?;
        match &function.args {
            FunctionArguments::None => {
                self.beyond(level, "a value of the session or the clock");
                self.call(name, level);
            }
            FunctionArguments::Subquery(query) => {
                self.call(name, level);
                self.subquery(query, level)?;
            }
            FunctionArguments::List(list) => {
                self.call(name, level);
                self.function_args(&list.args, level)?;
                for clause in &list.clauses {
                    match clause {
                        FunctionArgumentClause::OrderBy(exprs) => self.order_by(exprs, level)?,
                        _ => return not_understood("a clause of a call"),
                    }
                }
            }
        }
        self.order_by(&function.within_group, level)?;
        if let Some(filter) = &function.filter {
            self.beyond(level, "FILTER");
            self.expression(filter, level)?;
        }
        match &function.over {
            None => {}
            Some(WindowType::NamedWindow(_)) => self.beyond(level, "a window function"),
            Some(WindowType::WindowSpec(spec)) => {
                self.beyond(level, "a window function");
                self.window(spec, level)?;
            }
        }
        Ok(())
    }

    pub(super) fn function_args(&mut self, args: &[FunctionArg], level: usize) -> Walked {
        for arg in args {
            let arg = match arg {
                FunctionArg::Unnamed(arg) | FunctionArg::Named { arg, .. } => arg,
                FunctionArg::ExprNamed { .. } => return not_understood("an argument of this kind"),
            };
            match arg {
                FunctionArgExpr::Expr(expr) => self.expression(expr, level)?,
                FunctionArgExpr::Wildcard => {}
                FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::WildcardWithOptions(_) => {
                    return not_understood("an argument of this kind");
                }
            }
        }
        Ok(())
    }

    pub(super) fn order_by(&mut self, exprs: &[OrderByExpr], level: usize) -> Walked {
        for item in exprs {
            if item.with_fill.is_some() {
                return not_understood("WITH FILL");
            }
            self.expression(&item.expr, level)?;
        }
        Ok(())
    }

    pub(super) fn window(&mut self, spec: &WindowSpec, level: usize) -> Walked {
        self.expressions(&spec.partition_by, level)?;
        self.order_by(&spec.order_by, level)?;
        let Some(frame) = &spec.window_frame else { return Ok(()) };
        for bound in [Some(&frame.start_bound), frame.end_bound.as_ref()].into_iter().flatten() {
            match bound {
                WindowFrameBound::CurrentRow => {}
                WindowFrameBound::Preceding(expr) | WindowFrameBound::Following(expr) => {
                    self.expressions(expr.as_deref(), level)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn call(&mut self, name: Vec<String>, level: usize) {
        self.calls.push(name.clone());
        self.at(level, |level| level.calls.push(name));
    }

    fn column(&mut self, name: Vec<String>, level: usize) {
        self.at(level, |level| level.columns.push(name));
    }

    fn beyond(&mut self, level: usize, what: &'static str) {
        self.at(level, |level| level.beyond_row.push(what));
    }

    /// Notes an operator; those of the standard set on built-in types are functions of their operands.
    fn binary_operator(&mut self, op: &BinaryOperator, level: usize) {
        let text = op.to_string();
        match op {
            BinaryOperator::And
            | BinaryOperator::Or
            | BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
            | BinaryOperator::StringConcat
            | BinaryOperator::Gt
            | BinaryOperator::Lt
            | BinaryOperator::GtEq
            | BinaryOperator::LtEq
            | BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::BitwiseOr
            | BinaryOperator::BitwiseAnd
            | BinaryOperator::PGBitwiseXor
            | BinaryOperator::PGBitwiseShiftLeft
            | BinaryOperator::PGBitwiseShiftRight
            | BinaryOperator::PGExp
            | BinaryOperator::PGOverlap
            | BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch
            | BinaryOperator::PGLikeMatch
            | BinaryOperator::PGILikeMatch
            | BinaryOperator::PGNotLikeMatch
            | BinaryOperator::PGNotILikeMatch
            | BinaryOperator::PGStartsWith
            | BinaryOperator::Arrow
            | BinaryOperator::LongArrow
            | BinaryOperator::HashArrow
            | BinaryOperator::HashLongArrow
            | BinaryOperator::AtArrow
            | BinaryOperator::ArrowAt => {}
            _ => self.beyond(level, "an operator of this kind"),
        }
        self.operators.push(text);
    }

    fn unary_operator(&mut self, op: &UnaryOperator, level: usize) {
        match op {
            UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not | UnaryOperator::BitwiseNot => {}
            _ => self.beyond(level, "an operator of this kind"),
        }
        self.operators.push(op.to_string());
    }

    fn data_type(&mut self, data_type: &DataType, level: usize) -> Walked {
        let is_plain = matches!(
            data_type,
            DataType::Int(_)
                | DataType::Integer(_)
                | DataType::BigInt(_)
                | DataType::SmallInt(_)
                | DataType::Int2(_)
                | DataType::Int4(_)
                | DataType::Int8(_)
                | DataType::Numeric(_)
                | DataType::Decimal(_)
                | DataType::Float4
                | DataType::Float8
                | DataType::Real
                | DataType::DoublePrecision
                | DataType::Bool
                | DataType::Boolean
                | DataType::Text
                | DataType::Varchar(_)
                | DataType::CharacterVarying(_)
                | DataType::Date
                | DataType::Time(..)
                | DataType::Timestamp(..)
                | DataType::Interval { .. }
                | DataType::Uuid
                | DataType::JSON
                | DataType::JSONB
                | DataType::Bytea
        );
        if !is_plain {
            self.beyond(level, "a cast to a type of this kind");
        }
        Ok(())
    }
}
