"""The `volcengine-ark-runtime` package against the simulator."""

import time

from common import BASE, KEY, marker, media, refused, saw, strike
from volcenginesdkarkruntime import Ark
from volcenginesdkarkruntime import _exceptions as errors

client = Ark(base_url=f"{BASE}/volcengine/api/v3", api_key=KEY, max_retries=0, timeout=20)

picture = client.images.generate(model="doubao-seedream-4-5-251128", prompt="a kite", size="2048x2048", watermark=False)
media(picture.data[0].url, b"\x89PNG")
saw("image")
job = client.content_generation.tasks.create(
    model="doubao-seedance-1-5-pro-251215", content=[{"type": "text", "text": "a kite over a lake"}]
)
for _ in range(100):
    task = client.content_generation.tasks.get(task_id=job.id)
    if task.status not in ("queued", "running"):
        break
    time.sleep(0.05)
assert task.status == "succeeded", task
media(task.content.video_url, b"\0\0\0")
saw("video")
messages = [{"role": "user", "content": "Say hello to the kite."}]
whole = client.chat.completions.create(model="doubao-seed-1-6-250615", messages=messages)
assert whole.choices[0].message.content
saw("chat")
chunks = client.chat.completions.create(model="doubao-seed-1-6-250615", messages=messages, stream=True)
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert text == whole.choices[0].message.content
saw("chat stream")


def submit(mark, client=client):
    content = [{"type": "text", "text": f"a kite {mark}"}]
    return client.content_generation.tasks.create(model="doubao-seedance-1-5-pro-251215", content=content)


REFUSALS = {
    "bad-request": errors.ArkBadRequestError,
    "moderation": errors.ArkBadRequestError,
    "forbidden": errors.ArkPermissionDeniedError,
    "payment-required": errors.ArkPermissionDeniedError,
    "not-found": errors.ArkNotFoundError,
    "rate-limit-seconds": errors.ArkRateLimitError,
    "error-before-accept": errors.ArkInternalServerError,
}
for kind, error in REFUSALS.items():
    mark = marker()
    strike(mark, kind)
    refused(kind, lambda: submit(mark), error)
stranger = Ark(base_url=f"{BASE}/volcengine/api/v3", api_key="another-key", max_retries=0)
refused("another key", lambda: submit(marker(), stranger), errors.ArkAuthenticationError)
