//! A given reference picture, small and framed, so that one sees it was taken along.

use super::overlay::corner;
use super::scene::Row;
use image::{DynamicImage, ImageReader, Limits};
use pixel_core::{size::Size, vendor::Desk};
use std::io::Cursor;

/// A picture with more pixels than this is not decoded.
const PIXELS_MAX: u64 = 40_000_000;
/// What decoding one may allocate.
const ALLOC_MAX: u64 = 256 << 20;
/// More pictures than this are not shown.
const SHOWN_MAX: usize = 4;
const FRAME: [f32; 3] = [250.0, 248.0, 242.0];

pub struct Inset {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    frame: usize,
    /// Red, green, blue of each pixel within the frame.
    pixels: Vec<u8>,
}

impl Inset {
    /// The pictures of these blobs side by side in the upper left corner. What cannot be read or
    /// decoded is left out: an inset is a courtesy, the picture itself matters more.
    pub fn row(blobs: &[String], size: Size, margin: usize, desk: &mut dyn Desk) -> Vec<Self> {
        let side = size.width.min(size.height) / 5;
        let frame = (side / 40).max(1) as usize;
        let (mut x, y) = (margin, margin);
        let mut all = Vec::new();
        for sha256 in blobs.iter().take(SHOWN_MAX) {
            let Some(small) = desk.blob(sha256).ok().and_then(|bytes| thumbnail(&bytes, side)) else { continue };
            let (wide, tall) = (small.width() as usize, small.height() as usize);
            let (width, height) = (wide + 2 * frame, tall + 2 * frame);
            if x + width + margin > size.width as usize {
                break;
            }
            all.push(Self { x, y, width, height, frame, pixels: small.into_rgb8().into_raw() });
            x += width + margin / 2;
        }
        all
    }

    pub fn draw(&self, y: usize, row: &mut Row) {
        let Some(v) = y.checked_sub(self.y).filter(|v| *v < self.height) else { return };
        let wide = self.width - 2 * self.frame;
        let line = v.checked_sub(self.frame).and_then(|v| self.pixels.get(v * wide * 3..(v + 1) * wide * 3));
        for u in 0..self.width {
            let x = (self.x + u) as i64;
            row.lay(x, FRAME, corner(u, v, self.width, self.height, self.frame * 2));
            let pixel = u.checked_sub(self.frame).and_then(|u| line?.get(u * 3..u * 3 + 3));
            if let Some([r, g, b]) = pixel {
                row.lay(x, [*r, *g, *b].map(f32::from), 1.0);
            }
        }
    }
}

/// Decodes a picture whose header says that it is not too large, and makes it small.
fn thumbnail(bytes: &[u8], side: u32) -> Option<DynamicImage> {
    let read = || ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok();
    let (width, height) = read()?.into_dimensions().ok()?;
    if side == 0 || u64::from(width) * u64::from(height) > PIXELS_MAX {
        return None;
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(ALLOC_MAX);
    let mut reader = read()?;
    reader.limits(limits);
    Some(reader.decode().ok()?.thumbnail(side, side))
}
