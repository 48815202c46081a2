//! Our tokens as sqlparser's, without the values of literals.

use super::{NotParsed, name};
use crate::sql::lexer::{Token, TokenKind};
use sqlparser::ast::DollarQuotedString;
use sqlparser::tokenizer::{Location, Span, Token as Out, TokenWithSpan, Word};

/// A token with its place among the statement's tokens as its span.
pub(super) fn placed(token: Out, place: usize) -> TokenWithSpan {
    let at = Location { line: place as u64 + 1, column: 1 };
    TokenWithSpan { token, span: Span { start: at, end: at } }
}

/// A word that means itself, whatever keyword it looks like.
pub(super) fn quoted(value: String) -> Out {
    Out::Word(Word { value, quote_style: Some('"'), keyword: sqlparser::keywords::Keyword::NoKeyword })
}

/// One token converted.
pub(super) fn convert(sql: &[u8], token: &Token) -> Result<Out, NotParsed> {
    let text = std::str::from_utf8(token.text(sql));
    let is_value = token.kind.is_string();
    let text = match text {
        Ok(text) => text,
        // The value of a string is left out anyway.
        Err(_) if is_value => "",
        Err(_) => return Err(NotParsed("a name that is not UTF-8 is not understood".to_owned())),
    };
    Ok(match token.kind {
        TokenKind::Word => Out::make_word(text, None),
        TokenKind::QuotedIdent => quoted(name(sql, token).unwrap_or_default()),
        TokenKind::String => Out::SingleQuotedString(String::new()),
        TokenKind::EscapeString => Out::EscapedStringLiteral(String::new()),
        TokenKind::UnicodeString => Out::UnicodeStringLiteral(String::new()),
        TokenKind::BitString => Out::SingleQuotedByteStringLiteral(String::new()),
        TokenKind::HexString => Out::HexStringLiteral(String::new()),
        TokenKind::DollarString => {
            Out::DollarQuotedString(DollarQuotedString { value: String::new(), tag: None })
        }
        // Digits beyond a bigint are a numeric, as in Postgres.
        TokenKind::Integer if text.parse::<i64>().is_ok() => Out::Number("1".to_owned(), false),
        TokenKind::Integer | TokenKind::Numeric => Out::Number("1.5".to_owned(), false),
        TokenKind::Param => Out::Placeholder(text.to_owned()),
        TokenKind::Operator => operator(text),
        TokenKind::TypeCast => Out::DoubleColon,
        TokenKind::ColonEquals => Out::Assignment,
        TokenKind::EqualsGreater => Out::RArrow,
        TokenKind::ParenOpen => Out::LParen,
        TokenKind::ParenClose => Out::RParen,
        TokenKind::BracketOpen => Out::LBracket,
        TokenKind::BracketClose => Out::RBracket,
        TokenKind::Comma => Out::Comma,
        TokenKind::Dot => Out::Period,
        TokenKind::Colon => Out::Colon,
        _ => return Err(NotParsed(format!("`{}` is not understood", text.escape_debug()))),
    })
}

/// The token that sqlparser's own tokenizer would give for an operator.
fn operator(text: &str) -> Out {
    match text {
        "=" => Out::Eq,
        "<>" | "!=" => Out::Neq,
        "<" => Out::Lt,
        ">" => Out::Gt,
        "<=" => Out::LtEq,
        ">=" => Out::GtEq,
        "+" => Out::Plus,
        "-" => Out::Minus,
        "*" => Out::Mul,
        "/" => Out::Div,
        "%" => Out::Mod,
        "^" => Out::Caret,
        "||" => Out::StringConcat,
        "|" => Out::Pipe,
        "&" => Out::Ampersand,
        "#" => Out::Sharp,
        "~" => Out::Tilde,
        "~*" => Out::TildeAsterisk,
        "!~" => Out::ExclamationMarkTilde,
        "!~*" => Out::ExclamationMarkTildeAsterisk,
        "~~" => Out::DoubleTilde,
        "~~*" => Out::DoubleTildeAsterisk,
        "!~~" => Out::ExclamationMarkDoubleTilde,
        "!~~*" => Out::ExclamationMarkDoubleTildeAsterisk,
        "<<" => Out::ShiftLeft,
        ">>" => Out::ShiftRight,
        "&&" => Out::Overlap,
        "->" => Out::Arrow,
        "->>" => Out::LongArrow,
        "#>" => Out::HashArrow,
        "#>>" => Out::HashLongArrow,
        "@>" => Out::AtArrow,
        "<@" => Out::ArrowAt,
        "#-" => Out::HashMinus,
        "@?" => Out::AtQuestion,
        "@@" => Out::AtAt,
        "?" => Out::Question,
        "?&" => Out::QuestionAnd,
        "?|" => Out::QuestionPipe,
        "^@" => Out::CaretAt,
        other => Out::CustomBinaryOperator(other.to_owned()),
    }
}
