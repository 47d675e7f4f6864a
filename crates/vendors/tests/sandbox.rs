//! The sandbox makes what was asked: judged from the bytes, clips by ffprobe and ffmpeg.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use pixel_core::{
    Stamp,
    catalog::{Catalog, Model},
    chat::{Chat, Finish, Message, Writer},
    id::ModelId,
    request::{Checked, Kind, Role},
    size::Size,
    task::{Facts, StoredInput},
    vendor::{Answer, Call, Credential, Desk, Job, Next, Reply, Source, Staged, Vendor},
};
use pixel_vendors::sandbox::Sandbox;
use std::{io, path::Path, process::Command};

/// Files in memory, and a cancellation after so many looks.
#[derive(Default)]
struct Memory {
    files: Vec<Vec<u8>>,
    percents: Vec<u8>,
    looks_left: std::cell::Cell<Option<u32>>,
    blob: Vec<u8>,
}

impl Desk for Memory {
    fn begin(&mut self) -> io::Result<()> {
        self.files.push(Vec::new());
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.files.last_mut().expect("a file was begun").extend_from_slice(bytes);
        Ok(())
    }
    fn is_cancelled(&self) -> bool {
        let left = self.looks_left.get();
        self.looks_left.set(left.map(|left| left.saturating_sub(1)));
        left == Some(0)
    }
    fn progress(&mut self, percent: u8) {
        self.percents.push(percent);
    }
    fn blob(&mut self, _: &str) -> io::Result<Vec<u8>> {
        Ok(self.blob.clone())
    }
}

fn catalog() -> Catalog {
    Catalog::parse(pixel_vendors::CATALOG).unwrap()
}

fn request(model: &str, kind: Kind, prompt: &str) -> Checked {
    Checked::plain(kind, ModelId::parse(model).unwrap(), prompt)
}

fn image(prompt: &str, width: u32, height: u32) -> Checked {
    Checked { size: Some(Size::new(width, height)), ..request("sandbox/painter", Kind::Image, prompt) }
}

fn video(prompt: &str, width: u32, height: u32, duration_ms: u32) -> Checked {
    let request = request("sandbox/animator", Kind::Video, prompt);
    Checked { size: Some(Size::new(width, height)), duration_ms: Some(duration_ms), ..request }
}

/// Runs one slot of a request.
fn run(request: &Checked, first: u32, inputs: &[StoredInput], memory: &mut Memory) -> io::Result<()> {
    let (catalog, credential) = (catalog(), Credential::default());
    let card = catalog.model(&request.model).unwrap();
    let job = Job {
        request,
        card,
        inputs,
        reference: "ours",
        first,
        outputs: 1,
        credential: &credential,
        base_url: "",
        urls: &[],
        now: Stamp(0),
    };
    let (call, mark) = Sandbox.first(&job).unwrap();
    let again = Sandbox.next(&job, &mark, &Reply::Due).unwrap();
    assert!(matches!(again, Next::Send(Call::Local(_), _)), "a restart does the work again");
    let Call::Local(work) = call else { panic!("the sandbox works locally") };
    work.0.run(memory)
}

fn made(request: &Checked, first: u32) -> Vec<Vec<u8>> {
    let mut memory = Memory::default();
    run(request, first, &[], &mut memory).unwrap();
    assert!(memory.percents.is_sorted() && !memory.percents.is_empty());
    memory.files
}

fn picture(request: &Checked) -> image::RgbImage {
    let files = made(request, 0);
    assert_eq!(files.len(), 1);
    image::load_from_memory_with_format(&files[0], image::ImageFormat::Png).unwrap().into_rgb8()
}

#[test]
fn a_picture_has_exactly_the_asked_size() {
    for (width, height) in [(1, 1), (16, 16), (64, 1000), (301, 1203), (1999, 151), (1024, 1024), (2560, 1440)] {
        assert_eq!(picture(&image("A lighthouse at dawn", width, height)).dimensions(), (width, height));
    }
}

#[test]
fn the_same_request_brings_the_same_bytes_and_any_difference_another_picture() {
    let base = image("A lighthouse", 320, 240);
    let first = made(&base, 0);
    assert_eq!(first, made(&base, 0));
    let others = [
        made(&image("A lighthouse!", 320, 240), 0),
        made(&Checked { seed: Some(0), ..base.clone() }, 0),
        made(&Checked { seed: Some(7), ..base.clone() }, 0),
        made(&Checked { negative_prompt: Some("people".to_owned()), ..base.clone() }, 0),
        made(&base, 1),
        made(&base, 2),
    ];
    let mut all: Vec<_> = others.into_iter().chain([first]).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 7);
}

