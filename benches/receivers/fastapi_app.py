"""The usual receiver, as pyannoteAI's documentation sketches it: FastAPI, hmac and json.

    pip install fastapi uvicorn uvloop httptools
    PYANNOTEAI_WEBHOOK_SECRET=whs_... uvicorn fastapi_app:app --loop uvloop --http httptools --no-access-log
"""

import hashlib
import hmac
import json
import os
import time

from fastapi import FastAPI, HTTPException, Request

SECRET = os.environ["PYANNOTEAI_WEBHOOK_SECRET"].encode()
app = FastAPI()


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
    event = json.loads(body)
    turns = (event.get("output") or {}).get("diarization") or []
    return f"{len(turns)} turns"
