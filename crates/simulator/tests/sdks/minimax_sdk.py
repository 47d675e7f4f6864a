"""The `minimax-mcp` package against the simulator: its client, and the tools that it offers."""

import os
import tempfile

from common import BASE, KEY, marker, refused, saw, strike

os.environ["MINIMAX_API_KEY"] = KEY
os.environ["MINIMAX_API_HOST"] = f"{BASE}/minimax"
os.environ["MINIMAX_API_RESOURCE_MODE"] = "local"

from minimax_mcp import server  # noqa: E402
from minimax_mcp.client import MinimaxAPIClient  # noqa: E402
from minimax_mcp.exceptions import MinimaxAuthError, MinimaxRequestError  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    # Sound in hex, pictures behind links, and the three steps of a clip; each writes a file.
    for what, said in {
        "speech": server.text_to_audio("Hello.", output_directory=folder, format="mp3"),
        "image": server.text_to_image(prompt="a tin robot", aspect_ratio="16:9", n=2, output_directory=folder),
        "video": server.generate_video(prompt="a tin robot walks", output_directory=folder),
    }.items():
        assert said.text.startswith("Success"), said.text
        saw(what)
    begins = sorted(open(os.path.join(folder, name), "rb").read(8) for name in os.listdir(folder))
    assert sum(start.startswith(b"\x89PNG") for start in begins) == 2, begins
    assert sum(start[4:8] == b"ftyp" for start in begins) == 1, begins

client = MinimaxAPIClient(KEY, f"{BASE}/minimax")


def submit(mark, client=client):
    body = {"model": "MiniMax-Hailuo-2.3", "prompt": f"a robot {mark}", "duration": 6, "resolution": "768P"}
    return client.post("/v1/video_generation", json=body)


for kind in ["bad-request", "moderation", "payment-required", "rate-limit-seconds", "error-before-accept"]:
    mark = marker()
    strike(mark, kind)
    refused(kind, lambda: submit(mark), MinimaxRequestError)
stranger = MinimaxAPIClient("another-key", f"{BASE}/minimax")
refused("another key", lambda: submit(marker(), stranger), MinimaxAuthError)
