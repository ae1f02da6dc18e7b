"""Real servers: the example under load, and gunicorn with workers that load a joblib file or inherit it."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import joblib
import pytest
from sklearn.linear_model import LogisticRegression

from skaae import AdversarialAEDetector
from skaae.onnx import to_onnx
from tests.support.models import QUICK

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_three_seconds_of_load(cancer, cancer_model, tmp_path):
    path = tmp_path / "detector.onnx"
    to_onnx(AdversarialAEDetector(cancer_model, **QUICK).fit(cancer[0]), path)
    options = "--seconds", "3", "--clients", "4", "--detector", path
    command = [sys.executable, "-m", "benchmarks.deployment.load", *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    n_requests, n_wrong = map(int, re.search(r"^(\d+) requests .*, (\d+) wrong", ended.stdout).groups())
    assert n_requests > 50
    assert n_wrong == 0
    kinds = set(re.findall(r"^(.+?) +\d+ x", ended.stdout, re.M))
    assert {"right", "NaN", "not JSON", "wrong shape", "empty", "50 MB"} <= kinds


APPLICATION = """
import json
import joblib
import numpy as np

detector = joblib.load({path!r})

def application(environ, start_response):
    rows = np.array(json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
    try:
        answer, status = detector.predict(rows).tolist(), "200 OK"
    except RuntimeError as error:
        answer, status = str(error), "503 Service Unavailable"
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"""


@contextlib.contextmanager
def gunicorn(folder, *options):
    """The address of a server of the application in this folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "gunicorn", "--bind", address, "--timeout", "120", *options, "served:application"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def answer_of(address, rows):
    """Status and answer, once the server has started."""
    request = urllib.request.Request(address, json.dumps(rows).encode(), {"Content-Type": "application/json"})
    for _ in range(200):
        try:
            with urllib.request.urlopen(request, timeout=100) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except urllib.error.URLError:
            time.sleep(0.5)
    raise AssertionError("the server did not start")


@pytest.mark.slow
@pytest.mark.parametrize("preload", [False, True])
def test_gunicorn(iris, tmp_path, preload):
    X, y = iris
    classifier = LogisticRegression().fit(X, y)
    detector = AdversarialAEDetector(classifier, epochs=1, random_state=0).fit(X)
    joblib.dump(detector, tmp_path / "detector.joblib")
    (tmp_path / "served.py").write_text(APPLICATION.format(path=str(tmp_path / "detector.joblib")))
    with gunicorn(tmp_path, "--workers", "4", *(["--preload"] if preload else [])) as address:
        status, answer = answer_of(address, X.tolist())
    if preload:
        assert status == 503
        assert "gunicorn without --preload" in answer
    else:
        assert (status, answer) == (200, detector.predict(X).tolist())
