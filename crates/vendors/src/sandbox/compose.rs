//! Which scene a seed stands for: the kind of landscape, its colours and where things are.

use super::dice::Dice;
use super::drift::{Mote, Shape};
use super::palette::{PALETTES, Palette, Rgb, blend};
use super::scene::{Orb, Profile, Ridge, Scene};
use super::sky::Sky;
use pixel_core::size::Size;

/// The scene of a seed, and the colour of its small lights.
pub fn compose(seed: u64, size: Size) -> (Scene, Rgb) {
    let mut dice = Dice::new(seed);
    let kind = dice.below(4);
    let palette = &PALETTES[dice.below(PALETTES.len())];
    let (width, height) = (size.width as usize, size.height as usize);
    let mut scene =
        Scene { width, height, sky: sky(&mut dice, palette), orbs: Vec::new(), ridges: Vec::new(), motes: Vec::new() };
    match kind {
        0 => hills(&mut scene, &mut dice, palette),
        1 => sea(&mut scene, &mut dice, palette),
        2 => ribbons(&mut scene, &mut dice, palette),
        _ => dunes(&mut scene, &mut dice, palette),
    }
    (scene, palette.accent)
}

fn sky(dice: &mut Dice, palette: &Palette) -> Sky {
    Sky {
        stops: palette.sky,
        horizon: dice.range(0.54, 0.66),
        cloud: palette.cloud,
        clouds: if palette.night { dice.range(0.0, 0.35) } else { dice.range(0.2, 0.8) },
        stars: palette.night,
        aurora: (palette.night && dice.chance(0.6)).then_some(palette.accent),
        salt: dice.salt(),
    }
}

fn sun(dice: &mut Dice, palette: &Palette, height: [f32; 2], radius: [f32; 2]) -> Orb {
    let radius = dice.range(radius[0], radius[1]);
    Orb {
        x: dice.range(0.22, 0.78),
        y: dice.range(height[0], height[1]),
        radius,
        glow: radius * if palette.night { 3.4 } else { 5.0 },
        color: palette.orb,
        shade: palette.night.then(|| blend(palette.orb, palette.sky[1], 0.55)),
        speed: [0.020, 0.014],
    }
}

/// Mountains behind hills behind firs, with mist in the valleys.
fn hills(scene: &mut Scene, dice: &mut Dice, palette: &Palette) {
    let horizon = scene.sky.horizon;
    scene.orbs.push(sun(dice, palette, [horizon * 0.35, horizon * 0.8], [0.045, 0.09]));
    let (count, wooded) = (5 + dice.below(3), dice.chance(0.75));
    for i in 0..count {
        let near = i as f32 / (count - 1) as f32;
        let top = blend(palette.far, palette.near, near);
        let profile = match i {
            0 | 1 if count > 5 => Profile::Peaks,
            i if wooded && i + 2 >= count => Profile::Firs(0.05 + 0.09 * near),
            _ => Profile::Hills,
        };
        scene.ridges.push(Ridge {
            profile,
            base: horizon + (0.94 - horizon) * near,
            rise: if profile == Profile::Peaks { 0.13 } else { 0.075 },
            scale: 0.95 - 0.35 * near,
            salt: dice.salt(),
            speed: 0.010 + 0.11 * near * near,
            top,
            foot: blend(top, palette.sky[2], 0.6 * (1.0 - near) + 0.06),
            depth: 0.22,
            alpha: 1.0,
            glint: None,
        });
    }
    company(scene, dice, palette, horizon);
}

/// Open water under a low sun, perhaps with islands and a boat.
fn sea(scene: &mut Scene, dice: &mut Dice, palette: &Palette) {
    let horizon = scene.sky.horizon;
    scene.orbs.push(sun(dice, palette, [horizon * 0.55, horizon * 0.95], [0.06, 0.12]));
    for i in 0..1 + dice.below(2) {
        let top = blend(palette.sky[2], palette.far, 0.55 + 0.35 * i as f32);
        let foot = blend(top, palette.sky[2], 0.35);
        let (scale, salt) = (dice.range(0.35, 0.6), dice.salt());
        let base = horizon + 0.035;
        scene.ridges.push(Ridge {
            profile: Profile::Peaks,
            base,
            rise: 0.05,
            scale,
            salt,
            speed: 0.004,
            top,
            foot,
            depth: 0.1,
            alpha: 1.0,
            glint: None,
        });
    }
    let count = 12;
    let bright = blend(palette.orb, palette.sky[2], 0.25);
    for i in 0..count {
        let near = i as f32 / (count - 1) as f32;
        let top =
            blend(blend(palette.sky[1], palette.sky[2], 0.4), blend(palette.sky[0], palette.near, 0.6), near.powf(0.7));
        let step = 0.01 + 0.10 * near;
        scene.ridges.push(Ridge {
            profile: Profile::Waves,
            base: horizon + 0.02 + (0.98 - horizon) * near.powf(1.5),
            rise: 0.0012 + 0.014 * near,
            scale: 0.16 + 0.62 * near,
            salt: dice.salt(),
            speed: (0.015 + 0.08 * near) * if i % 2 == 0 { 1.0 } else { -0.8 },
            top: blend(top, palette.sky[2], 0.12),
            foot: blend(top, palette.near, 0.2),
            depth: step,
            alpha: 1.0,
            glint: Some((bright, 0.05 + 0.16 * near)),
        });
    }
    if dice.chance(0.7) {
        let (x, radius) = (dice.range(0.15, 0.85), dice.range(0.045, 0.08));
        let color = if palette.night { palette.accent } else { blend(palette.near, palette.orb, 0.9) };
        scene.motes.push(Mote {
            shape: Shape::Boat,
            x,
            y: horizon + 0.06,
            radius,
            color,
            alpha: 0.95,
            speed: [0.02, 0.0],
            phase: 0.0,
        });
    }
    company(scene, dice, palette, horizon);
}

