//! The result: one Markdown table, Pixel's figures first, the probes after them.

use crate::{
    load::Sample,
    targets::{Goal, Goals},
};
use pixel_testkit::rig::Rows;
use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    PerSecond,
    Milliseconds,
    Seconds,
    MiB,
    Percent,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", thousands(value)),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Seconds => format!("{value:.2} s"),
            Self::MiB => format!("{value:.1} MiB"),
            Self::Percent => format!("{value:.1} %"),
        }
    }
}

/// One figure on one database.
#[derive(Clone, Debug)]
pub struct Figure {
    pub name: String,
    pub unit: Unit,
    pub value: f64,
    pub goal: Goal,
    /// The same on the bare server.
    pub probe: Option<f64>,
}

/// One figure; on SQLite, on PostgreSQL.
#[derive(Debug)]
struct Row {
    name: String,
    is_probe: bool,
    cells: [Option<Figure>; 2],
}

pub struct Board {
    facts: Vec<String>,
    rows: Vec<Row>,
}

impl Board {
    pub fn new(facts: Vec<String>) -> Self {
        Self { facts, rows: Vec::new() }
    }

    pub fn put(&mut self, rows: Rows, figure: Figure) {
        self.place(rows, figure, false);
    }

    /// A figure of a bare server, or of the bare disk.
    pub fn put_probe(&mut self, rows: Rows, name: &str, unit: Unit, value: f64) {
        let figure = Figure { name: format!("probe: {name}"), unit, value, goal: Goal::Open, probe: None };
        self.place(rows, figure, true);
    }

    pub fn sample(&mut self, rows: Rows, name: &str, sample: Sample, goals: Goals, probe: [Option<f64>; 3]) {
        for (((what, unit, pick), goal), probe) in SAMPLE.into_iter().zip(goals).zip(probe) {
            let (name, value) = (format!("{name}{what}"), pick(&sample));
            self.put(rows, Figure { name, unit, value, goal, probe });
        }
    }

    pub fn sample_probe(&mut self, rows: Rows, name: &str, sample: Sample) {
        for (what, unit, pick) in SAMPLE {
            self.put_probe(rows, &format!("{name}{what}"), unit, pick(&sample));
        }
    }

    /// The size of the binary belongs to neither database.
    pub fn binary(&mut self, bytes: u64) {
        self.facts.push(format!("the binary has {:.1} MiB", bytes as f64 / 1_048_576.0));
    }

    fn place(&mut self, rows: Rows, figure: Figure, is_probe: bool) {
        let name = figure.name.clone();
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            self.rows.push(Row { name, is_probe, cells: [None, None] });
            self.rows.len() - 1
        });
        self.rows[at].cells[usize::from(rows == Rows::Postgres)] = Some(figure);
    }

    pub fn render(&self) -> String {
        let mut out = "# Benchmark\n\n".to_owned();
        for fact in &self.facts {
            let _ = writeln!(out, "- {fact}");
        }
        out.push_str("\n| Figure | SQLite | PostgreSQL | Target | Ratio to its probe |\n|---|---:|---:|---:|---:|\n");
        let (probes, own): (Vec<&Row>, Vec<&Row>) = self.rows.iter().partition(|row| row.is_probe);
        for row in own.into_iter().chain(probes) {
            let [sqlite, postgres] = row.cells.each_ref().map(|cell| cell.as_ref().map_or("–".to_owned(), measured));
            let (target, ratio) = (both(row, target), both(row, ratio));
            let _ = writeln!(out, "| {} | {sqlite} | {postgres} | {target} | {ratio} |", row.name);
        }
        out.push_str(NOTES);
        out
    }
}

/// What a sample's three numbers are called.
type Part = (&'static str, Unit, fn(&Sample) -> f64);
const SAMPLE: [Part; 3] = [
    ("", Unit::PerSecond, |sample| sample.rate),
    (", p50", Unit::Milliseconds, |sample| sample.p50),
    (", p99", Unit::Milliseconds, |sample| sample.p99),
];

const NOTES: &str = "
Two values in one cell are SQLite's and PostgreSQL's; ✗ marks a missed target. The probe of creates \
and reads is a bare axum server over the same database that does one insert with group commit, or one \
read by key, for the same request; of an image made alone it is one such create at 1 connection; of \
tasks a second it is its creates a second at 32 connections; of memory it is that server's own. \
PostgreSQL runs on the server's core; its own memory and processor time are not counted.
";

fn measured(figure: &Figure) -> String {
    let mark = if figure.goal.is_met(figure.value) == Some(false) { " ✗" } else { "" };
    figure.unit.show(figure.value) + mark
}

fn target(figure: &Figure) -> Option<String> {
    match figure.goal {
        Goal::AtLeast(least) => Some(format!("≥ {}", figure.unit.show(least))),
        Goal::AtMost(most) => Some(format!("≤ {}", figure.unit.show(most))),
        Goal::Open => None,
    }
}

fn ratio(figure: &Figure) -> Option<String> {
    Some(format!("{:.2}", figure.value / figure.probe?))
}

/// What the two databases have, once if it is the same.
fn both(row: &Row, of: fn(&Figure) -> Option<String>) -> String {
    let mut all: Vec<String> = row.cells.iter().flatten().filter_map(of).collect();
    all.dedup();
    if all.is_empty() { "–".to_owned() } else { all.join(" / ") }
}

pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_both_databases() {
        let mut board = Board::new(vec!["a fact".to_owned()]);
        board.sample_probe(Rows::Sqlite, "creates", Sample { rate: 27_000.0, p50: 1.1, p99: 3.7 });
        let figure = |value, least, probe| Figure {
            name: "creates".to_owned(),
            unit: Unit::PerSecond,
            value,
            goal: Goal::AtLeast(least),
            probe,
        };
        board.put(Rows::Sqlite, figure(13_500.0, 12_000.0, Some(27_000.0)));
        board.put(Rows::Postgres, figure(950.0, 10_000.0, Some(1_000.0)));
        let text = board.render();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        assert_eq!(lines[0], "| creates | 13,500/s | 950/s ✗ | ≥ 12,000/s / ≥ 10,000/s | 0.50 / 0.95 |");
        assert_eq!(lines[1], "| probe: creates | 27,000/s | – | – | – |");
        assert_eq!(lines.len(), 4);
    }
}
