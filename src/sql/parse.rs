//! The one place that knows sqlparser.
//!
//! Our own lexer, which finds Postgres's token boundaries, feeds sqlparser's grammar; sqlparser's tokenizer
//! is never used. Values of literals are left out of the tokens, so nothing that is read from the tree
//! can depend on them; a token's span carries its byte offset in the text. What sqlparser is known to
//! read differently from Postgres is declined here, before it can.
//!
//! Must not: print a tree back to SQL.

pub(crate) use sqlparser::ast;

use super::lexer::{Lexer, Token, TokenKind};
use sqlparser::ast::DollarQuotedString;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token as Out, TokenWithSpan, Word};

/// Longest text that is parsed, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most tokens that are parsed.
const TOKENS_MAX: usize = 50_000;
/// Most operators: each may deepen the tree by one, and trees are walked and dropped recursively.
const OPERATORS_MAX: usize = 1_000;
/// Longest identifier in bytes; Postgres cuts longer ones.
const NAME_BYTES_MAX: usize = 63;

/// Why a text was not parsed, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotParsed(pub String);

/// Parses one statement, which may end in a semicolon.
///
/// # Errors
/// [`NotParsed`] for what is too large or too deep, for what sqlparser is known to misread, and for what
/// it does not parse.
pub fn parse(sql: &[u8], standard_conforming_strings: bool) -> Result<ast::Statement, NotParsed> {
    parse_from(sql, 0, standard_conforming_strings)
}

/// Parses the statement that starts at byte `from`; offsets stay those of the whole text.
pub(crate) fn parse_from(sql: &[u8], from: usize, scs: bool) -> Result<ast::Statement, NotParsed> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(NotParsed(format!("the statement is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let mut tokens: Vec<Token> = Vec::new();
    let mut lexer = Lexer::starting_at(sql, from, scs);
    while let Some(token) = lexer.next_significant() {
        tokens.push(token);
        if tokens.len() > TOKENS_MAX {
            return Err(NotParsed(format!("the statement has more than {TOKENS_MAX} tokens")));
        }
    }
    while tokens.last().is_some_and(|token| token.kind == TokenKind::Semicolon) {
        tokens.pop();
    }
    check_size(sql, &tokens)?;
    check_misread(sql, &tokens)?;
    let converted: Vec<TokenWithSpan> =
        tokens.iter().map(|token| convert(sql, token)).collect::<Result<_, _>>()?;
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(converted);
    let statement = parser.parse_statement().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => NotParsed("the statement is nested too deeply".to_owned()),
        ParserError::ParserError(_) | ParserError::TokenizerError(_) => {
            NotParsed("the statement's syntax is not understood".to_owned())
        }
    })?;
    match parser.peek_token_ref().token {
        Out::EOF => Ok(statement),
        _ => Err(NotParsed("the end of the statement is not understood".to_owned())),
    }
}

/// The byte offset of a node's first token.
pub(crate) fn offset(span: Span) -> Option<usize> {
    usize::try_from(span.start.line).ok()?.checked_sub(1)
}

/// The name that an identifier token stands for, as Postgres stores it; `None` where the token is no
/// identifier, or one that cannot be read here.
pub fn name(sql: &[u8], token: &Token) -> Option<String> {
    let text = std::str::from_utf8(token.text(sql)).ok()?;
    match token.kind {
        TokenKind::Word => Some(cut(text.to_ascii_lowercase())),
        TokenKind::QuotedIdent => {
            let inner = text.strip_prefix('"')?.strip_suffix('"')?;
            Some(cut(inner.replace("\"\"", "\"")))
        }
        _ => None,
    }
}

/// The name of an identifier in the tree.
pub(crate) fn ident_name(ident: &ast::Ident) -> String {
    match ident.quote_style {
        None => cut(ident.value.to_ascii_lowercase()),
        Some(_) => cut(ident.value.clone()),
    }
}

