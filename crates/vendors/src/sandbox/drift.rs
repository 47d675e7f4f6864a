//! Small things in front: lights, petals and birds that drift across the picture.

use super::palette::Rgb;
use super::scene::{Row, Scene};

#[derive(Clone, Copy, PartialEq)]
pub enum Shape {
    /// A soft round light.
    Light,
    /// A leaning oval.
    Petal,
    /// Two beating wings.
    Bird,
    /// A hull with two sails.
    Boat,
}

pub struct Mote {
    pub shape: Shape,
    /// Parts of the width and of the height.
    pub x: f32,
    pub y: f32,
    pub radius: f32,
    pub color: Rgb,
    pub alpha: f32,
    /// In a second, rightwards and downwards.
    pub speed: [f32; 2],
    /// Where it is in its own rhythm, in turns.
    pub phase: f32,
}

impl Mote {
    /// Centre in pixels; who leaves at one side comes back at the other.
    fn place(&self, scene: &Scene, seconds: f32) -> (f32, f32) {
        let (unit, wide, tall) = (scene.unit(), scene.width as f32, scene.height as f32);
        let margin = self.radius * unit * 2.0;
        let sway = match self.shape {
            Shape::Bird | Shape::Boat => 0.004 * self.beat(seconds, 0.4),
            Shape::Light | Shape::Petal => 0.012 * self.beat(seconds, 0.25),
        };
        let round = |at: f32, length: f32| (at + margin).rem_euclid(length + 2.0 * margin) - margin;
        let x = self.x * wide + self.speed[0] * seconds * unit;
        let y = self.y * tall + (self.speed[1] * seconds + sway) * unit;
        (round(x, wide), round(y, tall))
    }

    fn beat(&self, seconds: f32, per_second: f32) -> f32 {
        ((seconds * per_second + self.phase) * std::f32::consts::TAU).sin()
    }

    pub fn draw(&self, scene: &Scene, seconds: f32, line: f32, row: &mut Row) {
        let radius = self.radius * scene.unit();
        let (cx, cy) = self.place(scene, seconds);
        let dy = line - cy;
        if dy.abs() > radius + 1.0 {
            return;
        }
        let twinkle = if self.shape == Shape::Light { 0.75 + 0.25 * self.beat(seconds, 0.5) } else { 1.0 };
        for x in (cx - radius - 1.0) as i64..=(cx + radius + 1.0) as i64 {
            let cover = self.cover(x as f32 + 0.5 - cx, dy, radius, seconds);
            if cover > 0.0 {
                row.lay(x, self.color, cover * self.alpha * twinkle);
            }
        }
    }

    /// How much of a pixel the shape covers, the pixel given from the shape's centre.
    fn cover(&self, dx: f32, dy: f32, radius: f32, seconds: f32) -> f32 {
        match self.shape {
            Shape::Light => {
                let soft = (1.0 - dx.hypot(dy) / radius).clamp(0.0, 1.0);
                (soft * soft * 1.6).min(1.0)
            }
            Shape::Petal => {
                let (sin, cos) = ((self.phase + seconds * 0.08) * std::f32::consts::TAU).sin_cos();
                let (along, across) = (dx * cos + dy * sin, (dy * cos - dx * sin) * 1.9);
                (radius * 0.9 - along.hypot(across) + 0.5).clamp(0.0, 1.0)
            }
            Shape::Bird => {
                let out = (dx.abs() / radius).min(1.0);
                let lift = radius * (0.30 + 0.16 * self.beat(seconds, 1.4));
                let wing = -lift * (out * 2.2).sin() + radius * 0.25 * out * out;
                let thick = radius * 0.11 * (1.0 - out) + 0.7;
                (thick - (dy - wing).abs() + 0.5).clamp(0.0, 1.0) * f32::from(u8::from(dx.abs() < radius))
            }
            Shape::Boat => boat(dx / radius, dy / radius, radius),
        }
    }
}

/// A sailing boat within -1 to 1.
fn boat(x: f32, y: f32, radius: f32) -> f32 {
    let within = |inside: f32| (inside * radius + 0.5).clamp(0.0, 1.0);
    let hull = (0.62 - (y - 0.5) * 0.9 - x.abs()).min(y - 0.5).min(0.78 - y);
    let main = (x - 0.06).min(0.42 - y).min((y + 0.95) * 0.46 - x + 0.06);
    let jib = (-0.02 - x).min(0.42 - y).min((y + 0.7) * 0.44 + x + 0.02);
    within(hull).max(within(main)).max(within(jib))
}
