"""Code run in a new interpreter."""

import subprocess
import sys
import textwrap


def run_python(code, *arguments):
    """Run code in a new interpreter, which has imported nothing of this one."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
