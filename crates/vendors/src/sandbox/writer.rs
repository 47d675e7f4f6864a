//! Chat answers: what the sandbox says to the last message, the same each time.

use super::Sandbox;
use super::dice::{Dice, digest};
use pixel_core::{
    Error,
    catalog::Model,
    chat::{Chat, Finish, Writer, Written},
};
use serde_json::{Value, json};

/// Characters of the question that the answer repeats.
const QUOTED_MAX: usize = 160;

impl Writer for Sandbox {
    fn write(&self, chat: &Chat, card: &Model) -> Result<Written, Error> {
        let asked =
            chat.messages.iter().rfind(|message| message.role == "user").map_or("", |message| message.text.trim());
        let seed = chat.seed.map_or(0, |seed| seed.wrapping_add(1));
        let dice = Dice::new(digest(&[asked.as_bytes(), card.id().as_bytes(), &seed.to_le_bytes()]));
        let mut pieces = pieces(&answer(asked, card, &chat.body, dice));
        let limit = chat.max_tokens.map_or(usize::MAX, |most| most as usize);
        let finish = if pieces.len() > limit { Finish::Length } else { Finish::Stop };
        pieces.truncate(limit);
        let prompt: usize = chat.messages.iter().map(|message| self::pieces(&message.text).len()).sum();
        let count = |pieces: usize| u32::try_from(pieces).unwrap_or(u32::MAX);
        Ok(Written { finish, prompt_tokens: count(prompt), completion_tokens: count(pieces.len()), pieces })
    }
}

fn answer(asked: &str, card: &Model, body: &Value, mut dice: Dice) -> String {
    let (lower, chinese) = (asked.to_lowercase(), asked.chars().any(is_ideograph));
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let wants_json =
        body.pointer("/response_format/type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("json"));
    if wants_json || has(&["json"]) {
        return storyboard(asked, card, chinese);
    }
    let intro = introduction(asked, card, chinese);
    if has(&["list", "steps", "storyboard", "scenes", "ideas", "列表", "列出", "清单", "步骤", "分镜", "场景"])
    {
        let shots = shots(asked, chinese).into_iter().enumerate();
        let lines: Vec<_> = shots.map(|(at, (title, text))| format!("{}. {title}: {text}", at + 1)).collect();
        return format!("{intro}\n\n{}", lines.join("\n"));
    }
    let closings: [&str; 3] = if chinese {
        [
            "它由你的问题推算得出，因此同样的问题总会得到同样的回答。",
            "你可以放心地用它来测试界面、流式输出和保存流程，不会产生任何费用。",
            "一切连接正常：请求已到达，回答也已逐段送回。",
        ]
    } else {
        [
            "It is worked out from your message alone, so the same question always gets the same answer.",
            "You can use it to try screens, streaming and storage; nothing is charged.",
            "Everything is connected: your request arrived, and this answer came back piece by piece.",
        ]
    };
    let first = dice.below(closings.len());
    let second = (first + 1 + dice.below(closings.len() - 1)) % closings.len();
    let key = if chinese {
        "配置密钥后，真正的模型就会在这里作答。"
    } else {
        "With a key configured, the real model answers here."
    };
    let gap = if chinese { "" } else { " " };
    [intro.as_str(), closings[first], closings[second], key].join(gap)
}

/// Who answers, for whom, and what was asked.
fn introduction(asked: &str, card: &Model, chinese: bool) -> String {
    let name = if card.name.is_empty() { card.id() } else { card.name.clone() };
    let own = card.provider == "sandbox";
    let who = match (chinese, own) {
        (true, true) => format!("这里是 Pixel 沙盒（{}）。", card.id()),
        (true, false) => format!("这里是 Pixel 沙盒，暂代 {name}（{}）作答。", card.id()),
        (false, true) => format!("This is the Pixel sandbox ({}).", card.id()),
        (false, false) => format!("This is the Pixel sandbox, standing in for {name} ({}).", card.id()),
    };
    match (chinese, asked.is_empty()) {
        (true, _) => format!("{who}你说的是：“{}”。", quote(asked)),
        (false, true) => format!("{who} There was no user message to answer."),
        (false, false) => format!("{who} You wrote: \"{}\".", quote(asked)),
    }
}

/// The question on one line, shortened.
fn quote(asked: &str) -> String {
    let line = asked.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(QUOTED_MAX).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

/// Three scenes of a story about what was asked.
fn shots(asked: &str, chinese: bool) -> Vec<(&'static str, String)> {
    let subject = quote(asked);
    if chinese {
        return vec![
            ("开场", format!("远景，交代环境与气氛，主题是“{subject}”。")),
            ("发展", "中景，镜头缓缓推近，主体开始行动。".to_owned()),
            ("收尾", "特写，光线渐暖，画面停在最重要的细节上。".to_owned()),
        ];
    }
    vec![
        ("Opening", format!("a wide shot that sets place and mood for \"{subject}\".")),
        ("Turning", "a medium shot, slowly closer, while the subject begins to act.".to_owned()),
        ("Closing", "a close-up in warmer light that rests on the detail that matters.".to_owned()),
    ]
}

fn storyboard(asked: &str, card: &Model, chinese: bool) -> String {
    let scene = |(at, (title, text)): (usize, (&str, String))| json!({ "scene": at + 1, "title": title, "description": text, "duration": "5s" });
    let scenes: Vec<_> = shots(asked, chinese).into_iter().enumerate().map(scene).collect();
    let whole = json!({ "sandbox": true, "model": card.id(), "prompt": quote(asked), "scenes": scenes });
    format!("{whole:#}")
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}')
}

/// Cuts a text into what a stream sends at a time: a word with the space before it, or two
/// characters of a script without spaces. Joined they are the text.
fn pieces(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut wide = 0;
    for c in text.chars() {
        let is_wide =
            is_ideograph(c) || matches!(c, '\u{3000}'..='\u{30ff}' | '\u{ac00}'..='\u{d7af}' | '\u{ff00}'..='\u{ffef}');
        let starts = match all.last() {
            None => true,
            Some(_) if is_wide => wide != 1,
            Some(last) => wide > 0 || (c.is_whitespace() && !last.ends_with(char::is_whitespace)),
        };
        wide = match (is_wide, starts) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => 2,
        };
        match all.last_mut() {
            Some(last) if !starts => last.push(c),
            _ => all.push(c.to_string()),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_small_and_join_to_the_text() {
        for text in ["", "one two  three\n\nfour", "你好，世界。Pixel 沙盒 ok", "{\n  \"a\": 1\n}"] {
            assert_eq!(pieces(text).concat(), text);
        }
        assert_eq!(pieces("one two three"), ["one", " two", " three"]);
        assert_eq!(pieces("你好世界"), ["你好", "世界"]);
    }
}
