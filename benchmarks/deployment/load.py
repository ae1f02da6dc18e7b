"""A served detector under load: right and malformed requests from many clients, every answer checked.

    python -m benchmarks.deployment.load [--seconds 60] [--clients 16] [--detector detector.onnx]

Fits a small detector and writes it as ONNX, unless one of 30 features is given, starts `examples/serve.py` on a
free port of the loopback interface and sends requests of 1 to 64 rows; one in ten is malformed. Every label
and score is compared with the file's own, a malformed request has to be refused with the reason, and the
memory of the server is read before and after. Prints what was seen, and fails if an answer was wrong.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from skaae.onnx import OnnxDetector

SERVER = Path(__file__).parents[2] / "examples" / "serve.py"
N_FEATURES = 30
MALFORMED_SHARE = 0.1
# What is sent, the status that is wanted, and a word of the reason.
MALFORMED: dict[str, tuple[bytes, int, str]] = {
    "wrong shape": (json.dumps({"rows": [[0.0] * (N_FEATURES - 1)]}).encode(), 422, "expecting 30 features"),
    "one row without its list": (json.dumps({"rows": [0.0] * N_FEATURES}).encode(), 422, "Expected 2D array"),
    "NaN": (json.dumps({"rows": [[float("nan")] * N_FEATURES]}).encode(), 422, "NaN"),
    "text in a row": (json.dumps({"rows": [["a"] * N_FEATURES]}).encode(), 422, "numbers"),
    "an object in a row": (json.dumps({"rows": [[{}] * N_FEATURES]}).encode(), 422, "numbers"),
    "beyond float64": (json.dumps({"rows": [[10**400] * N_FEATURES]}).encode(), 422, "numbers"),
    "beyond float32": (json.dumps({"rows": [[1e39] * N_FEATURES]}).encode(), 422, "largest float32"),
    "too deep": (b"[" * 100_000, 400, "not JSON"),
    "no rows": (b'{"rows": []}', 422, "X"),
    "no object": (b"[1, 2]", 422, "rows"),
    "not JSON": (b"{rows: ", 400, "not JSON"),
    "empty": (b"", 400, "not JSON"),
    "50 MB": (b"0" * 50_000_000, 413, "bytes"),
}
# The large ones would leave time for nothing else.
WEIGHTS = np.array([0.1 if name == "50 MB" else 1.0 for name in MALFORMED])


class Seen:
    """What the clients have seen, of all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = collections.defaultdict(list)
        self.statuses: collections.Counter[tuple[str, int]] = collections.Counter()
        self.wrong: list[str] = []
        self.largest_difference = 0.0

    def add(self, kind: str, status: int, seconds: float) -> None:
        self.seconds[kind].append(seconds)
        self.statuses[kind, status] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--detector", type=Path, help="a file of skaae.onnx.to_onnx for 30 features")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.detector or Path(folder) / "detector.onnx"
        if arguments.detector is None:
            write_detector(path)
        with running_server(path) as (port, process):
            seen, memory = load(path, port, process.pid, arguments.seconds, arguments.clients)
    report(seen, memory, arguments.seconds)
    sys.exit(bool(seen.wrong))


def write_detector(path: Path) -> None:
    """In a process of its own: TensorFlow would take memory and processor time from the clients."""
    code = """
import sys, keras, numpy as np
from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae.onnx import to_onnx
X = np.random.default_rng(0).normal(size=(2000, 30))
model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(3, "softmax")])
named = FrozenKerasModel(model, classes=["red", "green", "blue"])
to_onnx(AdversarialAEDetector(named, epochs=3, random_state=0).fit(X), sys.argv[1])
"""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", code, path], check=True, env=environment)


