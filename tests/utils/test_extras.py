import subprocess
import sys

import pytest

from skaae.metrics import defense_report

CODE = """
import sys
sys.modules["pandas"] = None  # as if it were not installed
from skaae.metrics import defense_report
try:
    defense_report(None, None, None, {})
except ImportError as error:
    print(error)
"""


def test_it_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"requires pandas, which is not installed.*pip install 'skaae\[pandas\]'$"):
        defense_report(None, None, None, {})


@pytest.mark.slow
def test_a_missing_package_is_named_with_its_extra():
    command = [sys.executable, "-c", CODE]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "requires pandas, which is not installed" in shown
    assert shown.endswith("pip install 'skaae[pandas]'\n")
