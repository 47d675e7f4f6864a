"""The `openai` package against the simulator."""

import base64

import openai
from common import BASE, KEY, PNG, marker, refused, saw, strike

client = openai.OpenAI(base_url=f"{BASE}/openai/v1", api_key=KEY, max_retries=0, timeout=20)

picture = client.images.generate(model="gpt-image-2", prompt="a kite", size="1024x1024", n=1)
assert base64.b64decode(picture.data[0].b64_json).startswith(b"\x89PNG")
saw("image")
edited = client.images.edit(model="gpt-image-2", prompt="a red kite", image=("kite.png", PNG, "image/png"))
assert base64.b64decode(edited.data[0].b64_json).startswith(b"\x89PNG")
saw("edit")
speech = client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="Hello.", response_format="wav")
assert speech.content.startswith(b"RIFF")
saw("speech")
video = client.videos.create_and_poll(model="sora-2", prompt="a kite over a lake", seconds="4", size="1280x720")
assert video.status == "completed", video
assert client.videos.download_content(video.id).content[4:8] == b"ftyp"
saw("video")
messages = [{"role": "user", "content": "Say hello to the kite."}]
whole = client.chat.completions.create(model="gpt-5", messages=messages)
assert whole.choices[0].message.content and whole.usage.total_tokens > 0
saw("chat")
stream = client.chat.completions.create(
    model="gpt-5", messages=messages, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert text == whole.choices[0].message.content and chunks[-1].usage.total_tokens > 0
saw("chat stream")


def generate(mark):
    return client.images.generate(model="gpt-image-2", prompt=f"a kite {mark}")


REFUSALS = {
    "bad-request": openai.BadRequestError,
    "moderation": openai.BadRequestError,
    "forbidden": openai.PermissionDeniedError,
    "not-found": openai.NotFoundError,
    "rate-limit-seconds": openai.RateLimitError,
    "rate-limit-bare": openai.RateLimitError,
    "error-before-accept": openai.InternalServerError,
}
for kind, error in REFUSALS.items():
    mark = marker()
    strike(mark, kind)
    refused(kind, lambda: generate(mark), error)
client = client.with_options(api_key="another-key")
refused("another key", lambda: generate(marker()), openai.AuthenticationError)
