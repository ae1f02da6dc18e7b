"""The environment in which tests run; what they share is in tests/support/."""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["SCIPY_ARRAY_API"] = "1"

import logging

from hypothesis import HealthCheck, settings

# The same examples every time; `pytest --hypothesis-profile=thorough tests/test_properties*.py` looks for others.
settings.register_profile(
    "repeatable",
    derandomize=True,
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.register_profile("thorough", settings.get_profile("repeatable"), derandomize=False, max_examples=2500)


def pytest_configure(config):
    # With -n this process only hands out the tests: the workers make the fixtures, whose imports take seconds.
    if not config.getoption("numprocesses", None):
        for name in ("fixtures", "benchmarks"):
            config.pluginmanager.import_plugin(f"tests.support.{name}")
    settings.load_profile(config.getoption("--hypothesis-profile") or "repeatable")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # "retracing", once for each of many small fits