fn cut(mut name: String) -> String {
    if name.len() > NAME_BYTES_MAX {
        let mut end = NAME_BYTES_MAX;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    name
}

fn check_size(sql: &[u8], tokens: &[Token]) -> Result<(), NotParsed> {
    const DEEPENING: [&[u8]; 17] = [
        b"and",
        b"or",
        b"union",
        b"intersect",
        b"except",
        b"is",
        b"isnull",
        b"notnull",
        b"collate",
        b"at",
        b"like",
        b"ilike",
        b"similar",
        b"between",
        b"in",
        b"not",
        b"case",
    ];
    let deepens = |token: &&Token| match token.kind {
        TokenKind::Operator => token.text(sql) != b"*",
        TokenKind::TypeCast | TokenKind::BracketOpen => true,
        TokenKind::Word => DEEPENING.iter().any(|word| token.is_word(sql, word)),
        _ => false,
    };
    if tokens.iter().filter(deepens).count() > OPERATORS_MAX {
        return Err(NotParsed(format!("the statement has more than {OPERATORS_MAX} operators")));
    }
    Ok(())
}

/// Words that a plain string may follow without making it a typed constant `type 'text'`.
const BEFORE_STRING: [&[u8]; 44] = [
    b"select",
    b"distinct",
    b"all",
    b"where",
    b"and",
    b"or",
    b"not",
    b"like",
    b"ilike",
    b"to",
    b"escape",
    b"between",
    b"symmetric",
    b"asymmetric",
    b"when",
    b"then",
    b"else",
    b"case",
    b"from",
    b"by",
    b"limit",
    b"offset",
    b"returning",
    b"on",
    b"having",
    b"zone",
    b"for",
    b"in",
    b"leading",
    b"trailing",
    b"both",
    b"similar",
    b"any",
    b"some",
    b"placing",
    b"is",
    b"set",
    b"default",
    b"as",
    b"format",
    b"with",
    b"explain",
    b"filter",
    b"using",
];

/// Types whose constants `type 'text'` sqlparser reads as such.
const STRING_TYPES: [&[u8]; 26] = [
    b"int",
    b"int2",
    b"int4",
    b"int8",
    b"integer",
    b"bigint",
    b"smallint",
    b"date",
    b"timestamp",
    b"timestamptz",
    b"time",
    b"interval",
    b"uuid",
    b"numeric",
    b"decimal",
    b"text",
    b"varchar",
    b"bool",
    b"boolean",
    b"json",
    b"jsonb",
    b"bytea",
    b"float4",
    b"float8",
    b"real",
    b"precision",
];

/// Declines what sqlparser parses into another tree than Postgres does.
fn check_misread(sql: &[u8], tokens: &[Token]) -> Result<(), NotParsed> {
    let decline = |what: &str| Err(NotParsed(format!("{what} is not understood yet")));
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| tokens.get(i));
        let next = tokens.get(index + 1);
        match token.kind {
            // FETCH FIRST n ROWS ONLY is no table's ONLY.
            TokenKind::Word
                if token.is_word(sql, b"only")
                    && !before.is_some_and(|b| b.is_word(sql, b"row") || b.is_word(sql, b"rows")) =>
            {
                return decline("ONLY");
            }
            TokenKind::Word if token.is_word(sql, b"operator") => return decline("OPERATOR()"),
            TokenKind::Word if token.is_word(sql, b"uescape") => return decline("UESCAPE"),
            TokenKind::UnicodeIdent => return decline("U&\"...\""),
            TokenKind::Operator if token.text(sql) == b"*" => {
                // `table *` asks for inheritance children.
                let is_name = |t: &Token| matches!(t.kind, TokenKind::QuotedIdent);
                if before.is_some_and(is_name) && next.is_none() {
                    return decline("table *");
                }
            }
            TokenKind::String
            | TokenKind::EscapeString
            | TokenKind::UnicodeString
            | TokenKind::DollarString
            | TokenKind::BitString
            | TokenKind::HexString => {
                let is_known = before.is_none_or(|b| match b.kind {
                    TokenKind::Word => BEFORE_STRING.iter().chain(&STRING_TYPES).any(|w| b.is_word(sql, w)),
                    TokenKind::ParenClose
                    | TokenKind::BracketClose
                    | TokenKind::QuotedIdent
                    | TokenKind::Integer
                    | TokenKind::Numeric
                    | TokenKind::Param => false,
                    kind => !kind.is_string(),
                });
                if !is_known {
                    return decline("a typed constant of this kind");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn convert(sql: &[u8], token: &Token) -> Result<TokenWithSpan, NotParsed> {
    let text = std::str::from_utf8(token.text(sql));
    let is_value = token.kind.is_string();
    let text = match text {
        Ok(text) => text,
        // The value of a string is left out anyway.
        Err(_) if is_value => "",
        Err(_) => return Err(NotParsed("a name that is not UTF-8 is not understood".to_owned())),
    };
    let token_out = match token.kind {
        TokenKind::Word => Out::make_word(text, None),
        TokenKind::QuotedIdent => Out::Word(Word {
            value: name(sql, token).unwrap_or_default(),
            quote_style: Some('"'),
            keyword: sqlparser::keywords::Keyword::NoKeyword,
        }),
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
    };
    let at = |offset: usize| Location { line: offset as u64 + 1, column: 1 };
    Ok(TokenWithSpan { token: token_out, span: Span { start: at(token.start), end: at(token.end) } })
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
