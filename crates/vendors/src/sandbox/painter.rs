//! Pictures: a PNG at exactly the asked size, written a row at a time.

use super::compose::compose;
use super::overlay::Overlay;
use super::palette::Rgb;
use super::scene::{Row, Scene};
use super::{Brief, cancelled};
use pixel_core::{
    size::Size,
    vendor::{Desk, Local},
};
use std::{
    cell::RefCell,
    io::{self, Write},
};

pub struct Painter(pub Brief);

/// A scene with what is written on it.
pub struct Canvas {
    pub scene: Scene,
    pub overlay: Overlay,
}

impl Canvas {
    pub fn new(brief: &Brief, size: Size, desk: &mut dyn Desk) -> Self {
        let (scene, accent): (Scene, Rgb) = compose(brief.seed, size);
        Self { scene, overlay: Overlay::new(brief, size, accent, desk) }
    }
}

impl Local for Painter {
    fn run(&self, desk: &mut dyn Desk) -> io::Result<()> {
        let size = self.0.size;
        let canvas = Canvas::new(&self.0, size, desk);
        desk.begin()?;
        write_png(&canvas, desk, &mut |desk, row| {
            if row % 16 == 0 {
                desk.progress((row * 99 / size.height as usize) as u8);
            }
        })
    }
}

/// Writes the canvas as it looks at the start into the file that was begun; `each` hears of
/// every row.
pub fn write_png(canvas: &Canvas, desk: &mut dyn Desk, each: &mut dyn FnMut(&mut dyn Desk, usize)) -> io::Result<()> {
    let (width, height) = (canvas.scene.width, canvas.scene.height);
    // The encoder keeps its writer, while each row has to ask the same desk whether to go on.
    let desk = RefCell::new(desk);
    let mut encoder = png::Encoder::new(File(&desk), width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_filter(png::Filter::Up);
    encoder.add_itxt_chunk("Software".to_owned(), "Pixel sandbox".to_owned())?;
    let mut png = encoder.write_header()?;
    let mut stream = png.stream_writer()?;
    let (moment, mut row, mut bytes) = (canvas.scene.at(0.0), Row::new(width), vec![0; width * 3]);
    for y in 0..height {
        if desk.borrow().is_cancelled() {
            return Err(cancelled());
        }
        canvas.scene.sky.draw(&canvas.scene, y, &mut row);
        moment.draw(y, &mut row);
        canvas.overlay.draw(y, &mut row);
        quantise(&row, y, &mut bytes);
        stream.write_all(&bytes)?;
        each(&mut **desk.borrow_mut(), y);
    }
    stream.finish()?;
    Ok(png.finish()?)
}

/// The file that was begun last, as a writer.
struct File<'a, 'b>(&'a RefCell<&'b mut dyn Desk>);

impl Write for File<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Thresholds that turn a gradient's steps into a fine pattern (Bayer's matrix, in 64ths).
const DITHER: [[u8; 8]; 8] = [
    [0, 32, 8, 40, 2, 34, 10, 42],
    [48, 16, 56, 24, 50, 18, 58, 26],
    [12, 44, 4, 36, 14, 46, 6, 38],
    [60, 28, 52, 20, 62, 30, 54, 22],
    [3, 35, 11, 43, 1, 33, 9, 41],
    [51, 19, 59, 27, 49, 17, 57, 25],
    [15, 47, 7, 39, 13, 45, 5, 37],
    [63, 31, 55, 23, 61, 29, 53, 21],
];

/// Rounds a row into bytes: red, green, blue of each pixel. Whole numbers stay what they are.
pub fn quantise(row: &Row, y: usize, bytes: &mut [u8]) {
    let steps = DITHER[y % 8].map(|step| (f32::from(step) + 0.5) / 64.0);
    let [red, green, blue] = &row.0;
    for (x, pixel) in bytes.chunks_exact_mut(3).enumerate() {
        let step = steps[x % 8];
        pixel[0] = (red[x] + step) as u8;
        pixel[1] = (green[x] + step) as u8;
        pixel[2] = (blue[x] + step) as u8;
    }
}
