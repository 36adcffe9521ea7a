//! What is measured of a cluster, and what it has to be.

use clap::ValueEnum;

use super::super::bars::Bounds;
use super::super::judge::Judged;

/// One figure of a cluster that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// Commands that a node sends Redis for a batch that it appends.
    RoundTrips,
    /// Commands a minute that a connection costs which says nothing.
    Idle,
    /// Acked messages a second of one room, against a bare client of the same script.
    SendsOne,
    /// The same of 100 rooms.
    SendsMany,
    /// CPU per delivery of a room that another node feeds, against its own sends.
    Heard,
    /// CPU of two nodes per delivery of a room split over them, against one node's.
    Split,
    /// A page far back against one near the end.
    History,
    /// How old what is stored is by then.
    ArchiveLag,
    /// Acks while Cassandra stands still, against before.
    CassandraPaused,
    /// Until all rooms answer again after Redis lost everything.
    Cold,
    /// How long people are without service while nodes are restarted one after the other.
    Rolling,
}

impl Judged for Row {
    fn name(self) -> &'static str {
        match self {
            Self::RoundTrips => "round_trips",
            Self::Idle => "idle",
            Self::SendsOne => "sends_one",
            Self::SendsMany => "sends_many",
            Self::Heard => "heard",
            Self::Split => "split",
            Self::History => "history",
            Self::ArchiveLag => "archive_lag",
            Self::CassandraPaused => "cassandra_paused",
            Self::Cold => "cold",
            Self::Rolling => "rolling",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::RoundTrips => "Redis round trips per append batch",
            Self::Idle => "Redis commands a minute for an idle client",
            Self::SendsOne => "one room, window 32: acked/s against the bare script",
            Self::SendsMany => "100 rooms, window 32: acked/s against the bare script",
            Self::Heard => "CPU per delivery, room fed by another node, against own",
            Self::Split => "CPU per delivery, 1 room x 1000 on two nodes, against one",
            Self::History => "history page of 50 far back against near",
            Self::ArchiveLag => "archive lag under load, p99",
            Self::CassandraPaused => "ack p99 while Cassandra stands still, against before",
            Self::Rolling => "time without service a client, rolling restart, p99",
            Self::Cold => "all rooms answer after FLUSHALL, slower of two rounds",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::RoundTrips => "a batch",
            Self::Idle => "a minute",
            Self::SendsOne | Self::SendsMany | Self::Heard | Self::Split | Self::History | Self::CassandraPaused => "x",
            Self::ArchiveLag | Self::Cold | Self::Rolling => "s",
        }
    }

    fn bounds(self) -> Bounds {
        let (goal, limit, more_is_better) = match self {
            // One. What a node asks in its own time falls beside it by chance; two are always above.
            Self::RoundTrips => (1.05, 1.95, false),
            // None. A command an hour is what beats that fall into one minute and not into another look like.
            Self::Idle => (0.02, 0.02, false),
            Self::SendsOne | Self::SendsMany => (0.7, 0.4, true),
            Self::Heard => (1.10, 1.25, false),
            Self::Split => (1.10, 1.3, false),
            Self::History => (1.2, 2.0, false),
            Self::ArchiveLag => (1.0, 5.0, false),
            Self::CassandraPaused => (1.5, 3.0, false),
            Self::Cold => (10.0, 60.0, false),
            // Up to 2 s of it are what clients are asked to wait at random.
            Self::Rolling => (3.0, 10.0, false),
        };
        Bounds { goal, limit, more_is_better }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::judge::Verdict;
    use super::*;

    #[test]
    fn every_row_can_be_met_and_can_fail() {
        for row in Row::value_variants() {
            let bounds = row.bounds();
            let better = if bounds.more_is_better { 1.001 } else { 0.999 };
            assert_eq!(Verdict::on(bounds.goal * better, bounds), Verdict::Met, "{row:?}");
            assert_eq!(Verdict::on(bounds.limit / better, bounds), Verdict::Failed, "{row:?}");
        }
    }
}
