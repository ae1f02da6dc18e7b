import os
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skaae.robustness._command_line import FAILED, INVALID, PASSED, _names, main


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    X, y = load_iris(return_X_y=True, as_frame=True)
    joblib.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), folder / "model.joblib")
    X.assign(kind=y).to_csv(folder / "data.csv", index=False)
    return folder


def run(files, *options, model="model.joblib", data="data.csv"):
    return main([str(files / model), str(files / data), "--target", "kind", *map(str, options)])


def test_report_and_exit_codes(files, capsys):
    quick = ["--attacks", "FGSM", "--n-samples", 100]
    code = run(files, *quick, "--sizes", 0.1, "--html", files / "report.html", "--csv", files / "attacks.csv")
    assert code == PASSED
    assert "RobustnessReport of Pipeline" in capsys.readouterr().out
    assert "<svg" in (files / "report.html").read_text()
    assert set(pd.read_csv(files / "attacks.csv")["attack"]) >= {"clean", "FGSM"}
    assert run(files, *quick, "--sizes", 2) == FAILED


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--sizes", 0], "sizes must be positive"),
        (["--immutable", "color"], "columns that the data has not: ['color']"),
        (["--attacks", "PDG"], "attacks must be one of"),
        (["--html", "no_such_folder/report.html"], "there is no folder no_such_folder"),
        (["--html", "."], ". cannot be written: it is a folder"),
        (["--random-state", -1], "random_state must be in [0, 2**32)"),
        (["--target", "color"], "has no column 'color'"),
    ],
)
def test_invalid_input(files, capsys, options, says):
    assert run(files, *options) == INVALID
    assert says in capsys.readouterr().err


def test_text_that_looks_like_numbers(tmp_path, capsys):
    """A code with a leading zero, and a country whose code pandas takes for missing."""
    X = pd.DataFrame({"zip": ["01067", "10115"] * 30, "country": ["NA", "DE", "FR"] * 20, "amount": np.arange(60.0)})
    y = (X["amount"] > 30).astype(int)
    encoder = make_column_transformer((OneHotEncoder(), ["zip", "country"]), remainder=StandardScaler())
    joblib.dump(make_pipeline(encoder, LogisticRegression()).fit(X, y), tmp_path / "model.joblib")
    X.assign(kind=y).to_csv(tmp_path / "data.csv", index=False)
    assert run(tmp_path, "--attacks", "FGSM") == INVALID
    assert "--text" in capsys.readouterr().err
    assert run(tmp_path, "--attacks", "FGSM", "--text", "zip", "country") in (PASSED, FAILED)


def test_nothing_attacked_is_no_pass(files):
    assert run(files, "--attacks", "FGSM", "--time-limit", 1e-6) == FAILED


def test_names_of_attacks_with_a_comma():
    names = ["PGD Linf", "PGD Linf, more steps", "noise"]
    assert _names("PGD Linf,PGD Linf, more steps, noise,") == names


def test_file_that_is_no_model(files, capsys):
    assert run(files, model="data.csv") == INVALID
    assert "cannot be loaded with joblib" in capsys.readouterr().err


@pytest.mark.slow
def test_new_process(files):
    command = [sys.executable, "-W", "ignore", "-m", "skaae.robustness"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "runs code" in shown
    assert "exit codes" in shown
    arguments = [files / "model.joblib", files / "data.csv", "--target", "kind", "--sizes", "0.1", "--n-samples", "100"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, env=environment)
    assert done.returncode == PASSED, done.stderr
    assert "SKA009" in done.stdout
