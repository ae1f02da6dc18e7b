import numpy as np
import pytest

from skaae.robustness._checks import CHECKS, TITLES, Check, Findings, all_checks
from skaae.robustness._judging import Outcome

N = 200
LABELS = np.repeat([0, 1], N // 2)


def outcome(attack, right, undefended=None, *, attacker="unaware", size=0.3, kind="gradient", norm="linf", flagged=0.0):
    """An outcome in which these shares of the rows are right, or flagged."""
    shares = {"right": right, "undefended": right if undefended is None else undefended, "flagged": flagged}
    masks = {name: np.random.default_rng(0).permutation(N) < share * N for name, share in shares.items()}
    return Outcome(attacker, attack, kind, norm, size, np.ones(N, bool), **masks, undetected=~masks["right"])


def findings(*outcomes, **other):
    clean = outcome(
        "clean", other.pop("clean", 0.95), other.pop("alone", 0.95), attacker="none", size=0.0, kind="clean"
    )
    known = {"growing": [], "labels": LABELS, "classes": np.array([0, 1]), "sizes": [0.3], "promised": 0.05}
    known |= {"alarms": {"0": (5, 100), "1": (4, 100)}, "has_defense": True, "own_gradient": True, **other}
    return Findings([clean, *outcomes], **known)


def status(code, found):
    return {check.code: check.status for check in all_checks(found)}[code]


@pytest.mark.parametrize(
    ("code", "expected", "found"),
    [
        ("SKA011", "PASS", findings()),
        ("SKA011", "WARN", findings(stuck={"count": 0.7}, n_moving=3)),
        ("SKA011", "FAIL", findings(stuck={"count": 0.7}, n_moving=1)),
        ("SKA002", "WARN", findings(never_flagged=["1"])),
        ("SKA001", "PASS", findings(clean=0.94)),
        ("SKA001", "WARN", findings(clean=0.92)),
        ("SKA001", "FAIL", findings(clean=0.80)),
        ("SKA001", "SKIP", findings(has_defense=False)),
        ("SKA002", "PASS", findings(alarms={"0": (8, 100)})),
        ("SKA002", "FAIL", findings(alarms={"0": (5, 100), "1": (20, 100)})),
        ("SKA002", "SKIP", findings(promised=None)),
        ("SKA003", "PASS", findings(without_gradient={"classifier": 0.0})),
        ("SKA003", "WARN", findings(without_gradient={"classifier": 0.0, "defense": 0.2})),
        ("SKA003", "FAIL", findings(without_gradient={"classifier": 1.0})),
        ("SKA003", "SKIP", findings()),
        ("SKA004", "PASS", findings(outcome("PGD Linf", 0.5), outcome("Square", 0.6, kind="gradient-free"))),
        ("SKA004", "FAIL", findings(outcome("PGD Linf", 0.9), outcome("Square", 0.6, kind="gradient-free"))),
        (
            "SKA004",
            "WARN",
            findings(
                outcome("PGD Linf", 0.9, kind="transfer"),
                outcome("Square", 0.6, kind="gradient-free"),
                own_gradient=False,
            ),
        ),
        ("SKA004", "SKIP", findings(outcome("PGD Linf", 0.9))),
        ("SKA005", "PASS", findings(outcome("PGD Linf", 0.5), outcome("PGD Linf, more steps", 0.49))),
        ("SKA005", "WARN", findings(outcome("PGD Linf", 0.5), outcome("PGD Linf, more steps", 0.46))),
        ("SKA005", "FAIL", findings(outcome("PGD Linf", 0.5), outcome("PGD Linf, more steps", 0.3))),
        ("SKA005", "SKIP", findings(outcome("PGD Linf", 0.5))),
        ("SKA006", "PASS", findings(planted={"classifier": 1.0, "both": float("nan")})),
        ("SKA006", "WARN", findings(planted={"classifier": 0.9})),
        ("SKA006", "FAIL", findings(planted={"classifier": 0.1})),
        ("SKA006", "SKIP", findings(planted={"classifier": float("nan")})),
        ("SKA007", "PASS", findings(outcome("PGD Linf", 0.8, 0.2))),
        ("SKA007", "PASS", findings(outcome("PGD Linf", 0.94, 0.9))),
        ("SKA007", "WARN", findings(outcome("PGD Linf", 0.35, 0.2))),
        ("SKA007", "FAIL", findings(outcome("PGD Linf", 0.2, 0.2))),
        ("SKA007", "SKIP", findings(outcome("PGD Linf", 0.95, 0.95))),
        ("SKA007", "SKIP", findings()),
        ("SKA007", "SKIP", findings(has_defense=False)),
        ("SKA008", "PASS", findings()),
        ("SKA008", "WARN", findings(labels=np.repeat([0, 1], 40))),
        ("SKA008", "WARN", findings(labels=np.repeat([0, 1], [5, 195]))),
        ("SKA008", "FAIL", findings(labels=np.repeat([0, 1], 10))),
        ("SKA009", "PASS", findings(outcome("PGD Linf", 0.8), outcome("joint PGD", 0.7, attacker="knowing"))),
        ("SKA009", "WARN", findings(outcome("PGD Linf", 0.8), outcome("joint PGD", 0.1, attacker="knowing"))),
        ("SKA009", "FAIL", findings(outcome("PGD Linf", 0.3))),
        ("SKA009", "SKIP", findings()),
        ("SKA009", "SKIP", findings(outcome("PGD Linf", 0.3), labels=np.zeros(N, int))),
        ("SKA010", "PASS", findings(growing=[outcome("PGD Linf, growing", 0.0, size=4.8)])),
        ("SKA010", "WARN", findings(growing=[outcome("PGD Linf, growing", 0.6, size=4.8)])),
        ("SKA010", "SKIP", findings(growing=[outcome("PGD Linf, growing", 0.6, size=4.8)], n_fixed=2)),
        ("SKA010", "SKIP", findings()),
    ],
)
def test_status(code, expected, found):
    assert status(code, found) == expected


def test_every_check_has_a_title_and_a_link(monkeypatch):
    assert list(CHECKS) == list(TITLES)
    check = Check("SKA003", "PASS", "")
    assert check.link == "https://arxiv.org/abs/1802.00420"
    monkeypatch.setenv("SKAAE_DOCUMENTATION", "https://example.org/")
    assert check.link == "https://example.org/robustness.html#ska003"


def test_a_rare_class_counts_as_much_as_the_common_one():
    """Always answering the common class would be right for .95 of the rows."""
    labels = np.repeat([0, 1], [190, 10])
    good, bad = outcome("PGD Linf", 1.0), outcome("PGD Linf", 1.0)
    good.right[:] = np.arange(N) >= 20
    bad.right[:] = (labels == 0) & (np.arange(N) >= 20)
    assert status("SKA009", findings(good, labels=labels)) == "PASS"
    assert status("SKA009", findings(bad, labels=labels)) == "FAIL"
