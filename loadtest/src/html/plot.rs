//! One plot: lines over an axis, in SVG.

use std::fmt::Write as _;

use super::escape;
use super::scale::{Scale, short};

/// As wide as half a page: drawn larger than it is, letters would be too.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 14.0;
/// Room for the unit above the highest figure.
const TOP: f64 = 36.0;
const BOTTOM: f64 = 30.0;

/// The width of a letter at most: on a phone, where the picture is drawn at two thirds and letters are larger to be
/// read (style.css).
const LETTER: f64 = 9.6;

/// What lies between two figures beside an axis at least.
const BETWEEN: f64 = 6.0;

/// More points than this are thinned out: a screen has no more.
const POINTS_MAX: usize = 600;

/// How lines are told apart, by colour and by dash.
const CLASSES: [&str; 4] = ["one", "two", "three", "four"];

/// One line. It is broken where two points are farther apart than others: nothing was seen there.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// A stretch that is marked.
#[derive(Debug, Clone)]
pub(super) struct Band {
    pub(super) name: String,
    pub(super) from: f64,
    pub(super) until: f64,
}

/// A figure below the axis.
struct Tick {
    x: f64,
    anchor: &'static str,
    text: String,
}

impl Tick {
    /// Where it begins at least.
    fn left(&self) -> f64 {
        self.x - if self.anchor == "end" { self.width() } else { self.width() / 2.0 }
    }

    /// How wide it is at most.
    fn width(&self) -> f64 {
        self.text.chars().count() as f64 * LETTER
    }
}

/// One plot.
#[derive(Debug)]
pub(super) struct Plot<'a> {
    /// For those who do not see it.
    pub(super) title: &'a str,
    /// Written behind figures.
    pub(super) unit: &'a str,
    pub(super) x: Scale,
    pub(super) x_unit: &'a str,
    pub(super) y: Scale,
    pub(super) lines: &'a [Line],
    pub(super) bands: &'a [Band],
}

impl Plot<'_> {
    /// The plot with its legend.
    pub(super) fn figure(&self) -> String {
        let mut out = String::from("<figure>\n<figcaption>");
        for (line, class) in self.lines.iter().zip(CLASSES) {
            let sample = format!(
                "<svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><path class=\"plot {class}\" d=\"M0 5H26\"/></svg>"
            );
            out.push_str(&format!("<span>{sample}{}</span>", escape(line.name)));
        }
        out.push_str("</figcaption>\n");
        // Writing into a string cannot fail.
        let _ = self.write_svg(&mut out);
        out.push_str("</figure>\n");
        out
    }

    fn write_svg(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(self.title))?;
        self.write_axes(out)?;
        self.write_bands(out)?;
        for (line, class) in self.lines.iter().zip(CLASSES) {
            writeln!(out, "<path class=\"plot {class}\" d=\"{}\"/>", self.path(&thin(&line.points)))?;
        }
        self.write_hovers(out)?;
        writeln!(out, "</svg>")
    }

    fn write_axes(&self, out: &mut String) -> std::fmt::Result {
        for (figure, text) in self.y.ticks() {
            let y = self.at_y(figure);
            writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{}\"/>", WIDTH - RIGHT)?;
            writeln!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", LEFT - 6.0, y + 3.5)?;
        }
        let bottom = HEIGHT - BOTTOM;
        writeln!(out, "<path class=\"axis\" d=\"M{LEFT} {bottom}H{}\"/>", WIDTH - RIGHT)?;
        writeln!(out, "<text x=\"0\" y=\"18\">{}</text>", escape(self.unit))?;
        for Tick { x, anchor, text } in self.x_ticks() {
            let y = HEIGHT - 7.0;
            writeln!(out, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>")?;
        }
        Ok(())
    }

    /// What is written below the axis: the last figure, with the unit, and those before it that do not touch another.
    fn x_ticks(&self) -> Vec<Tick> {
        let mut ticks = self.x.ticks();
        let Some((last, text)) = ticks.pop() else { return Vec::new() };
        let mut last = Tick { x: self.at_x(last), anchor: "middle", text: format!("{text}{}", self.x_unit) };
        if last.x + last.width() / 2.0 > WIDTH {
            // Inside the picture.
            last.anchor = "end";
        }
        let end = last.left() - BETWEEN;
        let mut shown: Vec<Tick> = Vec::new();
        for (figure, text) in ticks {
            let tick = Tick { x: self.at_x(figure), anchor: "middle", text };
            let free = shown.last().map_or(0.0, |before| before.x + before.width() / 2.0 + BETWEEN);
            if tick.left() >= free && tick.x + tick.width() / 2.0 <= end {
                shown.push(tick);
            }
        }
        shown.push(last);
        shown
    }

    fn write_bands(&self, out: &mut String) -> std::fmt::Result {
        for band in self.bands {
            let (from, until) = (self.at_x(band.from), self.at_x(band.until));
            let (width, height) = ((until - from).max(1.5), HEIGHT - BOTTOM - TOP);
            writeln!(
                out,
                "<rect class=\"fault\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height}\"/>"
            )?;
            // Inside the picture, also for a fault near its end.
            let (x, anchor) = if from > WIDTH * 0.7 { (until, "end") } else { (from, "start") };
            let name = escape(&band.name);
            writeln!(
                out,
                "<text class=\"fault-name\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{name}</text>",
                TOP + 10.0
            )?;
        }
        Ok(())
    }

    /// A stretch for each point of the first line; whoever rests there sees all figures of it.
    fn write_hovers(&self, out: &mut String) -> std::fmt::Result {
        let Some(first) = self.lines.iter().max_by_key(|line| line.points.len()) else { return Ok(()) };
        let points = thin(&first.points);
        let places: Vec<f64> = points.iter().map(|(x, _)| self.at_x(*x)).collect();
        for (number, (x, _)) in points.iter().enumerate() {
            let place = self.at_x(*x);
            let before = number.checked_sub(1).and_then(|before| places.get(before)).copied().unwrap_or(LEFT);
            let width = (place - before).max(0.5);
            let figures: Vec<String> = self.lines.iter().filter_map(|line| self.words_at(line, *x)).collect();
            let at = match self.x {
                Scale::Nines(_) => format!("{:.3} %", x * 100.0),
                _ => format!("{}{}", short(*x), self.x_unit),
            };
            writeln!(
                out,
                "<rect class=\"hover\" x=\"{before:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{}\"><title>{at}\n{}</title></rect>",
                HEIGHT - BOTTOM - TOP,
                escape(&figures.join("\n"))
            )?;
        }
        Ok(())
    }

    fn words_at(&self, line: &Line, x: f64) -> Option<String> {
        let nearest = line.points.iter().min_by(|one, other| (one.0 - x).abs().total_cmp(&(other.0 - x).abs()))?;
        let is_here = (self.at_x(nearest.0) - self.at_x(x)).abs() < 3.0;
        is_here.then(|| format!("{} {} {}", line.name, short(nearest.1), self.unit))
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        let mut before: Option<f64> = None;
        let gap = gap(points);
        for (x, y) in points {
            let command = if before.is_some_and(|before| x - before <= gap) { 'L' } else { 'M' };
            // Writing into a string cannot fail.
            let _ = write!(path, "{command}{:.1} {:.1}", self.at_x(*x), self.at_y(*y));
            // A single point has to be seen too.
            if command == 'M' {
                path.push_str("h.1");
            }
            before = Some(*x);
        }
        path
    }

    fn at_x(&self, figure: f64) -> f64 {
        LEFT + self.x.place(figure) * (WIDTH - LEFT - RIGHT)
    }

    fn at_y(&self, figure: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(figure) * (HEIGHT - BOTTOM - TOP)
    }
}

