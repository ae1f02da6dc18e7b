"""
==========================
Serve a detector over HTTP
==========================

The server receives rows as JSON and returns corrected labels, scores and flags::

    pip install '.[serve]'  # in a clone of the repository
    python examples/serve.py detector.onnx --port 8000
    curl localhost:8000/correct -d '{"rows": [[5.1, 3.5, 1.4, 0.2]]}'

``skaae.onnx.to_onnx`` writes the file. The server needs neither TensorFlow nor Keras nor scikit-learn.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from skaae.onnx import OnnxDetector

MOST_BYTES = 4 * 2**20


def create_app(detector: OnnxDetector, most_bytes: int = MOST_BYTES) -> FastAPI:
    app = FastAPI(title="skaae")

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "n_features": detector.n_features_in_, "threshold": detector.threshold_}

    @app.post("/correct")
    async def correct(request: Request) -> dict[str, Any]:
        rows = parse(await read(request, most_bytes))
        try:
            found = await run_in_threadpool(detector.correct, rows)
        except ValueError as error:  # the message says what is wrong with the rows
            raise HTTPException(422, str(error)) from error
        return {
            "labels": found.corrected.tolist(),
            "scores": found.instance_score.tolist(),
            "is_adversarial": found.is_adversarial.tolist(),
        }

    return app


async def read(request: Request, most_bytes: int) -> bytes:
    """Read the body, but never beyond its limit, whatever length the request declares."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            raise HTTPException(413, f"the body has more than {most_bytes} bytes")
    return bytes(body)


def parse(body: bytes) -> list[Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("rows"), list):
        raise HTTPException(422, 'the body must be {"rows": [[...], ...]}, a list of samples')
    return content["rows"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a detector over HTTP: send rows as JSON, get corrected labels.")
    parser.add_argument("path", help="a file that skaae.onnx.to_onnx wrote")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    app = create_app(OnnxDetector(arguments.path))
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
