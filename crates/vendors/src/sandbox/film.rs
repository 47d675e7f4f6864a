//! Frames become an MP4: H.264 by OpenH264, the container by muxide, its index in front so that
//! a browser can start at once.

use muxide::api::{Muxer, MuxerBuilder, VideoCodec};
use openh264::{
    OpenH264API,
    encoder::{
        BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, QpRange, RateControlMode,
        VuiConfig,
    },
    formats::{RgbSliceU8, YUVBuffer},
};
use pixel_core::size::Size;
use std::io::{self, Write};

pub const FPS: u32 = 24;
/// The container's clock, in ticks a second.
const TICKS: u64 = 90_000;
const FRAME_TICKS: u64 = TICKS / FPS as u64;
/// What the encoder takes: the longer and the shorter side at most, and each side at least.
const LONG_MAX: u32 = 3840;
const SHORT_MAX: u32 = 2160;
const SIDE_MIN: u32 = 16;
/// H.264's quantiser, 0 to 51: at this one, edges and gradients look clean.
const QUALITY: u8 = 21;

/// The size nearest to the asked one that the encoder can make: sides are even, because colour
/// is stored for two by two pixels.
pub fn fitting(asked: Size) -> Size {
    let (long, short) = (asked.width.max(asked.height), asked.width.min(asked.height));
    let shrink = (f64::from(LONG_MAX) / f64::from(long)).min(f64::from(SHORT_MAX) / f64::from(short)).min(1.0);
    let side = |length: u32| (((f64::from(length) * shrink) as u32) & !1).max(SIDE_MIN);
    Size::new(side(asked.width), side(asked.height))
}

/// When each frame is shown, in ticks. All stay a 24th of a second, except that the last two
/// share what is left equally: the container gives the last frame the length of the one before.
pub fn times(duration_ms: u32) -> Vec<u64> {
    let total = u64::from(duration_ms.max(1)) * TICKS / 1000;
    let count = ((total + FRAME_TICKS / 2) / FRAME_TICKS).max(2);
    let mut times: Vec<_> = (0..count - 1).map(|at| at * FRAME_TICKS).collect();
    let last_but_one = (count - 2) * FRAME_TICKS;
    times.push(last_but_one + (total - last_but_one) / 2);
    times
}

pub struct Film<W: Write> {
    encoder: Encoder,
    muxer: Muxer<W>,
    yuv: YUVBuffer,
    size: (usize, usize),
    sample: Vec<u8>,
}

impl<W: Write> Film<W> {
    /// A film of a size that [`fitting`] gave.
    pub fn new(size: Size, to: W) -> io::Result<Self> {
        let config = EncoderConfig::new()
            .max_frame_rate(FrameRate::from_hz(FPS as f32))
            // One good quality throughout: the scenes are calm, so it stays small. This mode keeps
            // to the range and drops no frame; the bit rate then only has to be plausible.
            .rate_control_mode(RateControlMode::Bufferbased)
            .qp(QpRange::new(QUALITY, QUALITY))
            .bitrate(BitRate::from_bps(2_000_000))
            .skip_frames(false)
            .complexity(Complexity::Low)
            .scene_change_detect(false)
            .adaptive_quantization(false)
            // It would leave slow edges behind as ghosts.
            .background_detection(false)
            .intra_frame_period(IntraFramePeriod::from_num_frames(FPS * 2))
            // The bytes must not depend on how many processors there are.
            .num_threads(1)
            .vui(VuiConfig::bt601());
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(io::Error::other)?;
        let muxer = MuxerBuilder::new(to)
            .video(VideoCodec::H264, size.width, size.height, f64::from(FPS))
            .with_fast_start(true)
            .build()
            .map_err(io::Error::other)?;
        let size = (size.width as usize, size.height as usize);
        Ok(Self { encoder, muxer, yuv: YUVBuffer::new(size.0, size.1), size, sample: Vec::new() })
    }

    /// Adds a frame: red, green, blue of each pixel.
    pub fn push(&mut self, rgb: &[u8], ticks: u64) -> io::Result<()> {
        self.yuv.read_rgb8(RgbSliceU8::new(rgb, self.size));
        let coded = self.encoder.encode(&self.yuv).map_err(io::Error::other)?;
        self.sample.clear();
        coded.write_vec(&mut self.sample);
        let is_key = matches!(coded.frame_type(), FrameType::IDR);
        self.muxer.write_video(ticks as f64 / TICKS as f64, &self.sample, is_key).map_err(io::Error::other)
    }

    /// Writes the file; until here nothing was written.
    pub fn finish(self) -> io::Result<()> {
        self.muxer.finish().map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_fill_the_duration_exactly() {
        for ms in [1, 40, 41, 42, 83, 1000, 1001, 2500, 5000, 7333, 9999, 10_000] {
            let times = times(ms);
            let total = u64::from(ms) * 90;
            let [.., before, last] = times[..] else { panic!("{ms}: {times:?}") };
            assert_eq!(last + (last - before), total, "{ms}");
            assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{ms}");
        }
        assert_eq!(times(5000).len(), 120);
    }

    #[test]
    fn sizes_become_even_and_within_bounds() {
        for (asked, made) in
            [((1280, 720), (1280, 720)), ((1281, 721), (1280, 720)), ((7680, 4320), (3840, 2160)), ((3, 9), (16, 16))]
        {
            assert_eq!(fitting(Size::new(asked.0, asked.1)), Size::new(made.0, made.1));
        }
        assert_eq!(fitting(Size::new(2160, 3840)), Size::new(2160, 3840));
    }
}
