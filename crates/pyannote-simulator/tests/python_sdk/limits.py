"""The official SDK against a simulator that accepts 3 requests in a window of 6 s.

limits.py API_URL API_KEY STYLE
"""

import sys
import time

import requests
from pyannoteai.sdk import Client

AUDIO = "https://example.com/audio.wav"


def refused(call):
    try:
        call()
    except requests.HTTPError as error:
        assert error.response.status_code == 429, error
        return {name: int(error.response.headers[name]) for name in ("Retry-After", "X-RateLimit-Reset")}
    raise AssertionError("no 429")


def main(api_url, api_key, style):
    Client.API_URL = f"{api_url}/v1"
    # The constructor tests the key, which is the first request.
    client = Client(token=api_key)
    client.diarize(AUDIO)
    client.diarize(AUDIO)

    if style == "per-endpoint":
        job = client.diarize(AUDIO)
        headers = refused(lambda: client.diarize(AUDIO))
        assert headers["X-RateLimit-Reset"] == headers["Retry-After"], headers
        # Every answer has the headers, and other endpoints have windows of their own.
        answer = client._authenticated_get(f"/jobs/{job}")
        assert answer.headers["X-RateLimit-Limit"] == "3", answer.headers
        assert answer.headers["X-RateLimit-Remaining"] == "2", answer.headers
        assert 1 <= int(answer.headers["X-RateLimit-Reset"]) <= 6, answer.headers
        client.voiceprint(AUDIO)
    else:
        headers = refused(lambda: client.diarize(AUDIO))
        assert -1 <= headers["X-RateLimit-Reset"] - time.time() <= 7, headers
        # All endpoints share the limit.
        refused(lambda: client.voiceprint(AUDIO))

    assert 1 <= headers["Retry-After"] <= 6, headers
    time.sleep(headers["Retry-After"])
    client.diarize(AUDIO)

    print("every step passed")


if __name__ == "__main__":
    main(*sys.argv[1:])
