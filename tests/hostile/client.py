"""Asking the process that runs commands in bounded children."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hostile.bounded import Ended

TESTS = Path(__file__).parents[1]


class Commands:
    """Runs commands of ``deep-dissect``, each in a child of its own, bounded in time and memory."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def _started(self) -> subprocess.Popen[str]:
        """The process; a new one where a test was cut off before it had its answer, which the next would get."""
        if self._server is None:
            self._server = self._start()
        return self._server

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "hostile.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
                "OMP_NUM_THREADS": "1",
                "COLUMNS": "100",
            },
        )

    def __call__(self, folder: Path, *words: object, **options: Any) -> Ended:
        """Run a command in a folder."""
        return self._ask({"folder": str(folder), "words": [str(word) for word in words], **options})

    def function(self, folder: Path, name: str, *arguments: Any) -> Ended:
        """Call a function by its dotted name, and say its errors as a command does."""
        return self._ask({"folder": str(folder), "function": name, "arguments": arguments})

    def _ask(self, asked: dict[str, Any]) -> Ended:
        server = self._started()
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            server.stdin.write(json.dumps(asked) + "\n")
            server.stdin.flush()
            answer = json.loads(server.stdout.readline())
        except BaseException:
            self.close()
            raise
        return Ended(**{**answer, "attempts": tuple(answer["attempts"])})

    def close(self) -> None:
        """End the process."""
        server, self._server = self._server, None
        if server is not None:
            with server:  # closes its pipes, and waits for it
                server.kill()


def refused(ended: Ended, *says: str) -> None:
    """Assert that a command refused its input with one line, and that nothing of it was run."""
    assert not ended.faults(), f"{ended.faults()}: {ended.err[-2000:]}"
    assert ended.status == 2, f"status {ended.status}: {ended.out[-1000:]} {ended.err[-1000:]}"
    for text in says:
        assert text in ended.err, ended.err


def harmless(ended: Ended) -> None:
    """Assert that a command read its input, or refused it with one line."""
    assert not ended.faults(), f"{ended.faults()}: {ended.err[-2000:]}"
