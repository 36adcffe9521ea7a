//! The chart of the README: CPU per delivery as a multiple of the floor.

use std::fmt::Write as _;

use super::bars::Bar;
use super::judge::{Judged as _, Line};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 64.0;
const GROUP: f64 = 58.0;
const BAR: f64 = 18.0;

/// Colours that stand on white and on black; the reader's preference sharpens them.
const STYLE: &str = "\
    text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #57606a }\n\
    .title { font-size: 15px; font-weight: 600 }\n\
    .ours { fill: #1f7a5c } .baseline { fill: #a1a9b3 } .floor { stroke: #57606a; stroke-dasharray: 4 3 }\n\
    @media (prefers-color-scheme: dark) {\n\
      text { fill: #c9d1d9 } .ours { fill: #3fb68b } .baseline { fill: #6e7681 } .floor { stroke: #c9d1d9 }\n\
    }\n";

/// What is drawn, and what it is called there.
pub(super) const DRAWN: [(Bar, &str); 4] = [
    (Bar::Fanout1, "1 × 1000, burst 1"),
    (Bar::Fanout8, "1 × 1000, burst 8"),
    (Bar::Fanout32, "1 × 1000, burst 32"),
    (Bar::Rooms, "100 × 10, stored"),
];

/// Draws the lines of fan-out.
pub(super) fn draw(lines: &[Line]) -> String {
    let groups: Vec<(&str, f64, Option<f64>)> = lines.iter().filter_map(group).collect();
    let highest = groups.iter().map(|(_, ours, baseline)| baseline.unwrap_or(0.0).max(*ours)).fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / highest;
    let height = TOP + GROUP * groups.len() as f64 + 12.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Server CPU per delivery as a multiple of one bare write() a member\">\n<style>\n{STYLE}</style>\n"
    );
    out.push_str(
        "<text class=\"title\" x=\"0\" y=\"18\">Server CPU per delivery; 1 = one bare write() a member</text>\n",
    );
    out.push_str(&legend());
    for (number, (name, ours, baseline)) in groups.iter().enumerate() {
        let y = TOP + GROUP * number as f64;
        // Writing into a string cannot fail.
        let _ = writeln!(out, "<text x=\"0\" y=\"{}\">{name}</text>", y + BAR + 5.0);
        out.push_str(&bar("ours", y, *ours, scale));
        if let Some(baseline) = baseline {
            out.push_str(&bar("baseline", y + BAR + 3.0, *baseline, scale));
        }
    }
    let x = LEFT + scale;
    let _ = writeln!(
        out,
        "<line class=\"floor\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>",
        TOP - 8.0,
        height - 12.0
    );
    out.push_str("</svg>\n");
    out
}

fn legend() -> String {
    let mut out = String::new();
    for (x, class, name) in [
        (0.0, "ours", "Bobchat"),
        (100.0, "baseline", "actix-web-actors, as tutorials have it (stores and acks nothing)"),
    ] {
        // Writing into a string cannot fail.
        let _ = writeln!(out, "<rect class=\"{class}\" x=\"{x}\" y=\"30\" width=\"12\" height=\"12\" rx=\"2\"/>");
        let _ = writeln!(out, "<text x=\"{}\" y=\"41\">{name}</text>", x + 18.0);
    }
    out
}

fn bar(class: &str, y: f64, value: f64, scale: f64) -> String {
    let width = value * scale;
    format!(
        "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>\n\
         <text x=\"{:.1}\" y=\"{}\">{value:.2}</text>\n",
        LEFT + width + 6.0,
        y + 14.0
    )
}

fn group(line: &Line) -> Option<(&'static str, f64, Option<f64>)> {
    let (_, name) = DRAWN.into_iter().find(|(bar, _)| bar.name() == line.name)?;
    let floor = line.floor?;
    Some((name, line.figure?.median, line.baseline.map(|baseline| baseline / floor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_fanout_is_drawn_and_nothing_else() {
        let line = |bar| {
            let mut line = Line::judged(bar, &[1.05], 1, 1);
            (line.floor, line.baseline) = (Some(1.0), Some(7.9));
            line
        };
        let svg = draw(&[line(Bar::Fanout1), line(Bar::Rooms), line(Bar::Idle)]);
        assert_eq!((svg.matches(">1.05<").count(), svg.matches(">7.90<").count()), (2, 2));
        assert!(svg.ends_with("</svg>\n"));
    }
}
