//! Repetitions, ratios to the floor, verdicts.

use serde::Serialize;

use super::bars::Bounds;
use crate::statistics::Spread;

/// Floors of one repetition that differ by more than this part say that the machine was busy.
const FLOORS_DIFFER_MAX: f64 = 0.15;

/// A figure that is judged.
pub(crate) trait Judged: Copy {
    /// What programs call it.
    fn name(self) -> &'static str;
    /// What it is, for people.
    fn title(self) -> &'static str;
    /// Its unit.
    fn unit(self) -> &'static str;
    /// What it has to be.
    fn bounds(self) -> Bounds;
}

/// How often something is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Repetitions that are needed.
    pub(crate) kept: usize,
    /// Repetitions that are tried.
    pub(crate) most: usize,
}

/// What a figure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The goal is reached.
    Met,
    /// Short of the goal, within the limit.
    Missed,
    /// Beyond the limit.
    Failed,
    /// Too few repetitions were quiet enough.
    TooNoisy,
}

impl Verdict {
    /// The verdict on a figure.
    pub(crate) fn on(figure: f64, bounds: Bounds) -> Self {
        let within = |bound: f64| if bounds.more_is_better { figure >= bound } else { figure <= bound };
        match (within(bounds.goal), within(bounds.limit)) {
            (true, _) => Self::Met,
            (false, true) => Self::Missed,
            (false, false) => Self::Failed,
        }
    }

    /// Whether the bench fails by it. Noise is no pass.
    pub(crate) const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TooNoisy)
    }

    /// The verdict in words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Met => "goal met",
            Self::Missed => "goal missed",
            Self::Failed => "FAILED",
            Self::TooNoisy => "too noisy",
        }
    }
}

/// One line of the outcome.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    /// What is judged: its median and quartiles.
    pub(crate) figure: Option<Spread>,
    pub(crate) bounds: Bounds,
    pub(crate) verdict: Verdict,
    /// Repetitions that were quiet enough, and all.
    pub(crate) kept: usize,
    pub(crate) tried: usize,
    /// Absolute figures of floor, server and baseline, in `absolute_unit`.
    pub(crate) absolute_unit: &'static str,
    pub(crate) floor: Option<f64>,
    pub(crate) ours: Option<f64>,
    pub(crate) baseline: Option<f64>,
    /// What else was seen.
    pub(crate) notes: Vec<String>,
}

impl Line {
    /// A line judged by its figures; `needed` of them at least.
    pub(crate) fn judged(bar: impl Judged, figures: &[f64], needed: usize, tried: usize) -> Self {
        let figure = Spread::of(figures);
        let verdict = match figure {
            Some(figure) if figures.len() >= needed => Verdict::on(figure.median, bar.bounds()),
            _ => Verdict::TooNoisy,
        };
        Self {
            name: bar.name(),
            title: bar.title(),
            unit: bar.unit(),
            figure,
            bounds: bar.bounds(),
            verdict,
            kept: figures.len(),
            tried,
            absolute_unit: bar.unit(),
            floor: None,
            ours: figure.map(|figure| figure.median),
            baseline: None,
            notes: Vec::new(),
        }
    }
}

/// Whether the machine was quiet enough meanwhile, by the floor before and after.
pub(crate) fn is_quiet(floor_before: f64, floor_after: f64) -> bool {
    (floor_before - floor_after).abs() <= FLOORS_DIFFER_MAX * f64::midpoint(floor_before, floor_after)
}

/// One repetition: the floor before, the server, the floor after.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repetition {
    pub(crate) floor_before: f64,
    pub(crate) ours: f64,
    pub(crate) floor_after: f64,
}

impl Repetition {
    fn floor(&self) -> f64 {
        f64::midpoint(self.floor_before, self.floor_after)
    }

    fn is_quiet(&self) -> bool {
        is_quiet(self.floor_before, self.floor_after)
    }
}

/// The repetitions of one line.
#[derive(Debug, Default)]
pub(crate) struct Repetitions(Vec<Repetition>);

impl Repetitions {
    /// Whether enough are quiet, or too many were tried.
    pub(crate) fn are_done(&self, effort: Effort) -> bool {
        self.quiet().count() >= effort.kept || self.0.len() >= effort.most
    }

    pub(crate) fn add(&mut self, repetition: Repetition) {
        self.0.push(repetition);
    }

    fn quiet(&self) -> impl Iterator<Item = &Repetition> {
        self.0.iter().filter(|repetition| repetition.is_quiet())
    }

    /// The line: the server as a multiple of the floor.
    pub(crate) fn line(&self, bar: impl Judged, effort: Effort, absolute_unit: &'static str) -> Line {
        let ratios: Vec<f64> = self.quiet().map(|one| one.ours / one.floor()).collect();
        let median = |figures: Vec<f64>| Spread::of(&figures).map(|spread| spread.median);
        let mut line = Line::judged(bar, &ratios, effort.kept, self.0.len());
        line.absolute_unit = absolute_unit;
        line.floor = median(self.quiet().map(Repetition::floor).collect());
        line.ours = median(self.quiet().map(|one| one.ours).collect());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::super::bars::Bar;
    use super::*;

    const EFFORT: Effort = Effort { kept: 5, most: 15 };

    fn repetition(floor_before: f64, ours: f64, floor_after: f64) -> Repetition {
        Repetition { floor_before, ours, floor_after }
    }

    #[test]
    fn a_figure_is_met_missed_or_failed_in_its_own_direction() {
        let verdicts = |bar: Bar, figures: [f64; 3]| figures.map(|figure| Verdict::on(figure, bar.bounds()));
        let all = [Verdict::Met, Verdict::Missed, Verdict::Failed];
        assert_eq!(verdicts(Bar::Fanout1, [1.15, 1.30, 1.31]), all);
        assert_eq!(verdicts(Bar::WindowRate, [0.7, 0.4, 0.39]), all);
    }

    #[test]
    fn repetitions_whose_floors_differ_are_dropped_and_too_few_are_no_pass() {
        let mut repetitions = Repetitions::default();
        for _ in 0..4 {
            repetitions.add(repetition(1.0, 1.1, 1.1));
            repetitions.add(repetition(1.0, 9.0, 1.3));
        }
        assert!(!repetitions.are_done(EFFORT));
        assert_eq!(repetitions.line(Bar::Fanout1, EFFORT, "us").verdict, Verdict::TooNoisy);
        repetitions.add(repetition(1.0, 1.1, 1.1));
        assert!(repetitions.are_done(EFFORT));
        let line = repetitions.line(Bar::Fanout1, EFFORT, "us");
        assert_eq!((line.verdict, line.kept, line.tried), (Verdict::Met, 5, 9));
    }

    #[test]
    fn the_bench_gives_up_after_the_most_repetitions() {
        let mut repetitions = Repetitions::default();
        for _ in 0..EFFORT.most {
            repetitions.add(repetition(1.0, 1.0, 2.0));
        }
        assert!(repetitions.are_done(EFFORT));
        assert!(repetitions.line(Bar::Fanout1, EFFORT, "us").verdict.is_failure());
    }
}
