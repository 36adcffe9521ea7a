//! A page of a server's metrics, as Prometheus would read it.

use anyhow::Context as _;

/// All figures at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(String);

impl Metrics {
    /// The figures on a page of `/metrics`.
    pub(crate) fn new(page: String) -> Self {
        Self(page)
    }

    /// Name, labels and figure of each sample of `name`.
    fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let (sample, figure) = line.strip_prefix(name)?.rsplit_once(' ')?;
            // Another name may begin with this one.
            let is_whole = sample.is_empty() || sample.starts_with('{');
            Some((sample, figure.parse().ok()?)).filter(|_| is_whole)
        })
    }

    /// The sum of `name` over all its labels.
    ///
    /// # Errors
    /// When there is no such figure.
    pub(crate) fn sum(&self, name: &str) -> anyhow::Result<f64> {
        let figures = self.samples(name).map(|(_, figure)| figure);
        figures.reduce(|sum, figure| sum + figure).with_context(|| format!("/metrics has no {name}"))
    }

    /// The sum of `name` where its labels hold `label`; 0 where there is none, for such a sample appears with the
    /// first event.
    pub(crate) fn sum_where(&self, name: &str, label: &str) -> f64 {
        self.samples(name).filter(|(labels, _)| labels.contains(label)).map(|(_, figure)| figure).sum()
    }

    /// The quantile of a histogram over what was observed since `earlier`, within its bucket in proportion, as
    /// Prometheus has it; `None` when nothing was.
    pub(crate) fn quantile_since(&self, earlier: &Self, name: &str, part: f64) -> Option<f64> {
        let name = format!("{name}_bucket");
        let before: Vec<_> = earlier.samples(&name).collect();
        let buckets: Vec<(f64, f64)> = self
            .samples(&name)
            .filter_map(|(labels, count)| {
                let bound = labels.split_once("le=\"")?.1.split_once('"')?.0;
                let earlier = before.iter().find(|(other, _)| *other == labels).map_or(0.0, |(_, count)| *count);
                Some((bound.replace("+Inf", "inf").parse().ok()?, count - earlier))
            })
            .collect();
        quantile(&buckets, part)
    }
}

/// The quantile of buckets, each with its upper bound and how many are at or below it.
fn quantile(buckets: &[(f64, f64)], part: f64) -> Option<f64> {
    let rank = part * buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    let (mut lower, mut below) = (0.0, 0.0);
    for (bound, count) in buckets.iter().copied() {
        if count >= rank {
            // Beyond the last bound there is nothing to go by.
            let upper = if bound.is_finite() { bound } else { lower };
            return Some(lower + (upper - lower) * (rank - below) / (count - below).max(1.0));
        }
        (lower, below) = (bound, count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "calls{kind=\"a\"} 1\n\
                          lag_bucket{le=\"1.0\"} 5\nlag_bucket{le=\"2.0\"} 5\nlag_bucket{le=\"+Inf\"} 5\n";
    const AFTER: &str = "calls{kind=\"a\"} 3\ncalls{kind=\"b\"} 4\ncalls_late 9\n\
                         lag_bucket{le=\"1.0\"} 55\nlag_bucket{le=\"2.0\"} 105\nlag_bucket{le=\"+Inf\"} 105\n";

    #[test]
    fn figures_are_added_up_by_name_and_label() {
        let metrics = Metrics::new(AFTER.to_owned());
        assert!((metrics.sum("calls").unwrap() - 7.0).abs() < 1e-9);
        assert!((metrics.sum_where("calls", "kind=\"b\"") - 4.0).abs() < 1e-9);
        assert!(metrics.sum("cal").is_err() && metrics.sum_where("calls", "kind=\"c\"") < 1e-9);
    }

    #[test]
    fn a_quantile_counts_what_came_since() {
        let (before, after) = (Metrics::new(BEFORE.to_owned()), Metrics::new(AFTER.to_owned()));
        let quantile = |part| after.quantile_since(&before, "lag", part);
        assert!((quantile(0.5).unwrap() - 1.0).abs() < 1e-9);
        assert!((quantile(0.99).unwrap() - 1.98).abs() < 1e-9);
        assert_eq!(after.quantile_since(&after, "lag", 0.5), None);
    }
}
