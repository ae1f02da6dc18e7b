"""The source distribution builds a wheel that has the package and nothing else, and works where it is installed."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import skaae

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PROGRAM = """
from importlib.metadata import version
from pathlib import Path
import sys
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
import skaae
from skaae import AdversarialAEDetector
X, y = load_iris(return_X_y=True)
detector = AdversarialAEDetector(LogisticRegression(max_iter=500).fit(X, y), epochs=1, random_state=0).fit(X)
assert Path(skaae.__file__).parent == Path(sys.argv[1], "skaae"), skaae.__file__
print(version("skaae"), detector.correct(X).corrected.shape)
"""


def run(*arguments, **options):
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The source distribution, and the wheel that is built from it and not from this folder."""
    folder = tmp_path_factory.mktemp("built")
    run("-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    run("-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=unpacked)
    (wheel,) = folder.glob("*.whl")
    return source, wheel


def test_source_has_what_it_takes_to_test_it(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    documents = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff", "LICENSE", "Makefile"}
    scripts = {"tests/conftest.py", "tests/support/fixtures.py", "docs/conf.py", "examples/quickstart.py"}
    pictures = {"tests/displays/baseline/score_display.png", "docs/images/digits.png"}
    assert documents | scripts | pictures | {"pyproject.toml", "benchmarks/README.md"} <= names
    assert not [name for name in names if re.search(r"\.venv|__pycache__|_build|docs/(gallery|generated)/", name)]


def test_wheel_has_the_package_and_nothing_else(built):
    with zipfile.ZipFile(built[1]) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        found = message_from_string(archive.read(metadata).decode())
    assert {name for name in names if ".dist-info/" not in name} == {
        str(path.relative_to(ROOT)) for path in (ROOT / "skaae").rglob("*") if path.suffix in (".py", ".typed")
    }
    assert "skaae/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert (found["Name"], found["Version"], found["License-Expression"]) == (
        "skaae",
        skaae.__version__,
        "BSD-3-Clause",
    )
    assert {"matplotlib", "onnx", "pandas", "skops", "test"} <= set(found.get_all("Provides-Extra"))


def test_installed_wheel_works(built, tmp_path):
    there = tmp_path / "installed"
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", there, built[1])
    environment = {**os.environ, "PYTHONPATH": str(there)}
    assert run("-c", PROGRAM, there, cwd=tmp_path, env=environment) == f"{skaae.__version__} (150,)\n"
