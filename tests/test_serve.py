"""The served example answers as the file does, and survives what is malformed: three seconds of the load script."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
