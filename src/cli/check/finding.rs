use std::fmt;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    verdict: Verdict,
    /// What was found.
    what: String,
    /// What to do about it.
    advice: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// It works, and something may be lost or slow that need not be.
    Warning,
    /// A node does not start with it, or does not keep its promises.
    Bad,
}

impl Finding {
    pub(super) fn good(what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, what: what.into(), advice: String::new() }
    }

    pub(super) fn warning(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, what: what.into(), advice: advice.into() }
    }

    pub(super) fn bad(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, what: what.into(), advice: advice.into() }
    }

    pub(super) fn is_bad(&self) -> bool {
        self.verdict == Verdict::Bad
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Good => "good",
            Verdict::Warning => "warning",
            Verdict::Bad => "BAD",
        };
        write!(f, "{verdict:<8} {}", self.what)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, ": {}", self.advice) }
    }
}
