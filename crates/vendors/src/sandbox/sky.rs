//! What stands still behind everything: a gradient, clouds, stars and northern lights.

use super::dice::{cell, fractal1, fractal2, noise1, smooth};
use super::palette::{Rgb, blend};
use super::scene::{Row, Scene};

pub struct Sky {
    pub stops: [Rgb; 3],
    /// Where the last colour is reached, as a part of the height.
    pub horizon: f32,
    pub cloud: Rgb,
    /// 0 is a clear sky, 1 an overcast one.
    pub clouds: f32,
    pub stars: bool,
    /// Colour of northern lights.
    pub aurora: Option<Rgb>,
    pub salt: u32,
}

impl Sky {
    pub fn draw(&self, scene: &Scene, y: usize, row: &mut Row) {
        let high = (y as f32 + 0.5) / (self.horizon * scene.height as f32).max(1.0);
        let [top, middle, low] = self.stops;
        let base = match high {
            h if h < 0.55 => blend(top, middle, smooth(0.0, 0.55, h)),
            h => blend(middle, low, smooth(0.55, 1.0, h.min(1.0))),
        };
        for (plane, value) in row.0.iter_mut().zip(base) {
            plane.fill(value);
        }
        if high > 1.05 {
            return;
        }
        if self.stars {
            self.draw_stars(scene, y, row);
        }
        if let Some(color) = self.aurora {
            self.draw_aurora(scene, y, row, color);
        }
        self.draw_clouds(scene, y, high, row);
    }

    fn draw_clouds(&self, scene: &Scene, y: usize, high: f32, row: &mut Row) {
        let weight = self.clouds * smooth(0.0, 0.3, high) * (1.0 - smooth(0.75, 1.05, high));
        if weight <= 0.0 {
            return;
        }
        let unit = scene.unit();
        let v = y as f32 / unit * 5.0;
        for x in 0..row.width() {
            let u = x as f32 / unit * 1.3;
            let density = smooth(0.02, 0.55, fractal2(self.salt, u + 0.2 * v, v, 4));
            row.lay(x as i64, self.cloud, density * weight);
        }
    }

    fn draw_stars(&self, scene: &Scene, y: usize, row: &mut Row) {
        let grid = (scene.unit() * 0.022).max(6.0);
        let line = y as f32 + 0.5;
        let j = (line / grid) as i32;
        let fade = 1.0 - smooth(0.55, 1.0, line / (self.horizon * scene.height as f32).max(1.0));
        for i in 0..=(row.width() as f32 / grid) as i32 {
            if cell(self.salt, i, j) > 0.42 {
                continue;
            }
            let bright = cell(self.salt ^ 1, i, j);
            let radius = grid * (0.03 + 0.07 * bright * bright * bright) + 0.35;
            // Kept within its own cell, so that no neighbour has to be asked.
            let place = |n: i32, salt: u32| (n as f32 + 0.15 + 0.7 * cell(self.salt ^ salt, i, j)) * grid;
            let (cx, cy) = (place(i, 2), place(j, 3));
            for x in (cx - radius - 1.0) as i64..=(cx + radius + 1.0) as i64 {
                let away = (x as f32 + 0.5 - cx).hypot(line - cy);
                let alpha = (radius - away + 0.5).clamp(0.0, 1.0) * (0.25 + 0.7 * bright) * fade;
                row.lay(x, [255.0, 250.0, 238.0], alpha);
            }
        }
    }

    fn draw_aurora(&self, scene: &Scene, y: usize, row: &mut Row, color: Rgb) {
        let (unit, reach) = (scene.unit(), self.horizon * scene.height as f32);
        for x in 0..row.width() {
            let along = x as f32 / unit;
            for curtain in 0..2 {
                let salt = self.salt.wrapping_add(curtain * 31);
                let edge = reach * (0.62 - 0.2 * curtain as f32 + 0.3 * fractal1(salt, along * 1.1, 3));
                let above = (edge - y as f32) / (reach * 0.5);
                let rays = 0.6 + 0.4 * noise1(salt ^ 9, along * 26.0 + fractal1(salt, along * 3.0, 2) * 6.0);
                let glow = if above < 0.0 { smooth(-0.12, 0.0, above) } else { (1.0 - above).clamp(0.0, 1.0).powi(2) };
                row.lay(x as i64, color, glow * rays * 0.42);
            }
        }
    }
}
