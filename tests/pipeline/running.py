"""A service in a process of its own, to be looked at, killed and started again."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    """One data directory and the service on it, if it runs."""

    folder: Path
    arguments: tuple[str, ...] = ("-m", "tests.pipeline.slow_service")
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    address: str = ""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def inbox(self) -> Path:
        return self.data / "inbox"

    def start(self, **environment: str) -> None:
        """Start it, and wait until its pages answer."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("IMMICH_")}
        variables |= {
            "SIDECAR_DATA_DIR": str(self.data),
            "SIDECAR_PORT": "0",
            "SIDECAR_WORKERS": "1",
            "SIDECAR_MIN_FREE": "0",
            "SIDECAR_LOG_LEVEL": "info",
        }
        variables |= self.environment | environment
        self.folder.mkdir(parents=True, exist_ok=True)
        log = (self.folder / "service.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, *self.arguments],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "http://" in line, (line, (self.folder / "service.log").read_text()[-2000:])
        self.address = line.split(": ", 1)[1].strip()

    def kill(self) -> None:
        """End it as a loss of power would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self) -> float:
        """Ask it to end; returns the seconds that it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(120) == 0
        self.process = None
        return time.monotonic() - began

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()

    def drop(self, name: str, content: bytes) -> None:
        """Put a file into the hot folder, whole at once."""
        temporary = self.inbox / f".{name}.tmp"
        temporary.write_bytes(content)
        temporary.rename(self.inbox / name)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database, beside the service."""
        path = self.data / "sidecar.db"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            try:
                return list(connection.execute(query, values))
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def until(self, condition: Callable[[], Any], seconds: float = 120.0, pause: float = 0.01) -> Any:
        """Wait for something to become true; returns it."""
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            log = (self.folder / "service.log").read_text()[-3000:]
            assert self.process is None or self.process.poll() is None, log
            assert time.monotonic() < deadline, (
                self.rows("select sha256, state, failed_at, last_error from photos"),
                log,
            )
            time.sleep(pause)
        return result

    def working(self) -> int:
        """Photos with work to do."""
        ((count,),) = self.rows(
            "select count(*) from photos where failed_at is null and state in "
            "('stored', 'analysed', 'advised', 'rendered')"
        )
        return int(count)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Use the API."""
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")
