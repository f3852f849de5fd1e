//! Patches that apply in spite of renames: structural matching of unified diffs.
//!
//! A hunk's old side is compared with a file token by token: white space and
//! comments do not count, and a word may stand for another one as long as it does
//! so throughout the hunk. So neither a rename nor a line that `rustfmt` breaks
//! elsewhere keeps a patch from applying. Context is dropped line by line, down to
//! none, as `patch` does, when a hunk does not match with all of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Words with a meaning of their own: a rename never produces or replaces one.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "else", "enum", "false", "fn", "for",
    "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return",
    "self", "Self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where",
    "while",
];
/// Lines of context in a patch. Three is what `diff -u` writes.
const CONTEXT_LINES: usize = 3;

/// The changes to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch {
    /// From the workspace's root.
    pub file: PathBuf,
    pub hunks: Vec<Hunk>,
}

/// A hunk of a unified diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The first old line, counted from one; decides between equally good matches.
    pub line: usize,
    pub lines: Vec<Line>,
}

/// A line of a hunk, without its sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Context(String),
    Removed(String),
    Added(String),
}

/// Parses a unified diff. Lines that belong to no hunk are skipped.
///
/// # Errors
///
/// Names the line that is not one of a unified diff.
pub fn parse(text: &str) -> Result<Vec<FilePatch>, String> {
    let mut files: Vec<FilePatch> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = || format!("line {}: not a unified diff: {line}", number + 1);
        if line.starts_with("--- ") {
            continue;
        }
        if let Some(name) = line.strip_prefix("+++ ") {
            let file = name.strip_prefix("b/").ok_or_else(wrong)?.trim_end().into();
            files.push(FilePatch { file, hunks: Vec::new() });
            continue;
        }
        let hunks = &mut files.last_mut().ok_or_else(wrong)?.hunks;
        if let Some(numbers) = line.strip_prefix("@@ -") {
            let digits = numbers.split([',', ' ']).next().ok_or_else(wrong)?;
            hunks.push(Hunk { line: digits.parse().map_err(|_| wrong())?, lines: Vec::new() });
            continue;
        }
        let lines = &mut hunks.last_mut().ok_or_else(wrong)?.lines;
        let mut rest = line.chars();
        match rest.next() {
            None => lines.push(Line::Context(String::new())),
            Some(' ') => lines.push(Line::Context(rest.collect())),
            Some('-') => lines.push(Line::Removed(rest.collect())),
            Some('+') => lines.push(Line::Added(rest.collect())),
            Some(_) => return Err(wrong()),
        }
    }
    Ok(files)
}

/// Applies the hunks to a file's text.
///
/// # Errors
///
/// Names the hunk that matches nowhere, or in several places equally well.
pub fn apply(text: &str, hunks: &[Hunk]) -> Result<String, String> {
    let mut edits = Vec::new();
    for hunk in hunks {
        edits.extend(locate(text, hunk)?);
    }
    edits.sort_by_key(|edit| (edit.start, edit.end));
    if edits.windows(2).any(|pair| pair[0].end > pair[1].start) {
        return Err("two hunks match the same lines".to_owned());
    }
    let mut patched = text.to_owned();
    for Edit { start, end, new } in edits.into_iter().rev() {
        patched.replace_range(start..end, &new);
    }
    Ok(patched)
}

/// A file that a patch applies to.
pub struct Patched {
    /// From the workspace's root.
    pub file: PathBuf,
    pub before: String,
    pub after: String,
}

/// Applies a patch to the sources below this folder. Code that moved to another
/// file is found there, if it is the only one to which the patch applies.
///
/// # Errors
///
/// Names the file, and the hunk that does not apply to it.
pub fn apply_below(root: &Path, FilePatch { file, hunks }: &FilePatch) -> Result<Patched, String> {
    let patched = |file: PathBuf| {
        let before = fs::read_to_string(root.join(&file));
        let before = before.map_err(|error| format!("{}: {error}", file.display()))?;
        let after = apply(&before, hunks).map_err(|why| format!("{}: {why}", file.display()))?;
        Ok(Patched { file, before, after })
    };
    patched(file.clone()).or_else(|why: String| {
        let mut elsewhere = Vec::new();
        for other in sources_below(&root.join("engine/src")) {
            let Ok(other) = other.strip_prefix(root) else { continue };
            elsewhere.extend(patched(other.to_owned()).ok());
        }
        match (elsewhere.len(), elsewhere.pop()) {
            (1, Some(patched)) => Ok(patched),
            (count, _) => Err(format!("{why}; it applies to {count} other files")),
        }
    })
}

