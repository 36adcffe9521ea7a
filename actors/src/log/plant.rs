/// A rule of the protocol that a test takes away, to see that the simulation finds what then goes wrong.
///
/// Nothing is planted outside tests: there [`Plant::is_planted`] is `false` for the compiler too.
#[cfg_attr(not(test), expect(dead_code, reason = "planted by tests alone"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    /// Rule 6: an append does not compare the server's life.
    AnyLife,
    /// Rule 6: an append does not compare the state that it was decided on.
    NotBehind,
    /// Rule 6: a log of a newer epoch takes the append all the same.
    AnyEpoch,
    /// Rule 7: keys are not looked for in the live log.
    NoKeys,
    /// Rule 8: nobody asks the table of keys.
    NeverAsk,
    /// Rule 8: room_log is not read again after the table, and the append names whatever epoch is newest.
    AskStale,
    /// Rule 8: a key counts without its row.
    KeyWithoutRow,
    /// Rule 8: a key counts though its position is not owned.
    KeyOfOrphan,
    /// Rule 9: an append whose outcome is unknown is taken for one that surely did not happen.
    UnknownIsBusy,
    /// Rule 11: nobody holds what is not stored.
    HoldNothing,
    /// Rule 11: whoever answers a repeated key does not hold its event.
    HoldNoRepeat,
    /// Rule 11: what is archived of any epoch releases.
    ReleaseAnyEpoch,
    /// Rule 12: a history ack does not read room_log.
    HistoryUnread,
    /// Rule 12: a history ack reads room_log before it writes.
    HistoryReadFirst,
    /// Rule 14 a: an epoch that somebody raised is taken for one's own.
    AnyRaiser,
    /// Rule 14 b: a fence does not stop appends.
    OpenFence,
    /// Rule 14 b, c: what the live log still holds is not stored.
    CopyNothing,
    /// Rule 14 d: the epoch begins behind the highest stored seq, whatever is missing below.
    HighestBase,
    /// Rule 14 d: orphans are not renumbered.
    LeaveOrphans,
    /// Rule 14 d: orphans are renumbered, whether their key is owned or not.
    RenumberAll,
    /// Rule 14 e: whoever comes says where an epoch begins.
    AnybodyBegins,
    /// Rule 14 f: a log is opened without its fence, and again when the outcome is unknown.
    OpenUnfenced,
    /// Rule 15: stored rows are read before the epoch is raised.
    ScanFirst,
    /// Rule 16: nothing is salvaged.
    NoSalvage,
    /// Rule 16: what is salvaged does not say where it stood first.
    ForgetFirst,
    /// Rule 19: the row that says "stored" is written first.
    RowFirst,
    /// Rule 19: the archiver does not read room_log again.
    ArchiveUnread,
    /// Rule 19: the archiver releases before it has read room_log again.
    ReleaseEarly,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Plant>> = const { std::cell::Cell::new(None) };
}

impl Plant {
    /// Whether the rule is taken away on this thread.
    #[cfg(test)]
    pub(crate) fn is_planted(self) -> bool {
        PLANTED.get() == Some(self)
    }

    /// Whether the rule is taken away: never.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the test's twin reads it")]
    pub(crate) const fn is_planted(self) -> bool {
        false
    }

    /// Takes a rule away on this thread, or none.
    #[cfg(test)]
    pub(crate) fn plant(rule: Option<Self>) {
        PLANTED.set(rule);
    }
}
