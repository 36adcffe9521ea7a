//! Repetitions of one row, and how everybody stands in it. Bobchat is always the first.

use serde::Serialize;

use super::cast::Contestant;
use super::subject::Subject;
use crate::bench::judge::{Effort, is_quiet};
use crate::statistics::Spread;

/// Where so much more comes in a read than from the floor, the server or the harness was late, and looks cheap.
const COALESCED_MAX: f64 = 1.1;

/// A harness that used more of its core than this was the limit itself.
const HARNESS_CPU_MAX: f64 = 0.9;

/// What one measurement gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// What is compared; absent where it cannot be seen.
    pub(super) figure: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) deliveries_per_read: Option<f64>,
    /// The part of a core that the harness used, where the load is as much as the server takes.
    pub(super) harness_cpu: Option<f64>,
}

/// What is compared in a row.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Measure {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) more_is_better: bool,
}

/// How Bobchat stands beside another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Wins,
    Loses,
    /// The quartiles of the ratio lie on both sides of 1.
    Even,
    /// Too few repetitions, or a figure that cannot be seen.
    Unknown,
}

/// One server in one row.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Standing {
    pub(super) name: &'static str,
    /// What it keeps of a message.
    pub(super) keeps: &'static str,
    pub(super) figure: Option<Spread>,
    /// As a multiple of the floor's.
    pub(super) of_floor: Option<Spread>,
    /// Bobchat's as a multiple of this one's.
    pub(super) ours_of_it: Option<Spread>,
    pub(super) p99_ms: Option<Spread>,
    /// Repetitions in which deliveries came together.
    pub(super) late: usize,
    /// Repetitions in which the harness was the limit and not the server.
    pub(super) harness_bound: usize,
    /// Bobchat beside it; of Bobchat itself there is none.
    pub(super) verdict: Option<Verdict>,
}

/// One row.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) measure: Measure,
    pub(super) load: String,
    /// Repetitions that were needed, quiet enough, and tried.
    pub(super) needed: usize,
    pub(super) kept: usize,
    pub(super) tried: usize,
    pub(super) floor: Option<Spread>,
    pub(super) standings: Vec<Standing>,
}

/// One repetition: everybody between two measurements of the floor, or after one where it does not vary.
#[derive(Debug)]
pub(super) struct Repetition {
    pub(super) floor: [Sample; 2],
    pub(super) all: Vec<Sample>,
}

impl Repetition {
    fn floor(&self) -> Option<f64> {
        let [before, after] = self.floor;
        Some(f64::midpoint(before.figure?, after.figure?))
    }

    fn is_quiet(&self) -> bool {
        let [before, after] = self.floor;
        before.figure.zip(after.figure).is_some_and(|(before, after)| is_quiet(before, after))
    }

    fn is_late(&self, sample: Sample) -> bool {
        let of_floor = self.floor.iter().filter_map(|floor| floor.deliveries_per_read).fold(0.0, f64::max);
        sample.deliveries_per_read.is_some_and(|reads| reads > COALESCED_MAX * of_floor)
    }
}

/// Measures everybody in turns, floor first and last, until enough repetitions were quiet.
///
/// # Errors
/// When a server fails.
pub(super) async fn compare(
    measure: Measure,
    load: String,
    effort: Effort,
    floor: &Subject,
    subjects: &[Subject],
    work: impl AsyncFn(&Subject) -> anyhow::Result<Sample>,
) -> anyhow::Result<Row> {
    let (mut repetitions, mut tried) = (Vec::new(), 0);
    while repetitions.len() < effort.kept && tried < effort.most {
        let before = work(floor).await?;
        let mut all = Vec::new();
        for subject in subjects {
            all.push(work(subject).await?);
        }
        let repetition = Repetition { floor: [before, work(floor).await?], all };
        tried += 1;
        if repetition.is_quiet() {
            repetitions.push(repetition);
        }
    }
    let who: Vec<Contestant> = subjects.iter().map(|subject| subject.who).collect();
    Ok(Row::of(measure, load, effort.kept, tried, &who, &repetitions))
}

impl Row {
    /// What came of the repetitions that were kept; `who` is in the order of their samples.
    pub(super) fn of(
        measure: Measure,
        load: String,
        needed: usize,
        tried: usize,
        who: &[Contestant],
        repetitions: &[Repetition],
    ) -> Self {
        let floors: Vec<f64> = repetitions.iter().filter_map(Repetition::floor).collect();
        let is_enough = repetitions.len() >= needed;
        let standing = |(number, who): (usize, &Contestant)| {
            let mut standing = Standing::of(number, *who, repetitions);
            if number > 0 {
                let ratio = standing.ours_of_it.filter(|_| is_enough);
                standing.verdict = Some(Verdict::on(ratio, measure.more_is_better));
            }
            standing
        };
        Self {
            measure,
            load,
            needed,
            kept: repetitions.len(),
            tried,
            floor: Spread::of(&floors),
            standings: who.iter().enumerate().map(standing).collect(),
        }
    }
}