@contextmanager
def running_server(path: Path) -> Iterator[tuple[int, subprocess.Popen]]:
    """The example, on a free port, once it answers; ended with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, SERVER, path, "--port", str(port)])
    try:
        wait_until_it_answers(port, process)
        yield port, process
    finally:
        process.terminate()
        process.wait(10)


def wait_until_it_answers(port: int, process: subprocess.Popen, most_seconds: float = 60) -> None:
    end = time.monotonic() + most_seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            status, _ = send(http.client.HTTPConnection("127.0.0.1", port, timeout=5), "GET", "/health", None)
        except ConnectionError:
            time.sleep(0.05)
        else:
            assert status == 200
            return
    raise RuntimeError(f"the server does not answer; its exit status is {process.poll()}")


def send(connection: http.client.HTTPConnection, method: str, address: str, body: bytes | None) -> tuple[int, Any]:
    connection.request(method, address, body)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def load(path: Path, port: int, process: int, seconds: float, clients: int) -> tuple[Seen, tuple[float, float]]:
    """Let the clients send for so many seconds; memory of the server before and after, in MiB."""
    detector, seen = OnnxDetector(path), Seen()
    warm = Seen()
    client(detector, port, time.monotonic() + 1, 0, warm)
    before = memory_of(process)
    end = time.monotonic() + seconds
    arguments = [(detector, port, end, seed, seen) for seed in range(1, clients + 1)]
    threads = [threading.Thread(target=client, args=values) for values in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen.wrong += warm.wrong
    return seen, (before, memory_of(process))


def client(detector: OnnxDetector, port: int, end: float, seed: int, seen: Seen) -> None:
    """Send requests until `end`; the first client begins with one of each malformed kind."""
    generator = np.random.default_rng(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    names = list(MALFORMED)
    for name in names if seed == 1 else ():
        malformed(connection, name, seen)
    while time.monotonic() < end:
        if generator.random() < MALFORMED_SHARE:
            malformed(connection, names[generator.choice(len(names), p=WEIGHTS / WEIGHTS.sum())], seen)
            continue
        rows = generator.normal(size=(generator.integers(1, 65), N_FEATURES)) * generator.choice([1, 5])
        body = json.dumps({"rows": rows.tolist()}).encode()
        start = time.perf_counter()
        status, answer = send(connection, "POST", "/correct", body)
        seen.add("right", status, time.perf_counter() - start)
        check(detector, rows, status, answer, seen)
    connection.close()


def malformed(connection: http.client.HTTPConnection, name: str, seen: Seen) -> None:
    """Send a malformed request, and see that it is refused with the reason."""
    body, wanted, reason = MALFORMED[name]
    start = time.perf_counter()
    try:
        status, answer = send(connection, "POST", "/correct", body)
    except (ConnectionError, http.client.HTTPException) as error:
        # A server may answer and hang up before a large body has been sent.
        status, answer = answer_on(connection, error)
    seen.add(name, status, time.perf_counter() - start)
    if status != wanted or reason not in str(answer.get("detail")):
        seen.wrong.append(f"{name}: {status} {answer}, {wanted} because of {reason!r} is wanted")
    if name == "50 MB":
        connection.close()


def answer_on(connection: http.client.HTTPConnection, error: Exception) -> tuple[int, Any]:
    """What the server has said before it hung up."""
    try:
        answer = http.client.HTTPResponse(connection.sock)
        answer.begin()
        return answer.status, json.loads(answer.read())
    except (OSError, AttributeError, ValueError, http.client.HTTPException):
        return 0, {"detail": f"no answer, {error!r}"}


def check(detector: OnnxDetector, rows: np.ndarray, status: int, answer: dict[str, Any], seen: Seen) -> None:
    """Compare an answer with the file's own results."""
    wanted = detector.correct(rows)
    if status != 200:
        seen.wrong.append(f"rows of shape {rows.shape}: {status} {answer}")
        return
    difference = float(np.abs(np.array(answer["scores"]) - wanted.instance_score).max())
    seen.largest_difference = max(seen.largest_difference, difference)
    same = answer["labels"] == wanted.corrected.tolist() and answer["is_adversarial"] == wanted.is_adversarial.tolist()
    if not same or difference > 1e-9:
        seen.wrong.append(f"rows of shape {rows.shape}: scores differ by {difference}, labels the same: {same}")


def memory_of(process: int) -> float:
    """Resident memory in MiB; Linux."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def report(seen: Seen, memory: tuple[float, float], seconds: float) -> None:
    n_requests = sum(map(len, seen.seconds.values()))
    print(f"{n_requests} requests in {seconds:g} s, {len(seen.wrong)} wrong answers")
    print(f"largest difference from the file's own scores: {seen.largest_difference:.1e}")
    print(f"memory of the server: {memory[0]:.1f} MiB before, {memory[1]:.1f} MiB after")
    for (kind, status), count in sorted(seen.statuses.items()):
        times = 1000 * np.percentile(seen.seconds[kind], [50, 95, 99, 100])
        shown = ", ".join(
            f"{name} {value:.1f}" for name, value in zip(("50 %", "95 %", "99 %", "max"), times, strict=True)
        )
        print(f"{kind:26} {status} x {count:6}   milliseconds: {shown}")
    for line in seen.wrong[:20]:
        print("WRONG", line)


if __name__ == "__main__":
    main()
