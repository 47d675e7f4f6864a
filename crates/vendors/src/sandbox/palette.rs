//! Colours chosen by hand; a picture takes one set.

/// Red, green and blue from 0 to 255.
pub type Rgb = [f32; 3];

pub struct Palette {
    /// The sky from its top over its middle to the horizon.
    pub sky: [Rgb; 3],
    /// Sun, moon or planet.
    pub orb: Rgb,
    pub cloud: Rgb,
    /// The farthest and the nearest land.
    pub far: Rgb,
    pub near: Rgb,
    /// Small lights, petals, sails, and the line beside the caption.
    pub accent: Rgb,
    pub night: bool,
}

const fn hex(rgb: u32) -> Rgb {
    [(rgb >> 16 & 255) as f32, (rgb >> 8 & 255) as f32, (rgb & 255) as f32]
}

const fn set(sky: [u32; 3], orb: u32, cloud: u32, land: [u32; 2], accent: u32, night: bool) -> Palette {
    let sky = [hex(sky[0]), hex(sky[1]), hex(sky[2])];
    Palette { sky, orb: hex(orb), cloud: hex(cloud), far: hex(land[0]), near: hex(land[1]), accent: hex(accent), night }
}

/// Mixes two colours: 0 is `a`, 1 is `b`.
pub fn blend(a: Rgb, b: Rgb, part: f32) -> Rgb {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * part)
}

pub static PALETTES: [Palette; 12] = [
    // Dawn in rose.
    set([0x3a4a80, 0xc2708f, 0xffd3a8], 0xfff0cf, 0xffc2b4, [0xb57d93, 0x2b1f42], 0xffb997, false),
    // Golden hour.
    set([0x36648b, 0xe8a87c, 0xffe3b3], 0xfff6d8, 0xffe9cf, [0xcf9a7a, 0x33263a], 0xffd166, false),
    // A clear northern day.
    set([0x3f8fc9, 0x9fd3ea, 0xfdf4de], 0xfffbe8, 0xffffff, [0x8fbac8, 0x16402f], 0xffe08a, false),
    // Midnight in blue.
    set([0x070b1e, 0x17265a, 0x5363a8], 0xf6f1dc, 0x3d4f92, [0x3d4a86, 0x080b1a], 0xffe9a8, true),
    // Northern lights.
    set([0x020f1c, 0x08303f, 0x1c7a72], 0xd8fff2, 0x1d5d66, [0x135a60, 0x03111a], 0x74f7c0, true),
    // Lavender evening.
    set([0x54468a, 0xa98ed2, 0xf8d9e6], 0xfff6fa, 0xe6cdf0, [0xa08ac6, 0x231a44], 0xffd6e8, false),
    // Desert.
    set([0x4b86a6, 0xf0cfa0, 0xffeedd], 0xffffff, 0xfff3e0, [0xe3ab82, 0x6b3d22], 0xffe8b5, false),
    // A bright sea.
    set([0x0076b4, 0x54cbe2, 0xd6f5f5], 0xffffff, 0xffffff, [0x45a5c4, 0x04395a], 0xfff1c1, false),
    // Crimson dusk.
    set([0x180a2c, 0x6c1d50, 0xff8157], 0xffdc7c, 0x9c3560, [0x8e325f, 0x150a1e], 0xffb45c, true),
    // Cherry blossom.
    set([0x86a6da, 0xf4cbd4, 0xfff3f1], 0xffffff, 0xffffff, [0xd6a2b8, 0x54354e], 0xffa9bf, false),
    // Forest in mist.
    set([0x5f8a7c, 0xa7c7b7, 0xf0f6ec], 0xfffdf0, 0xffffff, [0x90b5a6, 0x18362b], 0xf4e7a1, false),
    // Teal and amber.
    set([0x1d4257, 0x2f9c92, 0xf0cf7c], 0xfff4bd, 0xa9d3b4, [0xb39a70, 0x152833], 0xffd98a, false),
];
