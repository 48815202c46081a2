//! A file's text: places by byte offset, and secrets masked before a line is shown.

use super::{Diagnostic, Level, Place, did_you_mean};
use std::ops::Range;

/// Keys whose values are never shown.
const SECRET_KEYS: [&str; 6] =
    ["password", "server_password", "auth_password", "maintenance_password", "verifier", "secret"];

/// Longest piece of a line that is shown, in characters.
const LINE_SHOWN_MAX: usize = 110;

/// A file's name and text, from which findings with places are made.
///
/// The value of a key that names a secret, or comes near to naming one, is masked in every line shown.
#[derive(Clone, Debug)]
pub struct SourceText {
    name: String,
    text: String,
    secrets: Vec<Range<usize>>,
}

impl SourceText {
    /// Takes a file's text; `name` is what findings call the file.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        SourceText { name: name.into(), secrets: secret_ranges(&text), text }
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text, secrets included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// An error at a byte range of the text.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic { place: Some(self.place(span)), ..Diagnostic::of_file(self.name.clone(), message) }
    }

    /// A warning at a byte range of the text.
    pub fn warning(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic { level: Level::Warning, ..self.error(span, message) }
    }

    /// Whether a byte range touches a secret's value.
    pub fn is_secret(&self, span: &Range<usize>) -> bool {
        self.secrets.iter().any(|secret| secret.start < span.end && span.start < secret.end)
    }

    /// The place of a byte range; offsets out of the text or inside a character are moved back into it.
    pub fn place(&self, span: Range<usize>) -> Place {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end).max(start);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let number = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = self.text.get(line_start..start).unwrap_or_default().chars().count() + 1;
        let (text, mark_start, mark_width) = self.shown(line_start, line, start..end);
        Place {
            line: u32::try_from(number).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            text,
            mark_start,
            mark_width,
        }
    }

    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// The line as shown, and the mark's start and width in it.
    fn shown(&self, line_start: usize, line: &str, span: Range<usize>) -> (String, usize, usize) {
        let mut shown: Vec<char> = Vec::new();
        let (mut mark_start, mut mark_end) = (None, 0);
        let mut masked: Option<usize> = None;
        for (at, c) in line.char_indices() {
            let at = line_start + at;
            let secret = self.secrets.iter().position(|secret| secret.contains(&at));
            if secret.is_none() {
                shown.push(if c.is_control() { ' ' } else { c });
            } else if secret != masked {
                shown.extend(['*'; 3]);
            }
            masked = secret;
            if span.contains(&at) {
                mark_start.get_or_insert(shown.len().saturating_sub(1));
                mark_end = shown.len();
            }
        }
        let mark_start = mark_start.unwrap_or(match span.start - line_start {
            0 => 0,
            _ => shown.len(),
        });
        let mark_width = mark_end.saturating_sub(mark_start).max(1);
        cut(&shown, mark_start, mark_width)
    }
}

/// Cuts a long line around its mark.
fn cut(line: &[char], mark_start: usize, mark_width: usize) -> (String, usize, usize) {
    if line.len() <= LINE_SHOWN_MAX {
        return (line.iter().collect(), mark_start, mark_width);
    }
    let from = mark_start.saturating_sub(LINE_SHOWN_MAX / 2).min(line.len() - LINE_SHOWN_MAX);
    let text: String = line.iter().skip(from).take(LINE_SHOWN_MAX).collect();
    let lead = if from > 0 { "..." } else { "" };
    let tail = if from + LINE_SHOWN_MAX < line.len() { "..." } else { "" };
    let width = mark_width.min(LINE_SHOWN_MAX - (mark_start - from).min(LINE_SHOWN_MAX - 1));
    (format!("{lead}{text}{tail}"), mark_start - from + lead.len(), width)
}

/// Byte ranges of the values after `key =` for keys that name a secret, anywhere in the text.
///
/// Looks at words, not at parsed TOML, so that a file with broken syntax keeps its secrets too.
fn secret_ranges(text: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    for (equals, _) in text.match_indices('=') {
        if ranges.last().is_some_and(|last| equals < last.end) {
            continue;
        }
        let before = text.get(..equals).unwrap_or_default();
        let key = before.trim_end().trim_end_matches(['"', '\'']);
        let word_start = key
            .rfind(|c| !is_word(c))
            .map_or(0, |at| at + key.get(at..).and_then(|s| s.chars().next()).map_or(1, char::len_utf8));
        let word = key.get(word_start..).unwrap_or_default();
        if word.ends_with("password_file") || did_you_mean(word, SECRET_KEYS).is_none() {
            continue;
        }
        ranges.extend(value_range(text, equals + 1));
    }
    ranges
}

