//! A picture as layers: a still sky, discs, ridges that slide, and small things that drift.
//!
//! Everything is drawn a row at a time, so a picture of any size needs only a few rows of memory.
//! Lengths are in parts of the shorter side unless they say otherwise, so that every ratio gets
//! the same shapes. Times are seconds.

use super::dice::{fractal1, smooth};
use super::palette::Rgb;
use super::{drift::Mote, sky::Sky};

/// One row of pixels, a plane for each colour, from 0 to 255.
pub struct Row(pub [Vec<f32>; 3]);

impl Row {
    pub fn new(width: usize) -> Self {
        Self(std::array::from_fn(|_| vec![0.0; width]))
    }

    pub fn width(&self) -> usize {
        self.0[0].len()
    }

    /// Lays a colour over one pixel; outside of the row nothing happens.
    pub fn lay(&mut self, x: i64, color: Rgb, alpha: f32) {
        let Ok(x) = usize::try_from(x) else { return };
        for (plane, value) in self.0.iter_mut().zip(color) {
            if let Some(pixel) = plane.get_mut(x) {
                *pixel += (value - *pixel) * alpha;
            }
        }
    }
}

/// A sun, a moon or a planet with its glow.
pub struct Orb {
    /// Parts of the width and of the height.
    pub x: f32,
    pub y: f32,
    pub radius: f32,
    pub glow: f32,
    pub color: Rgb,
    /// Colour of the side turned away from the light, when it has one.
    pub shade: Option<Rgb>,
    /// How far it moves in a second, rightwards and upwards.
    pub speed: [f32; 2],
}

#[derive(Clone, Copy, PartialEq)]
pub enum Profile {
    Hills,
    Peaks,
    Waves,
    /// Hills with firs on them, of this height.
    Firs(f32),
}

/// Land or water: all that lies under a curve.
pub struct Ridge {
    pub profile: Profile,
    /// Parts of the height.
    pub base: f32,
    pub rise: f32,
    /// Length of one hill.
    pub scale: f32,
    pub salt: u32,
    pub speed: f32,
    pub top: Rgb,
    pub foot: Rgb,
    /// How far below the crest the colour of the foot is reached.
    pub depth: f32,
    pub alpha: f32,
    /// Reflected light under the first orb: its colour and half its width.
    pub glint: Option<(Rgb, f32)>,
}

pub struct Scene {
    pub width: usize,
    pub height: usize,
    pub sky: Sky,
    pub orbs: Vec<Orb>,
    pub ridges: Vec<Ridge>,
    pub motes: Vec<Mote>,
}

/// Where everything stands at one moment.
pub struct Moment<'a> {
    scene: &'a Scene,
    curves: Vec<Curve>,
    seconds: f32,
}

/// A ridge's crest in pixels for each column.
struct Curve {
    crest: Vec<f32>,
    /// How fast the edge fades per pixel of height: steep places fade over more rows.
    edge: Vec<f32>,
    top: f32,
    bottom: f32,
}

impl Scene {
    /// The length that other lengths are parts of.
    pub fn unit(&self) -> f32 {
        self.width.min(self.height) as f32
    }

    pub fn at(&self, seconds: f32) -> Moment<'_> {
        let curves = self.ridges.iter().map(|ridge| ridge.curve(self, seconds)).collect();
        Moment { scene: self, curves, seconds }
    }
}

impl Moment<'_> {
    /// Draws all that moves over a row of the sky.
    pub fn draw(&self, y: usize, row: &mut Row) {
        let line = y as f32 + 0.5;
        // What a solid ridge hides completely need not be drawn.
        let solid = |(curve, ridge): &(&Curve, &Ridge)| ridge.alpha >= 1.0 && line > curve.bottom + 1.0;
        let first = self.curves.iter().zip(&self.scene.ridges).rposition(|pair| solid(&pair));
        if first.is_none() {
            self.scene.orbs.iter().for_each(|orb| orb.draw(self.scene, self.seconds, line, row));
        }
        for at in first.unwrap_or(0)..self.curves.len() {
            if line > self.curves[at].top - 1.0 {
                self.draw_ridge(at, line, row);
            }
        }
        self.scene.motes.iter().for_each(|mote| mote.draw(self.scene, self.seconds, line, row));
    }

    fn draw_ridge(&self, at: usize, line: f32, row: &mut Row) {
        let (ridge, curve) = (&self.scene.ridges[at], &self.curves[at]);
        let fade = 1.0 / (ridge.depth * self.scene.unit()).max(1.0);
        for (channel, plane) in row.0.iter_mut().enumerate() {
            let (top, foot) = (ridge.top[channel], ridge.foot[channel]);
            for ((pixel, crest), edge) in plane.iter_mut().zip(&curve.crest).zip(&curve.edge) {
                let below = line - crest;
                let alpha = (below * edge + 0.5).clamp(0.0, 1.0) * ridge.alpha;
                let color = top + (foot - top) * (below * fade).clamp(0.0, 1.0);
                *pixel += (color - *pixel) * alpha;
            }
        }
        if let (Some((color, half)), Some(orb)) = (ridge.glint, self.scene.orbs.first()) {
            let centre = orb.place(self.scene, self.seconds).0;
            let half = half * self.scene.unit();
            let (from, to) = ((centre - half) as i64, (centre + half) as i64);
            for x in from.max(0)..to.min(row.width() as i64) {
                let below = line - curve.crest[x as usize];
                let side = 1.0 - ((x as f32 - centre) / half).abs();
                let near = (1.0 - below * fade * 2.5).clamp(0.0, 1.0) * (below + 0.5).clamp(0.0, 1.0);
                row.lay(x, color, smooth(0.0, 1.0, side) * near * 0.75);
            }
        }
    }
}

