//! Errors in files that people write: place, line with a caret, what was found, what is allowed.
//!
//! Used by the configuration and the sharding rules. It knows text and TOML only; it reads no file, and
//! it never shows the value of a key that names a secret (see [`SourceText`]).

mod document;
mod one_or_more;
mod source;
mod suggest;

pub use document::{At, Document, read_toml};
pub use one_or_more::OneOrMore;
pub use source::SourceText;
pub use suggest::did_you_mean;

use std::fmt;

/// Whether a finding forbids the file's use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The file is refused.
    Error,
    /// The file is used; its author should look.
    Warning,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Error => "error",
            Level::Warning => "warning",
        })
    }
}

/// Where in a file a finding is, with what is needed to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The line's text with secrets masked, cut around the mark when long.
    pub text: String,
    /// Characters of `text` before the mark.
    pub mark_start: usize,
    /// Characters marked, at least 1.
    pub mark_width: usize,
}

/// One finding about a file. `Display` renders it over several lines, without a trailing newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// The file's name as the user gave it.
    pub file: String,
    /// Where; `None` when it is about the file as a whole.
    pub place: Option<Place>,
    /// What was found, lower case, no full stop.
    pub message: String,
    /// What is allowed there.
    pub allowed: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error about a file as a whole (it does not exist, it cannot be read).
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Diagnostic {
            level: Level::Error,
            file: file.into(),
            place: None,
            message: message.into(),
            allowed: None,
            hint: None,
        }
    }

    /// Adds what is allowed there.
    #[must_use]
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "did you mean" when one of `candidates` is close to `found`.
    #[must_use]
    pub fn suggest<'a>(self, found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match did_you_mean(found, candidates) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// Whether it forbids the file's use.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }

    /// The finding on one line: `file:line:column: error: message (allowed: ...; hint)`.
    pub fn one_line(&self) -> String {
        let place = match &self.place {
            Some(place) => format!("{}:{}:{}", self.file, place.line, place.column),
            None => self.file.clone(),
        };
        let more: Vec<String> =
            self.allowed.iter().map(|a| format!("allowed: {a}")).chain(self.hint.clone()).collect();
        let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join("; ")) };
        format!("{place}: {}: {}{more}", self.level, self.message)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.level, self.message)?;
        let number = self.place.as_ref().map(|place| place.line.to_string()).unwrap_or_default();
        let gutter = " ".repeat(number.len());
        match &self.place {
            Some(place) => {
                write!(f, "\n{gutter}--> {}:{}:{}", self.file, place.line, place.column)?;
                write!(f, "\n{gutter} |\n{number} | {}", place.text)?;
                let (before, mark) = (" ".repeat(place.mark_start), "^".repeat(place.mark_width));
                write!(f, "\n{gutter} | {before}{mark}")?;
            }
            None => write!(f, "\n--> {}", self.file)?,
        }
        if let Some(allowed) = &self.allowed {
            write!(f, "\n{gutter} = allowed: {allowed}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{gutter} = help: {hint}")?;
        }
        Ok(())
    }
}

/// The findings about one or more files, in the order they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// No findings.
    pub fn new() -> Self {
        Diagnostics::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Whether any of them forbids the file's use.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(Diagnostic::is_error)
    }

    /// The findings so far.
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.list
    }

    /// The findings, by file and then by place.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        let key = |d: &Diagnostic| (d.file.clone(), d.place.as_ref().map(|p| (p.line, p.column)));
        self.list.sort_by_key(key);
        self.list
    }
}