/// The Rust files below a folder.
fn sources_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Bytes of a file and what stands there instead.
struct Edit {
    start: usize,
    end: usize,
    new: String,
}

/// Finds a hunk's place in a file, with as much context as matches.
fn locate(text: &str, hunk: &Hunk) -> Result<Vec<Edit>, String> {
    let file = tokens(text);
    let mut why = String::new();
    for context in (0..=CONTEXT_LINES).rev() {
        let groups = groups(&with_context(&hunk.lines, context));
        let old: Vec<Token<'_>> = groups.iter().flat_map(|group| tokens(group.old())).collect();
        if old.is_empty() {
            break;
        }
        match best_match(text, &file, &old, hunk.line) {
            Ok((at, renames)) => return Ok(edits(text, &file[at..], &groups, &renames)),
            Err(error) => why = error,
        }
    }
    Err(format!("the hunk at line {} {why}", hunk.line))
}

/// Where the old tokens match with the fewest renames, and those renames. Among
/// exact matches the one nearest to the line wins; a match with renames must be
/// the only one of its kind, and rename no more than half of the words.
fn best_match<'a>(
    text: &'a str,
    file: &[Token<'a>],
    old: &[Token<'a>],
    line: usize,
) -> Result<(usize, BTreeMap<&'a str, &'a str>), String> {
    let words = old.iter().filter(|token| is_name(token.text)).map(|token| token.text);
    let limit = words.collect::<HashSet<_>>().len() / 2;
    let mut matches: Vec<_> = (0..(file.len() + 1).saturating_sub(old.len()))
        .filter_map(|at| Some((at, renames(old, &file[at..])?)))
        .filter(|(_, renames)| renames.len() <= limit)
        .collect();
    let Some(fewest) = matches.iter().map(|(_, renames)| renames.len()).min() else {
        return Err("matches nowhere".to_owned());
    };
    matches.retain(|(_, renames)| renames.len() == fewest);
    if fewest > 0 && matches.len() > 1 {
        return Err(format!("matches {} places with {fewest} renames each", matches.len()));
    }
    let distance = |at: usize| text[..file[at].start].matches('\n').count().abs_diff(line);
    let nearest = matches.into_iter().min_by_key(|(at, _)| distance(*at));
    nearest.ok_or_else(|| "matches nowhere".to_owned())
}

/// The renames that turn the old tokens into the file's first ones.
fn renames<'a>(old: &[Token<'a>], file: &[Token<'a>]) -> Option<BTreeMap<&'a str, &'a str>> {
    let mut forth = HashMap::new();
    let mut back = HashMap::new();
    for (old, new) in old.iter().zip(file) {
        let may_differ = is_name(old.text) && is_name(new.text);
        let is_consistent = *forth.entry(old.text).or_insert(new.text) == new.text
            && *back.entry(new.text).or_insert(old.text) == old.text;
        if !is_consistent || (old.text != new.text && !may_differ) {
            return None;
        }
    }
    Some(forth.into_iter().filter(|(old, new)| old != new).collect())
}

