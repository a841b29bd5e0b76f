"""A receiver that was written for pyannoteAI's webhooks: it verifies pyannoteAI's two headers."""

import hashlib
import hmac
import json
import os
import time

from fastapi import FastAPI, HTTPException, Request, Response

app = FastAPI()
secret = os.environ["PYANNOTEAI_WEBHOOK_SECRET"]


@app.post("/events")
async def events(request: Request):
    body = await request.body()
    timestamp = request.headers["x-request-timestamp"]
    signed = f"v0:{timestamp}:{body.decode()}"
    expected = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers["x-signature"]):
        raise HTTPException(403)
    if abs(time.time() - int(timestamp)) > 60:
        raise HTTPException(400)
    event = json.loads(body)
    key = f"{event['jobId']}:{event['status']}"
    print(key, hashlib.sha256(body).hexdigest(), flush=True)
    return Response(status_code=204)
