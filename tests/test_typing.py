"""The type hints: mypy in strict mode finds nothing in the package, nor in a program that uses every public name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import skaae

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "tests" / "support" / "typed_program.py"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


def mypy(cache, *arguments):
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir", cache, *arguments]
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_package_and_program(cache):
    done = mypy(cache, "skaae", PROGRAM)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_wrong_program_is_noticed(cache, tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(PROGRAM.read_text() + "\n\nOnnxDetector(path=3).predict('text').nothing\n")
    done = mypy(cache, wrong)
    assert re.search(r'wrong.py:\d+: error: Argument "path" to "OnnxDetector" has incompatible type "int"', done.stdout)
    assert '"ndarray[' in done.stdout


def test_program_uses_every_public_name():
    code = PROGRAM.read_text()
    names = set(skaae.__all__) - set(skaae._SUBMODULES)
    assert {name for name in names if not re.search(rf"\b{name}\b", code.partition("\n\n\n")[2])} == set()
