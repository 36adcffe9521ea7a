//! Axes: where a figure is drawn, and which figures are written beside the lines.

/// How many lines an axis has, about.
const TICKS: f64 = 5.0;

/// How a figure becomes a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// From 0 to here.
    Linear(f64),
    /// Powers of ten, from the first to the second exponent.
    Logarithmic(i32, i32),
    /// Parts of a whole by their nines: 0.9, 0.99, 0.999 are as far from one another. So many nines.
    Nines(f64),
}

impl Scale {
    /// From 0 to a round figure that is not below `greatest`.
    pub(super) fn linear(greatest: f64) -> Self {
        let step = step(greatest);
        Self::Linear((greatest / step).ceil().max(1.0) * step)
    }

    /// Whole powers of ten around figures above 0.
    pub(super) fn logarithmic(least: f64, greatest: f64) -> Self {
        let exponent = |figure: f64| figure.max(1e-3).log10();
        let (low, high) = (exponent(least).floor() as i32, exponent(greatest).ceil() as i32);
        Self::Logarithmic(low, high.max(low + 1))
    }

    /// Where a figure is: 0 at the beginning, 1 at the end.
    pub(super) fn place(self, figure: f64) -> f64 {
        let place = match self {
            Self::Linear(end) => figure / end,
            Self::Logarithmic(low, high) => (figure.max(1e-9).log10() - f64::from(low)) / f64::from(high - low),
            Self::Nines(nines) => -(1.0 - figure).max(1e-12).log10() / nines,
        };
        place.clamp(0.0, 1.0)
    }

    /// Figures to write beside the axis, each as text.
    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        match self {
            Self::Linear(end) => {
                let step = step(end);
                let count = (end / step + 1e-9).floor() as u32;
                (0..=count).map(|number| f64::from(number) * step).map(|figure| (figure, short(figure))).collect()
            }
            Self::Logarithmic(low, high) => {
                (low..=high).map(|exponent| 10_f64.powi(exponent)).map(|figure| (figure, short(figure))).collect()
            }
            Self::Nines(nines) => [(0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %")]
                .into_iter()
                .chain([(0.9999, "99.99 %"), (0.99999, "99.999 %")])
                .filter(|(part, _): &(f64, &str)| -(1.0 - part).log10() <= nines + 1e-9)
                .map(|(part, text)| (part, text.to_owned()))
                .collect(),
        }
    }
}

/// 1, 2 or 5 times a power of ten: about [`TICKS`] of them reach to `greatest`.
fn step(greatest: f64) -> f64 {
    let rough = (greatest / TICKS).max(1e-6);
    let power = 10_f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= rough * 0.999).unwrap_or(10.0);
    times * power
}

/// A figure in few characters.
pub(super) fn short(figure: f64) -> String {
    let trim = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    match figure.abs() {
        large if large >= 1e6 => format!("{}M", trim(format!("{:.2}", figure / 1e6))),
        large if large >= 1e4 => format!("{}k", trim(format!("{:.1}", figure / 1e3))),
        middle if middle >= 100.0 => format!("{figure:.0}"),
        small if small >= 1.0 => trim(format!("{figure:.1}")),
        0.0 => "0".to_owned(),
        _ => trim(format!("{figure:.3}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_figure_above_everything() {
        for (greatest, end, ticks) in [(7.0, 8.0, 5), (100.0, 100.0, 6), (0.31, 0.4, 5), (0.0, 1e-6, 2)] {
            let Scale::Linear(found) = Scale::linear(greatest) else { panic!() };
            assert!((found - end).abs() < 1e-9, "{greatest}: {found}");
            assert_eq!(Scale::linear(greatest).ticks().len(), ticks, "{greatest}");
        }
        assert_eq!(Scale::logarithmic(0.3, 42.0), Scale::Logarithmic(-1, 2));
        assert_eq!(Scale::logarithmic(10.0, 10.0), Scale::Logarithmic(1, 2));
    }

    #[test]
    fn figures_stand_where_they_belong() {
        let near = |place: f64, expected: f64| assert!((place - expected).abs() < 1e-9, "{place}");
        near(Scale::Linear(8.0).place(2.0), 0.25);
        near(Scale::Logarithmic(-1, 2).place(1.0), 1.0 / 3.0);
        near(Scale::Nines(4.0).place(0.99), 0.5);
        near(Scale::Linear(8.0).place(9.0), 1.0);
    }

    #[test]
    fn figures_are_short() {
        let texts = [0.0, 0.25, 1.0, 12.5, 250.0, 9_999.0, 12_500.0, 3_250_000.0].map(short);
        assert_eq!(texts, ["0", "0.25", "1", "12.5", "250", "9999", "12.5k", "3.25M"]);
    }
}
