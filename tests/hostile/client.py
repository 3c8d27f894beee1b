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
        self._server = subprocess.Popen(
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
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        return Ended(**{**answer, "attempts": tuple(answer["attempts"])})

    def close(self) -> None:
        """End the process."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(60)
        if self._server.stdout is not None:
            self._server.stdout.close()


def refused(ended: Ended, *says: str) -> None:
    """Assert that a command refused its input with one line, and that nothing of it was run."""
    assert not ended.faults(), f"{ended.faults()}: {ended.err[-2000:]}"
    assert ended.status == 2, f"status {ended.status}: {ended.out[-1000:]} {ended.err[-1000:]}"
    for text in says:
        assert text in ended.err, ended.err


def harmless(ended: Ended) -> None:
    """Assert that a command read its input, or refused it with one line."""
    assert not ended.faults(), f"{ended.faults()}: {ended.err[-2000:]}"
