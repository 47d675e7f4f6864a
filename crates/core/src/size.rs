//! Pixel sizes: levels (`1K`, `720p`), ratios (`16:9`), and the nearest size a vendor can make.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// Width and height in pixels, written `W*H`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Reads `W*H` or `WxH`.
    pub fn parse(text: &str) -> Option<Self> {
        let (w, h) = text.split_once(['*', 'x', 'X', '×'])?;
        let size = Self::new(whole(w.trim())?, whole(h.trim())?);
        (size.width > 0 && size.height > 0).then_some(size)
    }

    pub fn ratio(self) -> f64 {
        f64::from(self.width) / f64::from(self.height)
    }

    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*{}", self.width, self.height)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("'{text}' is not a size such as 1280*720")))
    }
}

/// Width over height of a ratio such as `16:9`; `None` when it is not one, or is beyond 1:20.
pub fn parse_ratio(text: &str) -> Option<f64> {
    let (w, h) = text.split_once(':')?;
    let (w, h) = (decimal(w.trim())?, decimal(h.trim())?);
    let ratio = w / h;
    (w > 0.0 && h > 0.0 && (0.05..=20.0).contains(&ratio)).then_some(ratio)
}

/// What [`parse_ratio`] reads, as a schema says it; that a ratio is not beyond 1:20 no pattern can say.
pub const RATIO_PATTERN: &str = concat!(
    r"^(?:\s*(?:0*[1-9][0-9]*(?:\.[0-9]*)?|0*\.[0-9]*[1-9][0-9]*)\s*",
    r":\s*(?:0*[1-9][0-9]*(?:\.[0-9]*)?|0*\.[0-9]*[1-9][0-9]*)\s*)?$"
);

/// What [`Level::parse`] reads, as a schema says it: both sides at most 16384, at most `16K`, `64p` to `8640p`.
pub const LEVEL_PATTERN: &str = concat!(
    r"^(?:",
    r"\s*0*(?:[1-9][0-9]{0,3}|1[0-5][0-9]{3}|16[0-2][0-9]{2}|163[0-7][0-9]|1638[0-4])\s*[*xX×]",
    r"\s*0*(?:[1-9][0-9]{0,3}|1[0-5][0-9]{3}|16[0-2][0-9]{2}|163[0-7][0-9]|1638[0-4])\s*",
    r"|\s*(?:0*(?:[1-9]|1[0-5])(?:\.[0-9]*)?|0*16(?:\.0*)?|0*\.[0-9]*[1-9][0-9]*)[kK]\s*",
    r"|\s*0*(?:6[4-9]|[7-9][0-9]|[1-9][0-9]{2}|[1-7][0-9]{3}|8[0-5][0-9]{2}|86[0-3][0-9])(?:\.[0-9]*)?[pP]\s*",
    r"|\s*0*8640(?:\.0*)?[pP]\s*",
    r")?$"
);

/// A number in digits alone: no sign, no exponent, no word.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|_| plain)
}

fn whole(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// The side of the square that a level stands for: `1K` is 1024, `2K` 2048, `720p` a short side of 720.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// The square of this side has the area.
    Square(f64),
    /// The shorter side has this length.
    Short(f64),
    /// Both sides are given.
    Exact(Size),
}

impl Level {
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(size) = Size::parse(text) {
            return (size.width <= 16_384 && size.height <= 16_384).then_some(Self::Exact(size));
        }
        let lower = text.trim().to_ascii_lowercase();
        let number = |digits: &str| decimal(digits).filter(|n| n.is_finite() && *n > 0.0);
        if let Some(k) = lower.strip_suffix('k').and_then(number) {
            return (k <= 16.0).then_some(Self::Square(k * 1024.0));
        }
        let p = lower.strip_suffix('p').and_then(number)?;
        (64.0..=8640.0).contains(&p).then_some(Self::Short(p))
    }

    /// The size of this level at a ratio (width over height), sides even.
    pub fn at(self, ratio: f64) -> Size {
        let (w, h) = match self {
            Self::Exact(size) => return size,
            Self::Square(side) => (side * ratio.sqrt(), side / ratio.sqrt()),
            Self::Short(side) if ratio >= 1.0 => (side * ratio, side),
            Self::Short(side) => (side, side / ratio),
        };
        Size::new(even(w), even(h))
    }
}

/// Rounds a length in pixels to the nearest even number, at least 2.
fn even(length: f64) -> u32 {
    // Lengths come from `Level::parse` and `parse_ratio`, both bounded, so the cast cannot wrap.
    ((length / 2.0).round() as u32 * 2).max(2)
}

/// Which sizes a vendor makes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Makes {
    /// Only these.
    List(Vec<Size>),
    /// Anything within bounds.
    Range(Bounds),
}

