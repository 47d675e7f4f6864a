//! Numbers from a seed, and smooth noise: the same input always draws the same picture.

/// A stream of numbers (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 up to, not including, 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// From 0 up to, not including, `count`; 0 when there is nothing to choose from.
    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    pub fn chance(&mut self, part: f32) -> bool {
        self.unit() < part
    }

    /// A seed for [`noise1`] and [`noise2`].
    pub fn salt(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One number for several texts; each text's length counts, so that borders matter (FNV-1a).
pub fn digest(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().copied().chain(part.len().to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    mix(hash)
}

fn lattice(salt: u32, x: i32, y: i32) -> f32 {
    let mut h = salt ^ (x as u32).wrapping_mul(0x85eb_ca6b) ^ (y as u32).wrapping_mul(0xc2b2_ae35);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^= h >> 15;
    (h >> 8) as f32 * (2.0 / (1u32 << 24) as f32) - 1.0
}

/// A number from 0 to 1 for a cell of a grid.
pub fn cell(salt: u32, x: i32, y: i32) -> f32 {
    lattice(salt, x, y) * 0.5 + 0.5
}

fn ease(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

/// Smooth noise from -1 to 1 along a line.
pub fn noise1(salt: u32, x: f32) -> f32 {
    let at = x.floor();
    let (i, t) = (at as i32, ease(x - at));
    let (a, b) = (lattice(salt, i, 0), lattice(salt, i.wrapping_add(1), 0));
    a + (b - a) * t
}

/// Smooth noise from -1 to 1 in a plane.
pub fn noise2(salt: u32, x: f32, y: f32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (i, j, tx, ty) = (fx as i32, fy as i32, ease(x - fx), ease(y - fy));
    let row = |j: i32| {
        let (a, b) = (lattice(salt, i, j), lattice(salt, i.wrapping_add(1), j));
        a + (b - a) * tx
    };
    let (a, b) = (row(j), row(j.wrapping_add(1)));
    a + (b - a) * ty
}

/// Noise with finer and finer detail, about -1 to 1.
pub fn fractal1(salt: u32, x: f32, octaves: u32) -> f32 {
    octave_sum(octaves, |k, scale| noise1(salt.wrapping_add(k), x * scale))
}

/// The same in a plane.
pub fn fractal2(salt: u32, x: f32, y: f32, octaves: u32) -> f32 {
    octave_sum(octaves, |k, scale| noise2(salt.wrapping_add(k), x * scale, y * scale))
}

fn octave_sum(octaves: u32, noise: impl Fn(u32, f32) -> f32) -> f32 {
    let (mut sum, mut weight, mut scale) = (0.0, 0.5, 1.0);
    for k in 0..octaves {
        sum += weight * noise(k, scale);
        weight *= 0.5;
        scale *= 2.03;
    }
    sum
}

/// 0 below `low`, 1 above `high`, smooth between.
pub fn smooth(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