#[test]
fn the_prompt_and_the_mark_are_written_on_it() {
    // Light letters on a dark card, whatever the landscape behind it.
    let written = |picture: &image::RgbImage, x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
        let area = (x.len() * y.len()) as f64;
        let all = || y.clone().flat_map(|y| x.clone().map(move |x| picture.get_pixel(x, y).0));
        let light = all().filter(|pixel| pixel.iter().all(|v| *v > 235)).count() as f64 / area;
        let dark = all().filter(|pixel| pixel.iter().all(|v| *v < 160)).count() as f64 / area;
        (light, dark)
    };
    for seed in 0..12 {
        let request = Checked { seed: Some(seed), ..image("WWWWWWWWWW", 960, 540) };
        let picture = picture(&request);
        for (place, x, y) in [("prompt", 40..250, 480..505), ("mark", 810..930, 25..50)] {
            let (light, dark) = written(&picture, x, y);
            assert!(light > 0.05 && dark > 0.3, "the {place} with seed {seed}: {light} light, {dark} dark");
        }
    }
}

#[test]
fn odd_and_long_prompts_are_drawn() {
    let samples =
        ["", "   ", "一位宇航员骑着马", "🎉👩‍👩‍👧", "مرحبا بالعالم", "שלום", "a\u{301}\u{200b}\u{0}\n\n\tb", "हिन्दी ไทย"];
    for text in samples {
        for prompt in [text.to_owned(), text.chars().cycle().take(2000).collect()] {
            for (width, height) in [(320, 180), (40, 200), (3, 3)] {
                assert_eq!(picture(&image(&prompt, width, height)).dimensions(), (width, height));
            }
        }
    }
}

fn reference(content_type: &str) -> StoredInput {
    let facts = Facts {
        sha256: "ab".to_owned(),
        bytes: 1,
        content_type: content_type.to_owned(),
        ext: "png".to_owned(),
        size: None,
        duration_ms: None,
    };
    StoredInput { role: Role::Reference, facts }
}

#[test]
fn a_reference_picture_is_shown_and_a_broken_one_left_out() {
    let mut red = Vec::new();
    let square = image::RgbImage::from_pixel(200, 200, image::Rgb([255, 0, 0]));
    square.write_to(&mut io::Cursor::new(&mut red), image::ImageFormat::Png).unwrap();
    let mut huge = red.clone();
    // A header that announces a billion pixels; its checksum is wrong as well.
    huge[16..24].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]);
    let request = image("With a reference", 640, 360);
    let plain = made(&request, 0);
    for (blob, shown) in [(red, true), (huge, false), (b"no picture".to_vec(), false), (Vec::new(), false)] {
        let mut memory = Memory { blob, ..Memory::default() };
        run(&request, 0, &[reference("image/png")], &mut memory).unwrap();
        let picture = image::load_from_memory(&memory.files[0]).unwrap().into_rgb8();
        assert_eq!(picture.get_pixel(50, 50).0 == [255, 0, 0], shown);
        assert_eq!(memory.files == plain, !shown);
    }
}

#[test]
fn work_stops_when_it_is_cancelled() {
    let speech = request("sandbox/speaker", Kind::Audio, "hello");
    for request in [image("x", 800, 800), video("x", 320, 240, 5000), speech] {
        let mut memory = Memory::default();
        memory.looks_left.set(Some(if request.kind == Kind::Audio { 0 } else { 5 }));
        assert!(run(&request, 0, &[], &mut memory).is_err());
        let written: usize = memory.files.iter().map(Vec::len).sum();
        assert!(written < 20_000 && memory.percents.iter().all(|percent| *percent < 50), "{:?}", request.kind);
    }
}

