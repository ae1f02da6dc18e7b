import subprocess
import sys

CODE = """
import sys
sys.modules["pandas"] = None  # as if it were not installed
from skaae.metrics import defense_report
try:
    defense_report(None, None, None, {})
except ImportError as error:
    print(error)
"""


def test_a_missing_package_is_named_with_its_extra():
    command = [sys.executable, "-c", CODE]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "requires pandas, which is not installed" in shown
    assert shown.endswith("pip install 'skaae[pandas]'\n")
