"""From start to ready, without network and without weights: with the libraries of models against without them.

``python -m tests.benchmarks.start [--rounds 5]`` prints a table. Each round starts the service twice, once as it is and
once with the libraries of the `ai` extra hidden from imports, in turns, so that a busy machine slows both alike. Both
are refused every address but loopback, and say so where they ask for one.
"""

import argparse
import importlib.util
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

#: What the extra brings.
LIBRARIES = (
    "accelerate",
    "h5py",
    "huggingface_hub",
    "hydra",
    "iopath",
    "open_clip",
    "pynvml",
    "safetensors",
    "sam2",
    "timm",
    "tokenizers",
    "torch",
    "torchvision",
    "transformers",
    "ultralytics",
)
#: How much longer a start may take with the extra installed.
LIMIT = 1.2
#: Seconds that a start may take on a busy machine.
PATIENCE = 300.0

#: Runs the service with some libraries hidden and the network refused; what it asked for is printed.
RUN = """
import importlib.util, runpy, sys

hidden = set(filter(None, sys.argv[1].split(",")))

class Hide:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.partition(".")[0] in hidden else real(name, package)
sys.meta_path.insert(0, Hide)

def watch(event, arguments):
    address = None
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        address = arguments[1][0]
    elif event == "socket.getaddrinfo":
        address = arguments[0]
    if address not in (None, "127.0.0.1", "::1", "localhost", b"127.0.0.1"):
        print("NETWORK", address, flush=True)
        raise OSError("there is no network here")

sys.addaudithook(watch)
sys.argv = ["immich-sidecar", "run"]
runpy.run_module("immich_sidecar", run_name="__main__")
"""


@dataclass(frozen=True)
class Start:
    """One start."""

    seconds: float
    #: Bytes that the service and its workers hold.
    memory: int
    #: Whether anything of it had loaded torch, and which addresses were asked for.
    has_torch: bool
    asked: tuple[str, ...]


def start(*, hidden: bool) -> Start:
    """Start the service on an empty data directory, wait until it is ready, end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "IMMICH_"))
        }
        environment |= {
            "SIDECAR_DATA_DIR": f"{folder}/data",
            "SIDECAR_PORT": str(port),
            "SIDECAR_MIN_FREE": "0",
            "SIDECAR_WORKERS": "1",
            "SIDECAR_PROFILE": "standard",
        }
        with log.open("wb") as stream:
            began = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-c", RUN, ",".join(LIBRARIES) if hidden else ""],
                env=environment,
                stdout=stream,
                stderr=stream,
            )
            try:
                while not _is_ready(port):
                    if process.poll() is not None or time.monotonic() - began > PATIENCE:
                        raise SystemExit(f"the service did not start:\n{log.read_text()[-3000:]}")
                    time.sleep(0.02)
                seconds = time.monotonic() - began
                everybody = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                memory = sum(one.memory_info().rss for one in everybody)
                has_torch = any("libtorch" in part.path for one in everybody for part in one.memory_maps())
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
        asked = tuple(line for line in log.read_text().splitlines() if line.startswith("NETWORK"))
        return Start(seconds, memory, has_torch, asked)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if importlib.util.find_spec("torch") is None:
        raise SystemExit("the `ai` extra is not installed: there is nothing to compare; `make ai`")
    start(hidden=False)  # files that the system has not read yet
    found: dict[bool, list[Start]] = {True: [], False: []}
    for number in range(rounds):
        for hidden in (True, False) if number % 2 else (False, True):
            found[hidden].append(start(hidden=hidden))
    print(f"{'':24}{'median':>10}{'fastest':>10}{'slowest':>10}{'memory':>12}")
    for hidden, title in ((True, "without the ai extra"), (False, "with it")):
        seconds = [one.seconds for one in found[hidden]]
        memory = statistics.median(one.memory for one in found[hidden]) / 1e6
        print(
            f"{title:24}{statistics.median(seconds):8.2f} s{min(seconds):8.2f} s{max(seconds):8.2f} s{memory:9.0f} MB"
        )
    with_it, without = (statistics.median(one.seconds for one in found[hidden]) for hidden in (False, True))
    fastest = min(one.seconds for one in found[False]) / min(one.seconds for one in found[True])
    print(f"ratio {with_it / without:.2f} of the medians, {fastest:.2f} of the fastest (limit {LIMIT})")
    everything = found[True] + found[False]
    print(f"torch loaded: {'yes' if any(one.has_torch for one in everything) else 'no'}")
    print(f"addresses asked for: {', '.join(sorted({line for one in everything for line in one.asked})) or 'none'}")


if __name__ == "__main__":
    main()
