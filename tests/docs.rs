//! The documentation is true where a machine can tell: links lead somewhere, commands and make targets exist,
//! and configurations are accepted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use howdah::config;
use howdah::diagnostic::SourceText;

/// One Markdown file.
struct Page {
    path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README, changelog and everything under docs/.
fn pages() -> Vec<Page> {
    let mut paths = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.into_iter().map(|path| Page { text: std::fs::read_to_string(&path).unwrap(), path }).collect()
}

impl Page {
    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    /// The text of every fenced block of a language.
    fn blocks(&self, language: &str) -> Vec<String> {
        let opening = format!("```{language}");
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while lines.by_ref().any(|line| line == opening) {
            blocks.push(
                lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect(),
            );
        }
        blocks
    }

    /// Targets of `[text](target)` outside fenced blocks.
    fn links(&self) -> Vec<&str> {
        let prose = self.text.split("```").step_by(2);
        prose.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| rest.split(')').next()).collect()
    }
}

/// A heading's anchor as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Why a link leads nowhere, if it does.
fn broken(from: &Path, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { from.to_owned() } else { from.parent().unwrap().join(file) };
    if !target.exists() {
        return Some(format!("{}: {link} does not exist", from.display()));
    }
    if fragment.is_empty() {
        return None;
    }
    let text = std::fs::read_to_string(&target).unwrap();
    let is_there = text.lines().any(|line| line.starts_with('#') && anchor(line) == fragment);
    (!is_there).then(|| format!("{}: {link} has no such heading", from.display()))
}

fn subcommands() -> BTreeSet<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_howdah")).arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    let listed =
        text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    listed.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

/// The words that follow `before` in `text`.
fn words_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
    text.split(before)
        .skip(1)
        .map(move |rest| rest.split(|c| !is_word(c)).next().unwrap_or(""))
        .filter(|word| !word.is_empty())
}

#[test]
fn links_lead_somewhere() {
    let problems: Vec<String> = pages()
        .iter()
        .flat_map(|page| {
            page.links().into_iter().filter_map(|link| broken(&page.path, link)).collect::<Vec<_>>()
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn commands_that_are_named_exist() {
    let known = subcommands();
    assert!(known.contains("demo") && known.contains("serve"), "{known:?}");
    for page in pages() {
        let shell = page.blocks("sh").concat();
        let inline: Vec<&str> = page.text.split('`').filter(|code| code.starts_with("howdah ")).collect();
        let code = format!("\n{shell}\n{}", inline.join("\n"));
        for command in words_after(&code, "\nhowdah ") {
            assert!(known.contains(command), "{}: `howdah {command}` does not exist", page.name());
        }
    }
}

#[test]
fn make_targets_that_are_named_exist() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    for page in pages() {
        let shell = format!("\n{}", page.blocks("sh").concat());
        for target in words_after(&shell, "\nmake ").chain(words_after(&page.text, "`make ")) {
            assert!(targets.contains(target), "{}: `make {target}` does not exist", page.name());
        }
    }
}

#[test]
fn configurations_in_the_documentation_are_accepted() {
    let example = root().join("howdah.example.toml");
    let mut texts = vec![("howdah.example.toml".to_owned(), std::fs::read_to_string(&example).unwrap())];
    for page in pages() {
        let whole = page.blocks("toml").into_iter().filter(|text| text.contains("[[listener]]"));
        texts.extend(whole.map(|text| (page.name(), text)));
    }
    assert!(texts.len() >= 3);
    for (name, text) in texts {
        let source = SourceText::new(name, text);
        let environment = |_: &str| Some("secret".to_owned());
        if let Err(found) = config::parse(&source, &root().join("howdah.toml"), &environment) {
            panic!("{}", found.iter().map(|one| one.to_string()).collect::<Vec<_>>().join("\n"));
        }
    }
}

#[test]
fn paths_of_the_source_that_are_named_exist() {
    for page in pages() {
        for path in page.text.split('`').filter(|code| code.starts_with("src/") || code.starts_with("tests/"))
        {
            let is_path = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            assert!(!is_path || root().join(path).exists(), "{}: {path} does not exist", page.name());
        }
    }
}

#[test]
fn planted_mistakes_are_found() {
    let readme = root().join("README.md");
    assert!(broken(&readme, "docs/nowhere.md").is_some());
    assert!(broken(&readme, "#nowhere").is_some());
    assert!(broken(&readme, "README.md#one-minute").is_none());
    assert_eq!(anchor("## What SQL is answered"), "what-sql-is-answered");
    assert_eq!(words_after("\nhowdah srve --x", "\nhowdah ").collect::<Vec<_>>(), ["srve"]);
    let page = Page { path: readme, text: "a [b](c) d\n```toml\nx = 1\n```\n[e](f#g)\n".to_owned() };
    assert_eq!(page.links(), ["c", "f#g"]);
    assert_eq!(page.blocks("toml"), ["x = 1\n"]);
}
