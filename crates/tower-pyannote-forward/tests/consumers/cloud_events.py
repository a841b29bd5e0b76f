"""Parses requests with the Python SDK of CloudEvents."""

import datetime
import hashlib

from cloudevents.core.bindings.http import HTTPMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.post("/events")
async def events(request: Request):
    body = await request.body()
    event = from_binary(HTTPMessage(dict(request.headers), body), JSONFormat())
    data = event.get_data()
    assert event.get_specversion() == "1.0"
    assert event.get_source() == "https://api.pyannote.ai"
    assert event.get_datacontenttype() == "application/json"
    assert event.get_subject() == data["jobId"]
    assert event.get_id() == request.headers["webhook-id"]
    prefix, vendor, kind, status = event.get_type().split(".")
    assert (prefix, vendor, status) == ("ai", "pyannote", data["status"])
    age = datetime.datetime.now(datetime.timezone.utc) - event.get_time()
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=5)
    print(event.get_id(), hashlib.sha256(body).hexdigest(), flush=True)
    return Response(status_code=204)
