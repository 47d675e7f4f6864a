//! What is written on a picture: the prompt, the sandbox's mark, and the pictures it was given.

use super::palette::Rgb;
use super::scene::Row;
use super::text::{self, Mask};
use super::{Brief, inset::Inset};
use pixel_core::{size::Size, vendor::Desk};

const DARK: Rgb = [10.0, 12.0, 22.0];
const LIGHT: Rgb = [250.0, 248.0, 242.0];

pub struct Overlay {
    cards: Vec<Card>,
    insets: Vec<Inset>,
}

/// A translucent card with rounded corners and text on it.
struct Card {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
    radius: usize,
    /// Where the text begins within the card.
    text: (usize, usize),
    mask: Mask,
    alpha: f32,
    /// A line of this colour along the left side.
    edge: Option<(Rgb, usize)>,
}

impl Overlay {
    pub fn new(brief: &Brief, size: Size, accent: Rgb, desk: &mut dyn Desk) -> Self {
        let badge = badge(&brief.model, size);
        let insets = Inset::row(&brief.pictures, size, margin(size), desk);
        let caption = caption(&brief.prompt, size, accent);
        Self { cards: [badge, caption].into_iter().flatten().collect(), insets }
    }

    /// Draws what of it lies on one row.
    pub fn draw(&self, y: usize, row: &mut Row) {
        self.insets.iter().for_each(|inset| inset.draw(y, row));
        self.cards.iter().for_each(|card| card.draw(y, row));
    }
}

fn short(size: Size) -> usize {
    size.width.min(size.height) as usize
}

fn margin(size: Size) -> usize {
    short(size) / 28
}

/// The prompt on a card at the bottom.
fn caption(prompt: &str, size: Size, accent: Rgb) -> Option<Card> {
    let (wide, tall, margin) = (size.width as usize, size.height as usize, margin(size));
    let scale = (short(size) / 300 + 1).clamp(1, 16);
    // Larger than this a caption becomes a wall of letters; long prompts shrink first.
    let (scale, scale_min) = (scale.max(if short(size) >= 200 { 2 } else { 1 }), scale.min(2));
    let pad = 6 * scale;
    let edge = scale.max(2);
    let room = wide.saturating_sub(2 * margin + 2 * pad + edge);
    let mask = text::draw(prompt.trim(), room.min(64 * 8 * scale), tall * 42 / 100, scale, scale_min);
    if mask.width == 0 || mask.height == 0 {
        return None;
    }
    let (width, height) = (mask.width + 2 * pad + edge, mask.height + pad + pad / 2);
    let card = Card {
        x: margin,
        y: tall.saturating_sub(margin + height),
        width,
        height,
        radius: 3 * scale,
        text: (pad + edge, pad * 3 / 4),
        mask,
        alpha: 0.66,
        edge: Some((accent, edge)),
    };
    Some(card)
}

/// The mark in the upper right corner: that this is the sandbox, and whom it stands in for.
fn badge(model: &str, size: Size) -> Option<Card> {
    let (wide, tall, margin) = (size.width as usize, size.height as usize, margin(size));
    let scale = (short(size) / 640 + 1).clamp(1, 8);
    let pad = 4 * scale;
    let room = wide.saturating_sub(2 * margin + 2 * pad);
    let mask = text::draw(&format!("PIXEL SANDBOX\n{model}"), room, tall / 3, scale, 1);
    if mask.width == 0 || mask.height == 0 {
        return None;
    }
    let (width, height) = (mask.width + 2 * pad, mask.height + pad + pad / 2);
    let x = wide.saturating_sub(margin + width);
    Some(Card {
        x,
        y: margin,
        width,
        height,
        radius: 3 * scale,
        text: (pad, pad * 3 / 4),
        mask,
        alpha: 0.58,
        edge: None,
    })
}

impl Card {
    fn draw(&self, y: usize, row: &mut Row) {
        let Some(v) = y.checked_sub(self.y).filter(|v| *v < self.height) else { return };
        let ink = v.checked_sub(self.text.1).filter(|line| *line < self.mask.height);
        let ink = ink.map(|line| &self.mask.ink[line * self.mask.width..][..self.mask.width]);
        for u in 0..self.width.min(row.width().saturating_sub(self.x)) {
            let x = (self.x + u) as i64;
            let inside = corner(u, v, self.width, self.height, self.radius);
            match self.edge {
                Some((color, edge)) if u < edge => row.lay(x, color, inside * 0.95),
                _ => row.lay(x, DARK, inside * self.alpha),
            }
            let cover = ink.and_then(|line| line.get(u.checked_sub(self.text.0)?)).copied().unwrap_or(0);
            if cover > 0 {
                row.lay(x, LIGHT, f32::from(cover) / 255.0);
            }
        }
    }
}

/// How much of a pixel a rectangle with rounded corners covers.
pub fn corner(u: usize, v: usize, width: usize, height: usize, radius: usize) -> f32 {
    let out = |at: usize, length: usize| {
        let (near, far) = (at as f32 + 0.5, length as f32 - at as f32 - 0.5);
        (radius as f32 - near.min(far)).max(0.0)
    };
    let (dx, dy) = (out(u, width), out(v, height));
    if dx == 0.0 || dy == 0.0 { 1.0 } else { (radius as f32 - dx.hypot(dy) + 0.5).clamp(0.0, 1.0) }
}
