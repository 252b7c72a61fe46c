//! Diagnostics: a problem in a file, its place, and how to fix it.

use jiff::Timestamp;
use strum::IntoStaticStr;

use crate::link::Links;

/// The files that were read. Diagnostics quote lines from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    files: Vec<SourceFile>,
    /// The commit that they were read from, if they are no files of this machine.
    commit: Option<String>,
    links: Option<Links>,
}

/// The name and text of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as the user writes it: relative if the configuration gives a relative path.
    pub name: String,
    pub text: String,
    /// None if the text was not read from a file.
    pub stamp: Option<Stamp>,
}

/// Which file was read, and when it had last been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub file: FileIdentity,
    pub modified: Timestamp,
}

/// Device and inode: equal only if it is the same file, whatever its name.
pub type FileIdentity = (u64, u64);

/// The index of a file in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u16);

/// A range of text in a file. Line and column count from 1, the column in characters. `start..end`
/// is a byte range of the file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub file: FileId,
    pub line: u32,
    pub column: u32,
    pub start: u32,
    pub end: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable kebab-case name.
    pub code: &'static str,
    pub severity: Severity,
    pub message: String,
    /// None only if the problem has no place, for example an unreadable file.
    pub place: Option<Place>,
    /// A short note shown at the place.
    pub label: Option<String>,
    /// Other places that belong to the problem, each with a short note.
    pub related: Vec<(Place, String)>,
    /// How to fix it.
    pub hint: Option<String>,
    /// Show the place but not the source line, which may hold a secret.
    pub redacted: bool,
}

/// Files that cannot be used, and all their problems. Nothing may be concluded from them.
#[derive(Debug)]
pub struct InputError {
    pub sources: Sources,
    pub diagnostics: Vec<Diagnostic>,
}

impl InputError {
    /// Whether a diagnostic has this code.
    pub fn has(&self, code: &str) -> bool {
        self.diagnostics.iter().any(|it| it.code == code)
    }

    /// The first error with its place, and how many more there are.
    pub fn summary(&self) -> String {
        let mut errors = self.diagnostics.iter().filter(|it| it.is_error());
        let Some(first) = errors.next() else { return String::new() };
        let place = first.place.map(|place| {
            format!("{}:{}:{}: ", self.sources.name(place.file), place.line, place.column)
        });
        let more = match errors.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        format!("{}{}{more}", place.unwrap_or_default(), first.message)
    }
}

impl Sources {
    /// These files, as a commit has them.
    #[must_use]
    pub fn at_commit(self, commit: String) -> Self {
        Self { commit: Some(commit), ..self }
    }

    /// The commit that they were read from, if they are no files of this machine.
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// With links to the pages of their repository.
    #[must_use]
    pub fn linked(self, links: Option<Links>) -> Self {
        Self { links, ..self }
    }

    /// The page of a commit of their repository, if it has pages.
    pub fn commit_url(&self, id: &str) -> Option<String> {
        self.links.as_ref()?.repo.commit(id)
    }

    /// The page of a line, if a commit has it as it was read.
    pub fn line_url(&self, place: Place) -> Option<String> {
        self.links.as_ref()?.line(usize::from(place.file.0), place.line)
    }

    /// The files with other names; None keeps a name.
    #[must_use]
    pub fn renamed(mut self, name: impl Fn(&str) -> Option<String>) -> Self {
        for file in &mut self.files {
            file.name = name(&file.name).unwrap_or(std::mem::take(&mut file.name));
        }
        self
    }

    /// Adds a file. Supports up to 65,536 files.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.push(SourceFile { name: name.into(), text: text.into(), stamp: None })
    }

    /// Adds a file as it was read.
    pub fn push(&mut self, file: SourceFile) -> FileId {
        self.files.push(file);
        FileId(u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX))
    }

    pub fn get(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(usize::from(id.0))
    }

    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        (0..).map(FileId).zip(&self.files)
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The file's name, or `?` if the id belongs to other sources.
    pub fn name(&self, id: FileId) -> &str {
        self.get(id).map_or("?", |file| &file.name)
    }
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            place: None,
            label: None,
            related: Vec::new(),
            hint: None,
            redacted: false,
        }
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Sets the place, and the text that is shown beside it.
    #[must_use]
    pub fn marked(self, place: Place, text: impl Into<String>) -> Self {
        self.at(place).label(text)
    }

    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = Some(text.into());
        self
    }

    #[must_use]
    pub fn related(mut self, place: Place, text: impl Into<String>) -> Self {
        self.related.push((place, text.into()));
        self
    }

    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// The message and what to do, in one line.
    pub fn with_hint(&self) -> String {
        let hint = self.hint.iter().map(|hint| format!("; {hint}"));
        self.message.clone() + &hint.collect::<String>()
    }

    /// Hides the source lines of this diagnostic.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.redacted = true;
        self
    }

    /// Adds it to those that were found.
    pub fn emit(self, to: &mut Vec<Self>) {
        to.push(self);
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Whether any diagnostic is an error.
pub fn any_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}