/// Flowing bands of colour.
fn ribbons(scene: &mut Scene, dice: &mut Dice, palette: &Palette) {
    scene.orbs.push(sun(dice, palette, [0.12, 0.3], [0.08, 0.15]));
    let (count, reverse) = (9 + dice.below(4), dice.chance(0.5));
    let stops = [palette.sky[2], palette.accent, palette.far, palette.sky[1], palette.near];
    for i in 0..count {
        let near = i as f32 / (count - 1) as f32;
        let at = near * (stops.len() - 1) as f32;
        let step = (at as usize).min(stops.len() - 2);
        let top = blend(stops[step], stops[step + 1], at - step as f32);
        let way = if (i % 2 == 0) == reverse { 1.0 } else { -1.0 };
        scene.ridges.push(Ridge {
            profile: Profile::Hills,
            base: 0.24 + 0.72 * near,
            rise: 0.15,
            scale: 1.15,
            salt: dice.salt(),
            speed: way * dice.range(0.04, 0.09),
            top: blend(top, palette.orb, 0.22),
            foot: blend(top, palette.near, 0.3),
            depth: 0.2,
            alpha: 0.9,
            glint: None,
        });
    }
    lights(scene, dice, palette, 22);
}

/// Long smooth dunes under a great planet.
fn dunes(scene: &mut Scene, dice: &mut Dice, palette: &Palette) {
    let horizon = scene.sky.horizon;
    let mut planet = sun(dice, palette, [horizon * 0.4, horizon * 0.7], [0.17, 0.26]);
    planet.glow = planet.radius * 2.1;
    planet.shade = Some(blend(palette.sky[1], palette.orb, 0.25));
    planet.color = blend(palette.orb, palette.accent, 0.35);
    planet.speed = [0.016, 0.010];
    let moon = Orb {
        x: if planet.x > 0.5 { planet.x - 0.36 } else { planet.x + 0.36 },
        y: planet.y * 0.5,
        radius: planet.radius * 0.18,
        glow: planet.radius * 0.7,
        shade: planet.shade,
        color: palette.orb,
        speed: [-0.03, 0.006],
    };
    scene.orbs.extend([planet, moon]);
    let count = 5 + dice.below(2);
    for i in 0..count {
        let near = i as f32 / (count - 1) as f32;
        let top = blend(palette.far, palette.near, near * 0.85);
        scene.ridges.push(Ridge {
            profile: Profile::Hills,
            base: horizon + 0.03 + (0.93 - horizon) * near,
            rise: 0.075 + 0.03 * near,
            scale: 1.0 - 0.1 * near,
            salt: dice.salt(),
            speed: 0.010 + 0.11 * near * near,
            top: blend(top, palette.orb, 0.42 * (1.0 - near * 0.4)),
            foot: blend(top, palette.near, 0.65),
            depth: 0.12 + 0.16 * near,
            alpha: 1.0,
            glint: None,
        });
    }
    lights(scene, dice, palette, 14);
}

/// Birds by day, small lights by night, petals now and then.
fn company(scene: &mut Scene, dice: &mut Dice, palette: &Palette, horizon: f32) {
    if palette.night {
        return lights(scene, dice, palette, 20);
    }
    let (x, y) = (dice.range(0.15, 0.7), dice.range(0.15, 0.5) * horizon);
    let color = blend(palette.near, palette.sky[1], 0.2);
    for _ in 0..3 + dice.below(5) {
        let (x, y) = (x + dice.range(-0.1, 0.1), y + dice.range(-0.05, 0.05));
        let radius = dice.range(0.011, 0.022);
        scene.motes.push(Mote {
            shape: Shape::Bird,
            x,
            y,
            radius,
            color,
            alpha: 0.85,
            speed: [0.035, -0.004],
            phase: dice.unit(),
        });
    }
    if dice.chance(0.45) {
        for _ in 0..26 {
            let (radius, speed) = (dice.range(0.006, 0.014), [dice.range(0.02, 0.05), dice.range(0.02, 0.045)]);
            let (x, y, alpha, phase) = (dice.unit(), dice.unit(), dice.range(0.5, 0.9), dice.unit());
            scene.motes.push(Mote { shape: Shape::Petal, x, y, radius, color: palette.accent, alpha, speed, phase });
        }
    }
}

fn lights(scene: &mut Scene, dice: &mut Dice, palette: &Palette, count: usize) {
    for _ in 0..count {
        let (radius, speed) = (dice.range(0.005, 0.016), [dice.range(-0.012, 0.012), dice.range(-0.03, -0.008)]);
        let (x, y, alpha, phase) = (dice.unit(), dice.range(0.3, 1.0), dice.range(0.35, 0.85), dice.unit());
        scene.motes.push(Mote { shape: Shape::Light, x, y, radius, color: palette.accent, alpha, speed, phase });
    }
}