impl Standing {
    fn of(number: usize, who: Contestant, repetitions: &[Repetition]) -> Self {
        let samples = || repetitions.iter().filter_map(|one| Some((one, *one.all.first()?, *one.all.get(number)?)));
        let spread = |figures: Vec<f64>| Spread::of(&figures);
        // Of nothing there is no multiple.
        let ratio = |one: f64, of: f64| (of > 0.0).then(|| one / of);
        let of_floor = |(one, _, it): (&Repetition, Sample, Sample)| ratio(it.figure?, one.floor()?);
        let ours_of_it = |(_, ours, it): (&Repetition, Sample, Sample)| ratio(ours.figure?, it.figure?);
        Self {
            name: who.name(),
            keeps: who.keeps(),
            figure: spread(samples().filter_map(|(_, _, it)| it.figure).collect()),
            of_floor: spread(samples().filter_map(of_floor).collect()),
            ours_of_it: spread(samples().filter_map(ours_of_it).collect()),
            p99_ms: spread(samples().filter_map(|(_, _, it)| it.p99_ms).collect()),
            harness_bound: samples()
                .filter(|(_, _, it)| it.harness_cpu.is_some_and(|cpu| cpu > HARNESS_CPU_MAX))
                .count(),
            late: samples().filter(|(one, _, it)| one.is_late(*it)).count(),
            verdict: None,
        }
    }
}

impl Verdict {
    /// What Bobchat's figure as a multiple of another one's means.
    fn on(ratio: Option<Spread>, more_is_better: bool) -> Self {
        match ratio {
            None => Self::Unknown,
            Some(ratio) if ratio.lower_quartile > 1.0 => {
                if more_is_better {
                    Self::Wins
                } else {
                    Self::Loses
                }
            }
            Some(ratio) if ratio.upper_quartile < 1.0 => {
                if more_is_better {
                    Self::Loses
                } else {
                    Self::Wins
                }
            }
            Some(_) => Self::Even,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cast::Disk;
    use super::*;

    fn sample(figure: f64) -> Sample {
        Sample { figure: Some(figure), p99_ms: Some(1.0), deliveries_per_read: Some(figure), harness_cpu: Some(1.0) }
    }

    fn row(more_is_better: bool, needed: usize, repetitions: &[[f64; 3]]) -> Row {
        let measure = Measure { title: "CPU", unit: "us", more_is_better };
        let who = [Contestant::Bobchat(Disk::Real), Contestant::SocketIo(None)];
        let one = |[floor, ours, it]: &[f64; 3]| Repetition {
            floor: [sample(*floor); 2],
            all: vec![sample(*ours), sample(*it)],
        };
        let repetitions: Vec<_> = repetitions.iter().map(one).collect();
        Row::of(measure, "one room".to_owned(), needed, repetitions.len(), &who, &repetitions)
    }

    #[test]
    fn who_needs_more_loses_and_who_acks_more_wins() {
        let dearer = [[1.0, 3.0, 2.0], [1.0, 3.3, 2.0]];
        assert_eq!(row(false, 2, &dearer).standings[1].verdict, Some(Verdict::Loses));
        assert_eq!(row(true, 2, &dearer).standings[1].verdict, Some(Verdict::Wins));
        assert_eq!(row(false, 3, &dearer).standings[1].verdict, Some(Verdict::Unknown));
        let both = [[1.0, 3.0, 2.0], [1.0, 2.0, 3.0]];
        assert_eq!(row(false, 2, &both).standings[1].verdict, Some(Verdict::Even));
    }

    #[test]
    fn ratios_are_of_one_repetition_and_not_of_medians() {
        let row = row(false, 3, &[[1.0, 2.0, 4.0], [2.0, 4.0, 8.0], [4.0, 8.0, 16.0]]);
        let standing = &row.standings[1];
        let exactly = |figure: f64| Some(Spread { median: figure, lower_quartile: figure, upper_quartile: figure });
        assert_eq!((standing.ours_of_it, standing.of_floor), (exactly(0.5), exactly(4.0)));
        assert_eq!((row.standings[0].verdict, standing.late, standing.harness_bound), (None, 3, 3));
    }
}
