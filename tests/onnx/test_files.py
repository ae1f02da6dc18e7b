"""A file is there whole or not at all, also when the process is killed."""

import subprocess
import sys

import pytest

from skaae.onnx._files import check_target, write_whole

KILLED = """
import os, pathlib, signal, sys
from skaae.onnx._files import write_whole
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)  # when all is written, before it is in its place
write_whole(pathlib.Path(sys.argv[1]), b"new" * 1000)
"""


def test_old_content_is_replaced(tmp_path):
    for content in (b"old", b"new"):
        write_whole(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_killed_while_it_writes(tmp_path):
    write_whole(tmp_path / "file", b"old")
    ended = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "file"])
    assert ended.returncode == -9
    assert (tmp_path / "file").read_bytes() == b"old"


def test_nothing_is_left_by_a_failure(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_targets_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist"):
        check_target(tmp_path / "missing" / "file")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_target(tmp_path)
    with pytest.raises(TypeError, match="path must be a str or a path, got int"):
        check_target(3)
