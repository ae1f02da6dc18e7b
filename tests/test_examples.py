"""What is shown runs: the examples and the code of the README, each in a new process."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

slow = pytest.mark.slow
ROOT = Path(__file__).parent.parent


def run(*arguments, folder):
    environment = {**os.environ, "MPLBACKEND": "agg", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


@slow
def test_quickstart(tmp_path):
    shown = run(ROOT / "examples" / "quickstart.py", folder=tmp_path)
    accuracy = {
        name: list(map(float, re.search(rf"^{name} +(.+)$", shown, re.M)[1].split())) for name in ("clean", "attacked")
    }
    undefended, corrected, reconstructed, flagged = accuracy["attacked"]
    assert corrected > undefended + 0.4
    assert reconstructed > undefended + 0.4
    assert flagged > 0.8
    assert accuracy["clean"][1] > accuracy["clean"][0] - 0.03
    assert float(re.search(r"detection AUC +([\d.]+)", shown)[1]) > 0.9
    assert (tmp_path / "output" / "quickstart.png").stat().st_size > 20_000


@slow
def test_random_forest(tmp_path):
    shown = run(ROOT / "examples" / "random_forest.py", folder=tmp_path)
    undefended, defended = map(float, re.search(r"under attack: ([\d.]+) .*, ([\d.]+) defended", shown).groups())
    assert defended > undefended + 0.3
    clean, attacked = map(float, re.search(r"^accuracy +([\d.]+) +([\d.]+)$", shown, re.M).groups())
    assert clean > 0.9
    assert attacked == defended, "the pipeline predicts what the report says"
    assert (tmp_path / "output" / "random_forest.png").stat().st_size > 5_000


@slow
def test_robustness_report(tmp_path):
    shown = run("-W", "ignore", ROOT / "examples" / "robustness_report.py", folder=tmp_path)
    bare, defended = map(float, re.search(r"under attack: ([\d.]+) as it is, ([\d.]+) defended", shown).groups())
    assert defended > bare
    assert len(re.findall(r"^(?:PASS|WARN|FAIL|SKIP) SKA", shown, re.M)) == 22
    assert (tmp_path / "output" / "robustness_report.png").stat().st_size > 5_000
    assert "<svg" in (tmp_path / "output" / "after.html").read_text()


@slow
def test_fraud(tmp_path):
    shown = run("-W", "ignore", ROOT / "examples" / "fraud.py", folder=tmp_path)
    undefended, corrected = map(float, re.search(r"under attack: ([\d.]+) .*, ([\d.]+) corrected", shown).groups())
    assert corrected > undefended + 0.15
    assert float(re.search(r"; ([\d.]+)% flagged", shown)[1]) > 30
    recalls = [float(recall) for recall in re.findall(r"^clean, .*recall ([\d.]+)", shown, re.M)]
    assert recalls[1] > recalls[0] - 0.03
    assert float(re.search(r"with attacks: p-value (\S+)", shown)[1]) < 0.05
    assert (tmp_path / "output" / "fraud.png").stat().st_size > 5_000


@slow
def test_scikeras_search(tmp_path):
    shown = run(ROOT / "examples" / "scikeras_search.py", folder=tmp_path)
    assert float(re.search(r"held-out wines: ([\d.]+)", shown)[1]) > 0.85
    assert float(re.search(r"though none is: ([\d.]+)", shown)[1]) < 0.3
    assert len(re.findall(r"^ +\d+ +0\.\d+ +0\.\d+$", shown, re.M)) == 3


@slow
def test_onnx_export(tmp_path):
    shown = run("-W", "ignore", ROOT / "examples" / "onnx_export.py", folder=tmp_path)
    assert float(re.search(r"difference in score: (\S+)", shown)[1]) < 1e-5
    assert "100.0% of the rows" in shown
    estimator, file = map(float, re.findall(r": ([\d.]+) ms for one row", shown))
    assert 0 < file < estimator


@slow
def test_readme(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len([line for line in code.splitlines() if line]) <= 20
    promised = accuracies(code.rsplit("#", 1)[1])
    assert accuracies(run("-c", code, folder=tmp_path)) == pytest.approx(promised, abs=0.05)
    assert promised["clean"] > promised["repaired"] > promised["attacked"] + 0.3


def accuracies(text):
    """Name -> figure of "clean 0.984, attacked 0.465"."""
    return {name: float(figure) for name, figure in re.findall(r"(\w+) (0\.\d+)", text)}


@slow
def test_how_to_evaluate(tmp_path):
    page = (ROOT / "docs" / "evaluate.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    shown = run("-W", "ignore", "-c", code, folder=tmp_path)
    lines = {line.split()[0]: list(map(float, line.split()[1:])) for line in shown.splitlines()[1:]}
    undefended, corrected = lines["accuracy_without_defense"], lines["accuracy"]
    assert undefended[1] < undefended[0], "the attack does harm"
    assert corrected[1] > undefended[1]
    assert figures(shown) == pytest.approx(figures(re.search(r"```text\n(.*?)```", page, re.S)[1]), abs=0.1)


def figures(table):
    """The accuracies that a report shows."""
    return list(map(float, " ".join(re.findall(r"^accuracy\w*(.+)$", table, re.M)).split()))


def test_contributing_names_modules_that_exist():
    named = re.findall(r"`([\w/]+/\w+\.py)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert len(named) >= 7
    assert all((ROOT / path).is_file() for path in named)


@slow
def test_coming_from_alibi_detect(tmp_path):
    first, second = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "alibi.md").read_text(), re.S)
    flagged, accuracy, _, accuracy_of_estimator = run("-c", first + second, folder=tmp_path).splitlines()
    assert int(flagged) == 27, "5 % of 569 rows, rounded down"
    assert float(accuracy) > 0.9
    assert float(accuracy_of_estimator) > 0.9


@slow
def test_two_workers(tmp_path):
    shown = run(ROOT / "examples" / "two_workers.py", folder=tmp_path)
    first, second, alone = map(float, re.findall(r"loss ([\d.]+)", shown))
    assert first == second == pytest.approx(alone, rel=0.01)
    assert float(re.search(r"same verdict: ([\d.]+)%", shown)[1]) > 98


@slow
def test_several_devices(tmp_path):
    code = re.search(r"MirroredStrategy`.*?```python\n(.*?)```", (ROOT / "docs" / "scale.md").read_text(), re.S)[1]
    assert run("-c", code, folder=tmp_path) == "(150,)\n"


@slow
def test_deployment(tmp_path):
    export, use, table = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.S)
    run("-c", export, folder=tmp_path)
    compared = """
from sklearn.datasets import load_iris
assert abs(detector.adversarial_score(load_iris().data) - np.load("scores.npy")).max() < 1e-5
"""
    shown = run("-c", use + compared, folder=tmp_path)
    assert re.match(r"\['\w+' '\w+'\] \[ ?(True|False) +(True|False)\] \[ *\S+ +\S+ *\]$", shown)
    assert run("-W", "ignore", "-c", export + use + table, folder=tmp_path).splitlines()[-1] == "[False  True]"


@slow
def test_persist(tmp_path):
    dump, *loads = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "persist.md").read_text(), re.S)
    assert len(loads) == 2
    run("-W", "ignore", "-c", dump, folder=tmp_path)
    assert run("-W", "ignore", "-c", "".join(loads), folder=tmp_path) == "0.0\n0.0\n[]\n"