impl Orb {
    fn place(&self, scene: &Scene, seconds: f32) -> (f32, f32) {
        let unit = scene.unit();
        let x = self.x * scene.width as f32 + self.speed[0] * seconds * unit;
        (x, self.y * scene.height as f32 - self.speed[1] * seconds * unit)
    }

    fn draw(&self, scene: &Scene, seconds: f32, line: f32, row: &mut Row) {
        let unit = scene.unit();
        let ((cx, cy), radius, reach) = (self.place(scene, seconds), self.radius * unit, self.glow * unit);
        let dy = line - cy;
        if dy.abs() >= reach.max(radius) + 1.0 {
            return;
        }
        let span = (reach.max(radius).powi(2) - dy * dy).max(0.0).sqrt() + 1.0;
        for x in ((cx - span) as i64).max(0)..((cx + span) as i64 + 1).min(row.width() as i64) {
            let dx = x as f32 + 0.5 - cx;
            let away = (dx * dx + dy * dy).sqrt();
            let halo = (1.0 - away / reach.max(1.0)).clamp(0.0, 1.0);
            row.lay(x, self.color, halo * halo * halo * 0.55);
            let disc = (radius - away + 0.5).clamp(0.0, 1.0);
            if disc > 0.0 {
                row.lay(x, self.face(dx / radius, dy / radius), disc);
            }
        }
    }

    /// The colour of the disc at a place within it, -1 to 1.
    fn face(&self, x: f32, y: f32) -> Rgb {
        let Some(shade) = self.shade else { return self.color };
        let lit = smooth(-0.55, 0.75, -x * 0.8 - y * 0.6 + 0.12 * fractal1(7, y * 4.0 + x * 0.6, 3));
        super::palette::blend(shade, self.color, lit)
    }
}

impl Ridge {
    fn curve(&self, scene: &Scene, seconds: f32) -> Curve {
        let (unit, tall) = (scene.unit(), scene.height as f32);
        let height = |x: f32| {
            let along = x / unit + self.speed * seconds;
            self.base * tall - self.rise * tall * self.swell(along, seconds) - self.firs(along) * unit
        };
        let crest: Vec<f32> = (0..scene.width).map(|x| height(x as f32 + 0.5)).collect();
        let slope = |x: usize| crest[(x + 1).min(crest.len() - 1)] - crest[x.saturating_sub(1)];
        let edge = (0..crest.len()).map(|x| 1.0 / (1.0 + (slope(x) * 0.5).powi(2)).sqrt()).collect();
        let top = crest.iter().copied().fold(f32::INFINITY, f32::min);
        let bottom = crest.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // A steep edge fades over as many rows as it is steep.
        let steep = (0..crest.len()).map(|x| (slope(x) * 0.5).abs()).fold(0.0, f32::max);
        Curve { crest, edge, top: top - steep, bottom: bottom + steep }
    }

    /// How high the land is, about -1 to 1.
    fn swell(&self, along: f32, seconds: f32) -> f32 {
        let x = along / self.scale;
        match self.profile {
            Profile::Hills | Profile::Firs(_) => 1.6 * fractal1(self.salt, x, 3),
            Profile::Peaks => {
                let bulk = fractal1(self.salt, x * 0.5, 2);
                1.5 * (0.5 - fractal1(self.salt ^ 0x55, x, 4).abs() * 1.7) + bulk
            }
            Profile::Waves => {
                let turn = std::f32::consts::TAU;
                let slow = (x * turn + self.salt as f32).sin() * 0.6;
                slow + (x * turn * 1.73 - seconds * 0.9 + (self.salt >> 9) as f32).sin() * 0.4
            }
        }
    }

    /// The height of a fir at this place, or nothing.
    fn firs(&self, along: f32) -> f32 {
        let Profile::Firs(size) = self.profile else { return 0.0 };
        let grid = size * 0.34;
        let here = (along / grid).floor() as i32;
        let tree = |i: i32| {
            let grown = super::dice::cell(self.salt, i, 3);
            let at = (i as f32 + 0.2 + 0.6 * super::dice::cell(self.salt, i, 4)) * grid;
            // Woods and clearings.
            let wood = smooth(-0.15, 0.25, super::dice::noise1(self.salt ^ 0x77, at * 2.2));
            let tall = size * (0.35 + 0.65 * grown) * wood;
            let side = (along - at).abs() / (tall * 0.3).max(1e-6);
            // Boughs: the outline steps in as it rises.
            let step = ((side * 6.0).fract() - 0.5) * 0.09 * smooth(0.0, 0.3, side);
            if side < 1.0 { tall * (1.0 - side + step).max(0.0) } else { 0.0 }
        };
        (here - 1..=here + 1).map(tree).fold(0.0, f32::max)
    }
}