/// Bounds on a size; sides in pixels.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    pub side_min: u32,
    pub side_max: u32,
    /// Both sides are multiples of this.
    #[serde(default = "one")]
    pub multiple: u32,
    #[serde(default)]
    pub pixels_min: u64,
    #[serde(default = "unbounded")]
    pub pixels_max: u64,
    /// The longer side over the shorter one.
    #[serde(default = "any_ratio")]
    pub ratio_max: f64,
}

fn one() -> u32 {
    1
}
fn unbounded() -> u64 {
    u64::MAX
}
fn any_ratio() -> f64 {
    20.0
}

impl Makes {
    /// The size nearest to `wanted`: the ratio decides first, then the area.
    pub fn nearest(&self, wanted: Size) -> Size {
        match self {
            Self::List(sizes) => {
                let far = |s: &Size| ((s.ratio() / wanted.ratio()).ln().abs() * 1e3, pixels_apart(*s, wanted));
                let closer = |a: &&Size, b: &&Size| far(a).partial_cmp(&far(b)).unwrap_or(std::cmp::Ordering::Equal);
                sizes.iter().min_by(closer).copied().unwrap_or(wanted)
            }
            Self::Range(bounds) => bounds.nearest(wanted),
        }
    }
}

fn pixels_apart(a: Size, b: Size) -> f64 {
    (a.pixels() as f64 / b.pixels() as f64).ln().abs()
}

impl Bounds {
    /// Whether there is anything within: the error says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let sides = (1..=self.side_max).contains(&self.side_min) && self.multiple > 0;
        let ratio = self.ratio_max >= 1.0 && self.ratio_max.is_finite();
        match sides && ratio && self.pixels_min <= self.pixels_max {
            true => Ok(()),
            false => Err("makes.range has nothing within its bounds".to_owned()),
        }
    }

    fn nearest(&self, wanted: Size) -> Size {
        let ratio = wanted.ratio().clamp(1.0 / self.ratio_max, self.ratio_max);
        let area = (wanted.pixels() as f64).clamp(self.pixels_min as f64, self.pixels_max as f64);
        let (mut w, mut h) = ((area * ratio).sqrt(), (area / ratio).sqrt());
        let shrink = (f64::from(self.side_max) / w.max(h)).min(1.0);
        let grow = (f64::from(self.side_min) / (w.min(h) * shrink)).max(1.0);
        w *= shrink * grow;
        h *= shrink * grow;
        let exact = Size::new(self.snap(w), self.snap(h));
        if exact.pixels() <= self.pixels_max {
            return exact;
        }
        // Rounding up may pass the area; one step down on the longer side never does.
        match exact.width >= exact.height {
            true => Size::new(self.step_down(exact.width), exact.height),
            false => Size::new(exact.width, self.step_down(exact.height)),
        }
    }

    fn step_down(&self, length: u32) -> u32 {
        length.saturating_sub(self.multiple).max(self.side_min)
    }

    fn snap(&self, length: f64) -> u32 {
        let step = f64::from(self.multiple);
        ((length / step).round() * step).clamp(f64::from(self.side_min), f64::from(self.side_max)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_ratios() {
        assert_eq!(Level::parse("1K").map(|l| l.at(1.0)), Some(Size::new(1024, 1024)));
        assert_eq!(Level::parse("720p").map(|l| l.at(16.0 / 9.0)), Some(Size::new(1280, 720)));
        assert_eq!(Level::parse("720p").map(|l| l.at(9.0 / 16.0)), Some(Size::new(720, 1280)));
        assert_eq!(Level::parse("640x360").map(|l| l.at(1.0)), Some(Size::new(640, 360)));
        for bad in ["", "K", "banana", "-1K", "0K", "99999p", "infK", "nanp", "+1K", "1e0K", "+640x360"] {
            assert_eq!(Level::parse(bad), None, "{bad}");
        }
        assert_eq!(parse_ratio("16:9"), Some(16.0 / 9.0));
        for bad in ["", "16", "0:9", "9:0", "a:b", "100:1", "-16:9", "nan:1", "1e1:9"] {
            assert_eq!(parse_ratio(bad), None, "{bad}");
        }
    }

    #[test]
    fn nearest_keeps_the_ratio_first() {
        let list = Makes::List(vec![Size::new(1664, 928), Size::new(1328, 1328), Size::new(928, 1664)]);
        assert_eq!(list.nearest(Size::new(2560, 1440)), Size::new(1664, 928));
        let range = Makes::Range(Bounds {
            side_min: 256,
            side_max: 3840,
            multiple: 16,
            pixels_min: 0,
            pixels_max: 3840 * 2160,
            ratio_max: 3.0,
        });
        assert_eq!(range.nearest(Size::new(2560, 1440)), Size::new(2560, 1440));
        let wide = range.nearest(Size::new(8000, 1000));
        assert!(wide.ratio() <= 3.05 && wide.width.is_multiple_of(16), "{wide}");
    }
}