/// What a tool says of a file.
fn ask(program: &str, args: &[&str], file: &Path) -> String {
    let out = Command::new(program).args(args).arg(file).output();
    let out = out.unwrap_or_else(|_| panic!("{program} is missing: install Debian's package `ffmpeg` to judge clips."));
    assert!(out.status.success() && out.stderr.is_empty(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn a_clip_has_exactly_the_asked_size_and_duration() {
    let folder = tempfile::tempdir().unwrap();
    for (width, height, ms) in
        [(320, 180, 2000), (180, 320, 1001), (202, 202, 3333), (854, 480, 1500), (16, 16, 40), (640, 360, 5000)]
    {
        let files = made(&video("A boat sails by", width, height, ms), 0);
        let [clip, poster] = &files[..] else { panic!("a clip and a poster") };
        let file = folder.path().join("clip.mp4");
        std::fs::write(&file, clip).unwrap();
        let show = ["-v", "error", "-of", "json", "-count_frames", "-show_streams", "-show_format"];
        let facts: serde_json::Value = serde_json::from_str(&ask("ffprobe", &show, &file)).unwrap();
        let stream = &facts["streams"][0];
        assert_eq!((stream["codec_name"].as_str(), stream["pix_fmt"].as_str()), (Some("h264"), Some("yuv420p")));
        assert_eq!((stream["width"].as_u64(), stream["height"].as_u64()), (Some(width.into()), Some(height.into())));
        for seconds in [&stream["duration"], &facts["format"]["duration"]] {
            let seconds: f64 = seconds.as_str().unwrap().parse().unwrap();
            assert!((seconds * 1000.0 - f64::from(ms)).abs() < 0.001, "{seconds} s for {ms} ms");
        }
        let frames = (f64::from(ms) * 0.024).round().max(2.0).to_string();
        assert_eq!(stream["nb_read_frames"].as_str(), Some(frames.as_str()));
        let position = |name: &[u8]| clip.windows(4).position(|at| at == name).unwrap();
        assert!(position(b"moov") < position(b"mdat"), "it starts before it is loaded");
        let poster = image::load_from_memory(poster).unwrap();
        assert_eq!((poster.width(), poster.height()), (width, height));
    }
}

#[test]
fn a_clip_moves_and_its_poster_is_its_first_frame() {
    let folder = tempfile::tempdir().unwrap();
    let (clip, png) = (folder.path().join("clip.mp4"), folder.path().join("frame.png"));
    let frame = |number: u32| {
        let (clip, filter) = (clip.to_str().unwrap(), format!("select=eq(n\\,{number})"));
        ask("ffmpeg", &["-v", "error", "-y", "-i", clip, "-vf", &filter, "-frames:v", "1"], &png);
        image::open(&png).unwrap().into_rgb8()
    };
    // Coding changes every pixel a little; motion changes some of them much.
    let changed = |a: &image::RgbImage, b: &image::RgbImage| {
        let far = |(a, b): &(&image::Rgb<u8>, &image::Rgb<u8>)| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 32);
        a.pixels().zip(b.pixels()).filter(far).count()
    };
    for seed in 0..6 {
        let request = Checked { seed: Some(seed), ..video("A boat sails by", 320, 180, 2000) };
        let files = made(&request, 0);
        assert_eq!(files, made(&request, 0), "the same bytes again");
        std::fs::write(&clip, &files[0]).unwrap();
        let poster = image::load_from_memory(&files[1]).unwrap().into_rgb8();
        let (first, last) = (frame(0), frame(47));
        let (coded, moved) = (changed(&first, &poster), changed(&first, &last));
        assert!(coded < 320 * 180 / 100, "seed {seed}: the poster differs from the first frame in {coded} pixels");
        assert!(
            moved > 320 * 180 / 100 && moved > 3 * coded,
            "seed {seed}: only {moved} pixels move, {coded} by coding"
        );
    }
}

#[test]
fn sizes_that_h264_cannot_have_become_the_nearest_with_a_warning() {
    let catalog = catalog();
    let plan = |request: &Checked| Sandbox.plan(request, catalog.model(&request.model).unwrap());
    assert_eq!(plan(&Checked { n: 3, ..video("x", 320, 180, 2000) }).unwrap().slots, [1, 1, 1]);
    assert!(plan(&video("x", 320, 180, 2000)).unwrap().warnings.is_empty());
    let odd = video("x", 321, 181, 1000);
    assert_eq!(plan(&odd).unwrap().warnings[0].field, "resolution");
    let poster = image::load_from_memory(&made(&odd, 0)[1]).unwrap();
    assert_eq!((poster.width(), poster.height()), (320, 180));
    assert!(plan(&video("x", 320, 180, 3_600_000)).is_err());
}

fn spoken(request: &Checked) -> (hound::WavSpec, f64) {
    let files = made(request, 0);
    assert_eq!(files.len(), 1);
    let wav = hound::WavReader::new(io::Cursor::new(&files[0])).unwrap();
    (wav.spec(), f64::from(wav.duration()) / f64::from(wav.spec().sample_rate))
}

#[test]
fn speech_is_a_wav_and_its_speed_counts() {
    let request =
        |speed: Option<f64>, prompt: &str| Checked { speed, ..request("sandbox/speaker", Kind::Audio, prompt) };
    let text = "The quick brown fox jumps over the lazy dog, and then it rests in the shade.";
    let (spec, usual) = spoken(&request(None, text));
    assert_eq!((spec.channels, spec.bits_per_sample), (1, 16));
    let (_, fast) = spoken(&request(Some(2.0), text));
    assert!(usual > 2.0 && fast < usual * 0.75, "{usual} s and {fast} s");
    for prompt in ["你好，世界，今天天气很好", "🎉", "...", "[[ <speak> -v --stdin"] {
        assert!(spoken(&request(None, prompt)).1 > 0.1, "{prompt}");
    }
}

#[test]
fn it_stands_in_for_every_model_of_the_catalogue() {
    let (catalog, credential) = (catalog(), Credential::default());
    for card in catalog.models.iter().filter(|card| card.kind != Kind::Llm) {
        assert!(Sandbox.speaks(card));
        let request = request(&card.id(), card.kind, "hello");
        assert_eq!(Sandbox.plan(&request, card).unwrap().slots, [1]);
        let job = Job {
            request: &request,
            card,
            inputs: &[],
            reference: "ours",
            first: 0,
            outputs: 1,
            credential: &credential,
            base_url: "",
            urls: &[],
            now: Stamp(0),
        };
        let (call, mark) = Sandbox.first(&job).unwrap();
        assert!(matches!(call, Call::Local(_)));
        let staged = ["media", "poster"].map(|name| Staged(name.to_owned()));
        let answer =
            |count: usize| Reply::Answer(Answer { status: 200, staged: staged[..count].to_vec(), ..Answer::default() });
        let Next::Done(outputs, _) = Sandbox.next(&job, &mark, &answer(2)).unwrap() else { panic!("done") };
        assert_eq!(outputs[0].media, Source::Staged(staged[0].clone()));
        assert_eq!(outputs[0].poster, Some(Source::Staged(staged[1].clone())));
        assert!(Sandbox.next(&job, &mark, &answer(0)).is_err());
    }
}

fn say(model: &Model, text: &str, max_tokens: Option<u32>) -> pixel_core::chat::Written {
    let message = |role: &str, text: &str| Message { role: role.to_owned(), text: text.to_owned() };
    let messages = vec![
        message("system", "Be brief."),
        message("user", "Earlier."),
        message("assistant", "Yes."),
        message("user", text),
    ];
    Sandbox.write(&Chat { messages, max_tokens, seed: None, body: serde_json::Value::Null }, model).unwrap()
}

#[test]
fn chat_answers_the_last_message_and_honours_its_limit() {
    let catalog = catalog();
    let card = |id: &str| catalog.model(&ModelId::parse(id).unwrap()).unwrap().clone();
    let whole = say(&card("dashscope/qwen-plus"), "What is a tide?", None);
    let text = whole.pieces.concat();
    for part in ["What is a tide?", "sandbox", "dashscope/qwen-plus"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!((whole.finish, whole.completion_tokens as usize), (Finish::Stop, whole.pieces.len()));
    assert_eq!(whole, say(&card("dashscope/qwen-plus"), "What is a tide?", None));
    assert_ne!(text, say(&card("dashscope/qwen-plus"), "What is a wave?", None).pieces.concat());
    let cut = say(&card("dashscope/qwen-plus"), "What is a tide?", Some(5));
    assert_eq!((cut.finish, cut.pieces.as_slice()), (Finish::Length, &whole.pieces[..5]));
    let exact = say(&card("dashscope/qwen-plus"), "What is a tide?", Some(whole.completion_tokens));
    assert_eq!(exact.finish, Finish::Stop);
    let json = say(&card("sandbox/writer"), "A storyboard as JSON, please", None).pieces.concat();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["scenes"].as_array().unwrap().len(), 3);
    assert!(say(&card("sandbox/writer"), "请列出三个分镜", None).pieces.concat().contains("\n2. "));
}