/// The inside of the value that starts at or after `from`: of a string its content, else up to its end.
fn value_range(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = text.get(from..)?;
    let start = from + (rest.len() - rest.trim_start_matches([' ', '\t']).len());
    let value = text.get(start..)?;
    for (quote, one_line) in [("\"\"\"", false), ("'''", false), ("\"", true), ("'", true)] {
        if let Some(inside) = value.strip_prefix(quote) {
            let end = string_end(inside, quote, one_line);
            return Some(start + quote.len()..start + quote.len() + end);
        }
    }
    let end = value.find(['\n', '#']).unwrap_or(value.len());
    Some(start..start + value.get(..end)?.trim_end().len())
}

fn string_end(inside: &str, quote: &str, one_line: bool) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        if one_line && c == '\n' {
            return at;
        }
        if !escaped && inside.get(at..).is_some_and(|rest| rest.starts_with(quote)) {
            return at;
        }
        escaped = c == '\\' && !escaped && quote.starts_with('"');
    }
    inside.len()
}

#[cfg(test)]
mod tests {
    use super::SourceText;

    fn find(source: &SourceText, what: &str) -> std::ops::Range<usize> {
        let at = source.text().find(what).unwrap();
        at..at + what.len()
    }

    #[test]
    fn finding_shows_line_column_and_caret() {
        let source = SourceText::new("f.toml", "a = 1\n  bäd = 22 # no\n");
        let shown = source.error(find(&source, "22"), "wrong number").allowed("1").to_string();
        let expected =
            "error: wrong number\n --> f.toml:2:9\n  |\n2 |   bäd = 22 # no\n  |         ^^\n  = allowed: 1";
        assert_eq!(shown, expected);
    }

    #[test]
    fn mark_at_the_end_of_text_and_beyond_stays_in_it() {
        let source = SourceText::new("f", "ab\ncd");
        let place = source.place(5..99);
        assert_eq!((place.line, place.column, place.mark_start, place.mark_width), (2, 3, 2, 1));
        let place = SourceText::new("f", "").place(7..9);
        assert_eq!((place.line, place.column, place.mark_width), (1, 1, 1));
        let place = SourceText::new("f", "é").place(1..1);
        assert_eq!((place.line, place.column), (1, 1));
    }

    #[test]
    fn secrets_are_masked_also_near_misses_and_broken_strings() {
        for text in [
            "password = \"hush\" # c",
            "pasword = \"hush\"",
            "x = { name = \"a\", server_password = 'hush', k = 1 }",
            "\"password\" = \"hush",
            "verifier = hush",
            "password = \"\"\"\nhush\n\"\"\"",
            "password = \"a\\\"hush\" ",
            "# password=\"hush\"",
        ] {
            let source = SourceText::new("f", text);
            let at = find(&source, "hush");
            assert!(source.is_secret(&at), "{text}");
            let shown = source.error(at, "m").to_string();
            assert!(!shown.contains("hush") && shown.contains("***"), "{shown}");
        }
        let shown = SourceText::new("f", "name = \"hush\"").error(0..4, "m").to_string();
        assert!(shown.contains("hush"));
    }

    #[test]
    fn mark_after_a_masked_value_keeps_its_place() {
        let source = SourceText::new("f", "u = { password = \"long secret text\", nam = 1 }");
        let place = source.place(find(&source, "nam"));
        let marked: String = place.text.chars().skip(place.mark_start).take(place.mark_width).collect();
        assert_eq!(marked, "nam");
    }

    #[test]
    fn long_lines_are_cut_around_the_mark() {
        let source = SourceText::new("f", format!("k = \"{}X{}\"", "a".repeat(300), "b".repeat(300)));
        let place = source.place(find(&source, "X"));
        assert!(place.text.len() < 120);
        let marked: String = place.text.chars().skip(place.mark_start).take(place.mark_width).collect();
        assert_eq!(marked, "X");
    }
}
