"""The official SDK against the simulator: uploads, every kind of job, a webhook, and errors.

check.py API_URL API_KEY WEBHOOK_SECRET WORK_DIR
"""

import hashlib
import hmac
import http.server
import json
import pathlib
import sys
import threading
import time
import warnings
import wave

import requests
from pyannoteai.sdk import Client
from pyannoteai.sdk.client import PyannoteAICanceledJob, PyannoteAIFailedJob


def raised(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def audio(path):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(32000))
    return path


def receiver(received):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((dict(self.headers.items()), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/webhook"


def main(api_url, api_key, secret, work_dir):
    warnings.simplefilter("ignore")
    Client.API_URL = f"{api_url}/v1"

    # The constructor tests the key.
    raised(requests.HTTPError, lambda: Client(token="of nobody"))
    client = Client(token=api_key)

    # The simulator cancels the first job.
    job = client.diarize("https://example.com/audio.wav")
    error = raised(PyannoteAICanceledJob, lambda: client.retrieve(job, every_seconds=0.05))
    assert error.args[1] == job, error

    # Upload with and without a name, and download the upload.
    path = audio(pathlib.Path(work_dir) / "audio.wav")
    progress = []
    media = client.upload(path, media_url="media://team/audio.wav", callback=lambda **sent: progress.append(sent))
    assert media == "media://team/audio.wav", media
    size = path.stat().st_size
    assert progress[-1] == {"total": size, "completed": size}, progress
    by_hash = client.upload(str(path))
    assert by_hash == f"media://{hashlib.md5(path.read_bytes()).hexdigest()}", by_hash
    answer = client._authenticated_post("/media/output", json={"url": media})
    assert answer.status_code == 201, answer
    assert requests.get(answer.json()["url"]).content == path.read_bytes()

    # Diarize with transcription and a webhook. Python's own hmac verifies the webhook.
    received = []
    job = client.diarize(
        media,
        num_speakers=2,
        confidence=True,
        turn_level_confidence=True,
        exclusive=True,
        transcription=True,
        transcription_config={"model": "faster-whisper-large-v3-turbo"},
        webhook=receiver(received),
    )
    result = client.retrieve(job, every_seconds=0.05)
    assert result["jobId"] == job and result["status"] == "succeeded", result
    output = result["output"]
    assert {turn["speaker"] for turn in output["diarization"]} == {"SPEAKER_00", "SPEAKER_01"}
    assert all(0 <= turn["start"] < turn["end"] for turn in output["diarization"])
    assert set(output["diarization"][0]["confidence"]) == {"SPEAKER_00", "SPEAKER_01"}
    assert output["exclusiveDiarization"] and output["confidence"]["resolution"] == 0.02
    words = [word["text"] for word in output["wordLevelTranscription"]]
    turns = [turn["text"] for turn in output["turnLevelTranscription"]]
    assert words and " ".join(words) == " ".join(turns)

    deadline = time.monotonic() + 20
    while not received:
        assert time.monotonic() < deadline, "no webhook"
        time.sleep(0.01)
    headers, body = received[0]
    headers = {name.lower(): value for name, value in headers.items()}
    signed = f"v0:{headers['x-request-timestamp']}:".encode() + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(expected, headers["x-signature"]), "signature"
    assert json.loads(body) == {"jobId": job, "status": "succeeded", "output": output}

    # Make a voiceprint and identify with it.
    result = client.retrieve(client.voiceprint(by_hash), every_seconds=0.05)
    voiceprint = result["output"]["voiceprint"]
    assert isinstance(voiceprint, str) and voiceprint
    job = client.identify(media, voiceprints={"Ada": voiceprint}, num_speakers=2, matching_threshold=10.0)
    output = client.retrieve(job, every_seconds=0.05)["output"]
    assert [match["match"] for match in output["voiceprints"]] == ["Ada", None], output["voiceprints"]
    assert {turn["speaker"] for turn in output["identification"]} == {"Ada", "SPEAKER_01"}
    assert "exclusiveDiarization" not in output

    # Exclusive turns have the labels of the diarization, and do not overlap.
    job = client.identify(media, voiceprints={"Ada": voiceprint}, num_speakers=2, exclusive=True)
    output = client.retrieve(job, every_seconds=0.05)["output"]
    turns = output["exclusiveDiarization"]
    assert {turn["speaker"] for turn in turns} == {"SPEAKER_00", "SPEAKER_01"}
    assert all(one["end"] <= next["start"] for one, next in zip(turns, turns[1:])), turns
    assert {turn["speaker"] for turn in output["identification"]} == {"Ada", "SPEAKER_01"}

    # Invalid requests and failed jobs raise errors.
    error = raised(requests.HTTPError, lambda: client.diarize(media, num_speakers=0))
    assert error.response.status_code == 400, error
    assert error.response.json()["errors"][0]["field"] == "numSpeakers"
    for field, call in [
        ("numSpeakers", lambda: client.diarize(media, num_speakers=2, min_speakers=2)),
        ("model", lambda: client.voiceprint(media, model="community-1")),
        ("url", lambda: client.diarize("media://" + "a" * 248)),
        ("voiceprints[0].voiceprint", lambda: client.identify(media, voiceprints={"Ada": "A" * 20001})),
    ]:
        error = raised(requests.HTTPError, call)
        assert error.response.status_code == 400, error
        assert [wrong["field"] for wrong in error.response.json()["errors"]] == [field], error
    job = client.diarize("media://never/uploaded")
    error = raised(PyannoteAIFailedJob, lambda: client.retrieve(job, every_seconds=0.05))
    assert "uploaded" in error.args[0] and error.args[1] == job, error

    print("every step passed")


if __name__ == "__main__":
    main(*sys.argv[1:])
