"""What the SDKs' trials share: the simulator's address, its scripts, and the list of what was seen."""

import base64
import itertools
import json
import sys
import urllib.request

BASE = sys.argv[1]
KEY = "test-key"
# 1 by 1, for calls that take a picture.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_numbers = itertools.count(1)


def marker():
    """A word for a prompt, so that a script strikes this call alone."""
    return f"mk-sdk{next(_numbers)}"


def strike(mark, kind, stage="submit", **more):
    """The simulator does this to every call with the marker."""
    body = {"marker": mark, "faults": [{"kind": kind, "stage": stage, "times": 0, **more}]}
    request = urllib.request.Request(f"{BASE}/_script", json.dumps(body).encode(), method="POST")
    urllib.request.urlopen(request, timeout=10).read()


def media(link, begins):
    """The file behind a link begins as it should."""
    data = urllib.request.urlopen(link, timeout=10).read()
    assert data[: len(begins)] == begins, (link, data[:16])


def saw(what):
    """A line for whoever counts."""
    print(f"saw {what}", flush=True)


def refused(what, call, error):
    """The call raises exactly this type."""
    try:
        answer = call()
    except error as raised:
        assert type(raised) is error, f"{what}: {type(raised)}: {raised}"
        saw(f"{what}: {error.__name__}")
        return
    raise AssertionError(f"{what} was not refused: {answer}")
