//! Any text as pixels: broken into lines, ordered from the right where its script is, and drawn
//! with GNU Unifont, whose bitmaps cover every script of the basic plane.

use super::dice::smooth;
use unicode_bidi::{BidiInfo, Level};
use unicode_width::UnicodeWidthChar;
use unifont::Glyph;

/// Pixels of a glyph's height and of a half-width glyph's width, before scaling.
const TALL: usize = 16;
const HALF: usize = 8;
/// Characters that are laid out at most; no picture shows more legibly.
const CHARS_MAX: usize = 4000;

/// How opaque the ink is at each pixel of a rectangle.
pub struct Mask {
    pub width: usize,
    pub height: usize,
    pub ink: Vec<u8>,
}

/// One glyph with the marks that stand over it.
#[derive(Clone)]
struct Cluster {
    glyphs: Vec<&'static Glyph>,
    /// Half-width cells.
    cells: usize,
    level: Level,
    /// A line may end after it.
    ends_word: bool,
    space: bool,
}

struct Line {
    /// In the order in which they stand, left to right.
    clusters: Vec<Cluster>,
    from_right: bool,
}

impl Line {
    fn cells(&self) -> usize {
        self.clusters.iter().map(|cluster| cluster.cells).sum()
    }
}

/// Draws a text into at most this width and height, as large as `scale` or smaller down to
/// `scale_min`; what does not fit even then is cut and ends in dots.
pub fn draw(text: &str, width: usize, height: usize, scale: usize, scale_min: usize) -> Mask {
    for scale in (scale_min.max(1)..=scale.max(scale_min)).rev() {
        let (columns, rows) = (width / (HALF * scale), (height / line_height(scale)).max(1));
        if columns == 0 && scale > scale_min {
            continue;
        }
        let lines = break_lines(text, columns.max(1));
        if lines.len() <= rows {
            return rasterise(&lines, scale, width, height);
        }
        if scale == scale_min.max(1) {
            return rasterise(&cut(lines, rows, columns.max(1)), scale, width, height);
        }
    }
    Mask { width: 0, height: 0, ink: Vec::new() }
}

pub fn line_height(scale: usize) -> usize {
    TALL * scale + 2 * scale
}

fn cut(mut lines: Vec<Line>, rows: usize, columns: usize) -> Vec<Line> {
    lines.truncate(rows);
    if let Some(last) = lines.last_mut() {
        while last.cells() + 3 > columns && !last.clusters.is_empty() {
            if last.from_right {
                last.clusters.remove(0)
            } else {
                last.clusters.pop().unwrap_or_else(|| blank(Level::ltr()))
            };
        }
        let dots: Vec<_> = ".".repeat(3.min(columns)).chars().filter_map(|c| cluster(c, Level::ltr())).collect();
        let at = if last.from_right { 0 } else { last.clusters.len() };
        last.clusters.splice(at..at, dots);
    }
    lines
}

fn break_lines(text: &str, columns: usize) -> Vec<Line> {
    let text: String = text.chars().take(CHARS_MAX).map(|c| if c == '\t' { ' ' } else { c }).collect();
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        // Unifont has Arabic letters joined, as characters of their own.
        let paragraph = &*ar_reshaper::reshape_line(paragraph);
        let bidi = BidiInfo::new(paragraph, None);
        let base = bidi.paragraphs.first().map_or_else(Level::ltr, |p| p.level);
        let clusters = clusters(paragraph, &bidi.levels);
        if clusters.is_empty() && !lines.is_empty() {
            lines.push(Line { clusters: Vec::new(), from_right: false });
        }
        let mut rest = clusters.as_slice();
        while !rest.is_empty() {
            let (take, skip) = fitting(rest, columns);
            let levels: Vec<_> = rest[..take].iter().map(|cluster| cluster.level).collect();
            let order = BidiInfo::reorder_visual(&levels);
            let clusters = order.into_iter().map(|at| rest[at].clone()).collect();
            lines.push(Line { clusters, from_right: base.is_rtl() });
            rest = &rest[skip..];
        }
    }
    lines
}

/// How many clusters stand on the next line, and how many are used up by it.
fn fitting(rest: &[Cluster], columns: usize) -> (usize, usize) {
    let (mut used, mut fits) = (0, 0);
    for cluster in rest {
        used += cluster.cells;
        if used > columns && !cluster.space {
            break;
        }
        fits += 1;
    }
    // A single glyph wider than the line still has to go somewhere.
    let mut end = fits.max(1);
    if end < rest.len() {
        let word = rest[..end].iter().rposition(|cluster| cluster.ends_word);
        // A word longer than half of the line is broken rather than moved.
        end = word.map_or(end, |at| if (at + 1) * 2 > end { at + 1 } else { end });
    }
    let shown = rest[..end].iter().rposition(|cluster| !cluster.space).map_or(0, |at| at + 1);
    (shown, end)
}

fn clusters(paragraph: &str, levels: &[Level]) -> Vec<Cluster> {
    let mut all: Vec<Cluster> = Vec::new();
    for (at, c) in paragraph.char_indices() {
        let level = levels.get(at).copied().unwrap_or_else(Level::ltr);
        match c.width() {
            // Controls, and what only joins or selects forms of others.
            None => {}
            Some(0) if !draws_over(c) => {}
            Some(0) => {
                if let (Some(last), Some(mark)) = (all.last_mut(), unifont::get_glyph(c)) {
                    last.glyphs.push(mark);
                }
            }
            Some(_) => all.extend(cluster(c, level)),
        }
    }
    all
}

