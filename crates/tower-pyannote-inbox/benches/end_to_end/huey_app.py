"""The same receiver with FastAPI and huey: checks the signature, queues the body in SQLite with fsync, answers.

A huey consumer beside it writes each body to a file with fsync.
"""

import hashlib
import hmac
import json
import os
import time

from fastapi import FastAPI, HTTPException, Request
from huey import SqliteHuey

SECRET = os.environ["PYANNOTEAI_WEBHOOK_SECRET"].encode()
KEPT = os.environ["END_TO_END_KEPT"]
huey = SqliteHuey(filename=os.path.join(KEPT, "..", "huey.sqlite"), fsync=True)
app = FastAPI()


@huey.task()
def keep(body):
    event = json.loads(body)
    with open(os.path.join(KEPT, f"{event['jobId']}_{event['status']}.json"), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


@app.post("/webhook")
async def webhook(request: Request):
    timestamp = request.headers.get("x-request-timestamp", "")
    signature = request.headers.get("x-signature", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > 600:
        raise HTTPException(401)
    body = await request.body()
    signed = b"v0:" + timestamp.encode() + b":" + body
    expected = hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise HTTPException(401)
    keep(body)
