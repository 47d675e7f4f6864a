//! Clips: the painter's scene in motion, and its first frame as a poster.

use super::film::{FPS, Film, times};
use super::painter::{Canvas, quantise, write_png};
use super::scene::Row;
use super::{Brief, cancelled};
use pixel_core::vendor::{Desk, Local};
use std::io;

/// Bytes that are handed over at a time.
const PIECE: usize = 256 << 10;

pub struct Animator {
    pub brief: Brief,
    pub duration_ms: u32,
}

impl Local for Animator {
    fn run(&self, desk: &mut dyn Desk) -> io::Result<()> {
        let canvas = Canvas::new(&self.brief, self.brief.size, desk);
        let film = self.shoot(&canvas, desk)?;
        desk.begin()?;
        film.chunks(PIECE).try_for_each(|piece| desk.write(piece))?;
        desk.begin()?;
        write_png(&canvas, desk, &mut |_, _| ())
    }
}

impl Animator {
    /// The finished file. It has to be held, since its index stands in front and is known last;
    /// it is some megabytes.
    fn shoot(&self, canvas: &Canvas, desk: &mut dyn Desk) -> io::Result<Vec<u8>> {
        let (width, height) = (canvas.scene.width, canvas.scene.height);
        let backdrop = backdrop(canvas);
        let (mut row, mut frame) = (Row::new(width), vec![0; width * height * 3]);
        let mut file = Vec::new();
        let mut film = Film::new(self.brief.size, &mut file)?;
        let times = times(self.duration_ms);
        for (at, ticks) in times.iter().enumerate() {
            let moment = canvas.scene.at(at as f32 / FPS as f32);
            for (y, (bytes, sky)) in frame.chunks_exact_mut(width * 3).zip(backdrop.chunks_exact(width * 3)).enumerate()
            {
                load(sky, &mut row);
                moment.draw(y, &mut row);
                canvas.overlay.draw(y, &mut row);
                quantise(&row, y, bytes);
            }
            if desk.is_cancelled() {
                return Err(cancelled());
            }
            film.push(&frame, *ticks)?;
            desk.progress((at * 98 / times.len()) as u8);
        }
        film.finish()?;
        Ok(file)
    }
}

/// The sky of every row, a plane for each colour: it is the same in all frames.
fn backdrop(canvas: &Canvas) -> Vec<u8> {
    let (width, height) = (canvas.scene.width, canvas.scene.height);
    let (mut row, mut bytes, mut all) = (Row::new(width), vec![0; width * 3], Vec::with_capacity(width * height * 3));
    for y in 0..height {
        canvas.scene.sky.draw(&canvas.scene, y, &mut row);
        quantise(&row, y, &mut bytes);
        for channel in 0..3 {
            all.extend(bytes.iter().skip(channel).step_by(3));
        }
    }
    all
}

fn load(sky: &[u8], row: &mut Row) {
    let width = row.width();
    for (plane, bytes) in row.0.iter_mut().zip(sky.chunks_exact(width)) {
        for (pixel, byte) in plane.iter_mut().zip(bytes) {
            *pixel = f32::from(*byte);
        }
    }
}