/// What each group changes, as edits of the file whose tokens begin at the match.
fn edits(
    text: &str,
    file: &[Token<'_>],
    groups: &[Group],
    renames: &BTreeMap<&str, &str>,
) -> Vec<Edit> {
    let mut at = 0;
    let mut edits = Vec::new();
    for group in groups {
        let count = tokens(group.old()).len();
        if let Group::Change { new, .. } = group {
            let new = renamed(new.trim_end(), renames);
            let trimmed = new.trim_start().to_owned();
            let edit = match (at, count) {
                (0, 0) => Edit { start: file[0].start, end: file[0].start, new: trimmed + "\n" },
                (_, 0) => {
                    let behind = file[at - 1].end;
                    Edit { start: behind, end: behind, new: "\n".to_owned() + &new }
                }
                // Lines that go take their line break and indentation with them.
                _ if trimmed.is_empty() => {
                    let start = text[..file[at].start].trim_end().len();
                    Edit { start, end: file[at + count - 1].end, new: trimmed }
                }
                _ => Edit { start: file[at].start, end: file[at + count - 1].end, new: trimmed },
            };
            edits.push(edit);
        }
        at += count;
    }
    edits
}

/// Applies renames to the words of a text.
fn renamed(text: &str, renames: &BTreeMap<&str, &str>) -> String {
    let mut out = String::new();
    let mut at = 0;
    for token in tokens(text) {
        out.push_str(&text[at..token.start]);
        out.push_str(renames.get(token.text).copied().unwrap_or(token.text));
        at = token.end;
    }
    out + &text[at..]
}

/// Neighbouring lines of a hunk that stay, or that are changed together.
enum Group {
    Context(String),
    Change { old: String, new: String },
}

impl Group {
    fn old(&self) -> &str {
        let (Self::Context(old) | Self::Change { old, .. }) = self;
        old
    }
}

fn groups(lines: &[Line]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in lines {
        let is_context = matches!(line, Line::Context(_));
        let is_open = groups.last().is_some_and(|g| matches!(g, Group::Context(_)) == is_context);
        if !is_open {
            groups.push(if is_context {
                Group::Context(String::new())
            } else {
                Group::Change { old: String::new(), new: String::new() }
            });
        }
        let (into, line) = match (groups.last_mut(), line) {
            (
                Some(Group::Context(old) | Group::Change { old, .. }),
                Line::Context(line) | Line::Removed(line),
            ) => (old, line),
            (Some(Group::Change { new, .. }), Line::Added(line)) => (new, line),
            _ => continue,
        };
        into.push_str(line);
        into.push('\n');
    }
    groups
}

/// The lines with at most so many lines of context at either end.
fn with_context(lines: &[Line], most: usize) -> Vec<Line> {
    let is_change = |line: &Line| !matches!(line, Line::Context(_));
    let first = lines.iter().position(is_change).unwrap_or(0);
    let last = lines.iter().rposition(is_change).map_or(lines.len(), |last| last + 1);
    lines[first.saturating_sub(most)..lines.len().min(last + most)].to_vec()
}

/// A word or a single character, and its bytes in the text.
#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

/// The tokens of a text without white space and line comments. A `//` behind a
/// colon belongs to a URL.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with("//") && !text[..at].ends_with(':') {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            tokens.push(Token { text: &rest[..length], start: at, end: at + length });
        }
        at += length;
    }
    tokens
}

/// Whether a token is a word that may be renamed.
fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_') && !KEYWORDS.contains(&token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "--- a/x.rs\n+++ b/x.rs\n@@ -1,3 +1,3 @@ fn f\n let a = start();\n-if a.is_due(now) { stop(a); }\n+if true { stop(a); }\n end(a);\n";

    fn patched(text: &str) -> Result<String, String> {
        apply(text, &parse(PATCH)?[0].hunks)
    }

    #[test]
    fn patch_applies_when_names_and_line_breaks_changed() {
        let text =
            "// A word.\nlet hold = start();\nif hold.is_due(now)\n{ stop(hold); }\nend(hold);\n";
        let expected = "// A word.\nlet hold = start();\nif true { stop(hold); }\nend(hold);\n";
        assert_eq!(patched(text).as_deref(), Ok(expected));
    }

    #[test]
    fn patch_applies_when_context_changed() {
        let text = "let a = 1;\nif a.is_due(now) { stop(a); }\n";
        assert_eq!(patched(text).as_deref(), Ok("let a = 1;\nif true { stop(a); }\n"));
    }

    #[test]
    fn patch_fails_when_the_code_or_a_keyword_changed() {
        assert!(patched("let a = start();\nif !a.is_due(now) { stop(a); }\nend(a);\n").is_err());
        assert!(patched("let a = start();\nif a.is_due(self) { stop(a); }\nend(a);\n").is_err());
    }

    #[test]
    fn patch_fails_when_several_places_match_after_renames() {
        let line = "if b.is_due(now) { stop(b); }\n";
        assert!(patched(&line.repeat(2)).is_err());
    }

    #[test]
    fn parse_fails_when_a_line_is_of_no_diff() {
        assert!(parse("+++ b/x.rs\n@@ -1 +1 @@\n*x\n").is_err());
    }
}