/// Whether a character without width is a visible mark.
fn draws_over(c: char) -> bool {
    !matches!(c, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

fn cluster(c: char, level: Level) -> Option<Cluster> {
    // Beyond the basic plane (most emoji) a plain box stands for the glyph.
    let glyph =
        unifont::get_glyph(if level.is_rtl() { mirrored(c) } else { c }).or_else(|| unifont::get_glyph('\u{25a1}'))?;
    let wide = glyph.is_fullwidth();
    let space = c.is_whitespace();
    let glyphs = if space { Vec::new() } else { vec![glyph] };
    let closing = matches!(c, '-' | '/' | '，' | '。' | '、' | '！' | '？' | '；' | '：');
    Some(Cluster { glyphs, cells: if wide { 2 } else { 1 }, level, ends_word: space || wide || closing, space })
}

/// Brackets open the other way when they are read from the right.
fn mirrored(c: char) -> char {
    const PAIRS: [(char, char); 7] =
        [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>'), ('«', '»'), ('‹', '›'), ('（', '）')];
    let other = PAIRS.iter().find_map(|(open, close)| match c {
        c if c == *open => Some(*close),
        c if c == *close => Some(*open),
        _ => None,
    });
    other.unwrap_or(c)
}

fn blank(level: Level) -> Cluster {
    Cluster { glyphs: Vec::new(), cells: 1, level, ends_word: true, space: true }
}

fn rasterise(lines: &[Line], scale: usize, width: usize, height: usize) -> Mask {
    let cells = lines.iter().map(Line::cells).max().unwrap_or(0);
    let wide = (cells * HALF * scale).min(width);
    let tall = (lines.len() * line_height(scale)).min(height);
    let mut mask = Mask { width: wide, height: tall, ink: vec![0; wide * tall] };
    for (row, line) in lines.iter().enumerate() {
        let start = if line.from_right { wide.saturating_sub(line.cells() * HALF * scale) } else { 0 };
        let mut column = 0;
        for cluster in &line.clusters {
            for glyph in &cluster.glyphs {
                stamp(&mut mask, glyph, start + column * HALF * scale, row * line_height(scale) + scale, scale);
            }
            column += cluster.cells;
        }
    }
    mask
}

/// Draws one glyph enlarged, its steps rounded off.
fn stamp(mask: &mut Mask, glyph: &Glyph, left: usize, top: usize, scale: usize) {
    let wide = glyph.get_width();
    let bit = |x: i32, y: i32| {
        let inside = x >= 0 && y >= 0 && (x as usize) < wide && (y as usize) < TALL;
        f32::from(u8::from(inside && glyph.get_pixel(x as usize, y as usize)))
    };
    for y in 0..TALL * scale {
        for x in 0..wide * scale {
            let (px, py) = (left + x, top + y);
            if px >= mask.width || py >= mask.height {
                continue;
            }
            let ink = &mut mask.ink[py * mask.width + px];
            let (u, v) = ((x as f32 + 0.5) / scale as f32 - 0.5, (y as f32 + 0.5) / scale as f32 - 0.5);
            let (fu, fv) = (u.floor(), v.floor());
            let (i, j, s, t) = (fu as i32, fv as i32, u - fu, v - fv);
            let upper = bit(i, j) * (1.0 - s) + bit(i + 1, j) * s;
            let lower = bit(i, j + 1) * (1.0 - s) + bit(i + 1, j + 1) * s;
            let value =
                if scale == 1 { bit(x as i32, y as i32) } else { smooth(0.3, 0.6, upper * (1.0 - t) + lower * t) };
            *ink = (*ink).max((value * 255.0) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inked(mask: &Mask) -> usize {
        mask.ink.iter().filter(|ink| **ink > 127).count()
    }

    #[test]
    fn text_keeps_within_its_bounds_whatever_it_is() {
        let samples = [
            "",
            " ",
            "\n\n",
            "一二三四五六七八九十",
            "a\u{301}e\u{308}",
            "👩‍👩‍👧 🎉",
            "שלום עולם",
            "مرحبا بالعالم (١٢٣)",
            "\u{0}\u{1b}",
            "ไทย हिन्दी",
        ];
        let long: Vec<String> = samples.iter().map(|text| text.repeat(300)).collect();
        for text in samples.iter().copied().chain(long.iter().map(String::as_str)) {
            for (width, height) in [(1, 1), (7, 5), (40, 40), (600, 200)] {
                let mask = draw(text, width, height, 4, 1);
                assert!(mask.width <= width && mask.height <= height, "{text:?} in {width}*{height}");
                assert_eq!(mask.ink.len(), mask.width * mask.height);
            }
        }
    }

    #[test]
    fn every_script_leaves_ink() {
        for text in ["a", "é", "中", "あ", "한", "ש", "ع", "ก", "ह", "👩", "☀"] {
            assert!(inked(&draw(text, 200, 80, 2, 1)) > 10, "{text}");
        }
    }

    #[test]
    fn words_move_whole_and_hebrew_runs_from_the_right() {
        let lines = break_lines("one two three", 8);
        assert_eq!(lines.iter().map(Line::cells).collect::<Vec<_>>(), [7, 5]);
        let glyph = |c| unifont::get_glyph(c).unwrap();
        let lines = break_lines("אב", 8);
        assert!(lines[0].from_right && lines[0].clusters[0].glyphs[0] == glyph('ב'));
        let lines = break_lines("(א", 8);
        assert!(lines[0].clusters[1].glyphs[0] == glyph(')'), "brackets are mirrored");
    }

    #[test]
    fn what_does_not_fit_ends_in_dots() {
        let whole = break_lines(&"word ".repeat(200), 20);
        let cut = cut(whole, 3, 20);
        assert_eq!(cut.len(), 3);
        assert!(cut[2].clusters.last().unwrap().glyphs[0] == unifont::get_glyph('.').unwrap());
        assert!(cut[2].cells() <= 20);
    }
}
