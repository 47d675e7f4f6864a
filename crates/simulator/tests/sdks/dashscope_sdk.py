"""The `dashscope` package against the simulator. It answers a refusal instead of raising it: its
status and the vendor's code are what it promises."""

import os

from common import BASE, KEY, marker, media, saw, strike

os.environ["DASHSCOPE_HTTP_BASE_URL"] = f"{BASE}/dashscope/api/v1"

import dashscope  # noqa: E402
from dashscope.common.error import AuthenticationError, InputRequired  # noqa: E402

dashscope.api_key = KEY

picture = dashscope.ImageSynthesis.call(model="qwen-image", prompt="a paper crane", n=1, size="1328*1328")
assert picture.status_code == 200 and picture.output.task_status == "SUCCEEDED", picture
media(picture.output.results[0].url, b"\x89PNG")
saw("image")
content = [{"image": "data:image/png;base64,iVBORw0KGgo="}, {"text": "make it red"}]
edit = dashscope.MultiModalConversation.call(
    model="qwen-image-edit-plus", messages=[{"role": "user", "content": content}], n=1
)
assert edit.status_code == 200, edit
media(edit.output.choices[0].message.content[0]["image"], b"\x89PNG")
saw("edit")
video = dashscope.VideoSynthesis.call(model="wan2.6-t2v", prompt="a crane takes off", size="1280*720", duration=5)
assert video.status_code == 200 and video.output.task_status == "SUCCEEDED", video
media(video.output.video_url, b"\0\0\0")
saw("video")
speech = dashscope.MultiModalConversation.call(model="qwen3-tts-flash", text="Hello.", voice="Cherry")
assert speech.status_code == 200, speech
media(speech.output.audio["url"], b"RIFF")
saw("speech")


def generate(mark, key=KEY):
    return dashscope.ImageSynthesis.async_call(model="qwen-image", prompt=f"a crane {mark}", n=1, api_key=key)


REFUSALS = {
    "bad-request": (400, "InvalidParameter"),
    "moderation": (400, "DataInspectionFailed"),
    "forbidden": (403, "AccessDenied"),
    "payment-required": (429, "PostpaidBillOverdue"),
    "rate-limit-seconds": (429, "Throttling.RateQuota"),
    "error-before-accept": (500, "InternalError"),
}
for kind, expected in REFUSALS.items():
    mark = marker()
    strike(mark, kind)
    answer = generate(mark)
    assert (answer.status_code, answer.code) == expected, (kind, answer)
    saw(f"{kind}: {answer.code}")
answer = generate(marker(), key="another-key")
assert (answer.status_code, answer.code) == (401, "InvalidApiKey"), answer
saw("another key: InvalidApiKey")
for call, error in [
    (lambda: dashscope.ImageSynthesis.async_call(model="qwen-image", prompt=None), InputRequired),
    (lambda: generate(marker(), key=None), AuthenticationError),
]:
    if error is AuthenticationError:
        dashscope.api_key = None
        os.environ.pop("DASHSCOPE_API_KEY", None)
    try:
        call()
    except error:
        saw(error.__name__)
    else:
        raise AssertionError(f"{error} was not raised")