/// Points farther apart than this have nothing between them: twice as far as they are as a rule, or a second.
fn gap(points: &[(f64, f64)]) -> f64 {
    let mut steps: Vec<f64> =
        points.windows(2).map(|pair| pair.iter().map(|(x, _)| *x).fold(0.0, |a, b| b - a)).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).map_or(f64::INFINITY, |median| (median * 2.5).max(1.5))
}

/// Few enough points: the highest of each stretch, so that no peak is lost.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stretch = points.len().div_ceil(POINTS_MAX).max(1);
    let highest = |points: &[(f64, f64)]| points.iter().copied().max_by(|one, other| one.1.total_cmp(&other.1));
    points.chunks(stretch).filter_map(highest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot<'a>(lines: &'a [Line], bands: &'a [Band]) -> Plot<'a> {
        let (x, y) = (Scale::Linear(10.0), Scale::Linear(100.0));
        Plot { title: "a < b", unit: "ms", x, x_unit: " s", y, lines, bands }
    }

    #[test]
    fn a_line_is_broken_where_nothing_was_seen_and_a_fault_is_marked() {
        let points = vec![(1.0, 10.0), (2.0, 20.0), (3.0, 10.0), (8.0, 10.0), (9.0, 10.0)];
        let lines = [Line { name: "p99", points }];
        let bands = [Band { name: "pause".to_owned(), from: 3.0, until: 7.0 }];
        let figure = plot(&lines, &bands).figure();
        let path = figure.split("class=\"plot one\" d=\"").nth(2).unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 3), "{path}");
        assert!(figure.contains("class=\"fault\"") && figure.contains(">pause<") && figure.contains("a &lt; b"));
        assert!(figure.contains("p99 20 ms"), "{figure}");
    }

    #[test]
    fn figures_below_an_axis_never_touch_and_the_last_one_is_there() {
        let axes = [
            (Scale::Nines(5.0), ""),
            (Scale::Nines(3.0), ""),
            (Scale::Linear(14_400.0), " s"),
            (Scale::Linear(1.0), " s"),
        ];
        for (x, x_unit) in axes {
            let plot = Plot { x, x_unit, ..plot(&[], &[]) };
            let ticks = plot.x_ticks();
            let (last, others) = ticks.split_last().unwrap();
            let mut free = 0.0;
            for tick in others {
                assert!(tick.left() >= free, "{x:?}: {}", tick.text);
                free = tick.x + tick.width() / 2.0;
            }
            assert!(last.left() >= free && last.text.ends_with(x_unit), "{x:?}: {}", last.text);
            assert!(others.len() >= 2, "{x:?}");
        }
    }

    #[test]
    fn long_runs_are_thinned_and_keep_their_peaks() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|x| (f64::from(x), 1.0)).collect();
        points[5_003].1 = 50.0;
        let thin = thin(&points);
        assert!(thin.len() <= POINTS_MAX && thin.iter().any(|(_, y)| *y > 49.0));
    }
}
