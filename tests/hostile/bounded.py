"""Work on hostile input in a forked child: bounded in time and memory, and with everything that it attempts seen.

The parent has imported what the work needs, so that a case takes the time of the work alone. Call from a process
without threads.
"""

from __future__ import annotations

import dataclasses
import io
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MEMORY_BYTES = 2**29
"""What the work may hold beyond what a child that does nothing holds."""
CPU_SECONDS = 10
WALL_SECONDS = 120
"""Far more: other processes may have the cores."""
KILLED_AT_BYTES = 3 * 2**30
FILE_BYTES = 2**28
FAULT = 70
"""Status of a child whose work raised, where a command would have said why."""

_EXECUTES = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.startfile")
_EXECUTES += ("subprocess.Popen", "pty.spawn", "socket.connect", "socket.bind", "socket.getaddrinfo")
_CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.link", "os.symlink")
_CHANGES += ("os.truncate", "shutil.rmtree", "shutil.move", "shutil.copyfile")
_BAR = re.compile(r"\d+%\|")
_ALSO_SAID = re.compile(
    r"warning: |note: |.* entries loaded, |Attention heads are not shown|.* taken off every name"
)
# Decoders of images write beside us, from C, about the file that is named in the line.
_DECODERS = re.compile(
    r"lib(png|tiff|jpeg) (error|warning): |(Corrupt|Premature end of) JPEG|\[ ?(WARN|ERROR):"
)
_FOREIGN = re.compile(r"\S+\.py:\d+: \w+Warning")
_LONGEST = 4000
_NEVER = ("Traceback (most recent", "internal error", "weights_only=False", "add_safe_globals", "\x1b")


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a child ended: its status (or minus the signal that ended it), what it printed, took, and attempted."""

    status: int
    out: str
    err: str
    cpu_seconds: float
    peak_bytes: int
    timed_out: bool
    attempts: tuple[str, ...]

    @property
    def error_lines(self) -> list[str]:
        """Lines of standard error, but for progress bars and what is said beside."""
        lines = [line.strip() for line in re.split(r"[\r\n]", self.err)]
        beside = (_BAR.search, _ALSO_SAID.match, _DECODERS.match)
        return [line for line in lines if line and not any(is_one(line) for is_one in beside)]

    def faults(self) -> list[str]:
        """What must not be, whatever the input was; nothing if it was read or refused with one line."""
        found = [f"attempted {attempt}" for attempt in self.attempts]
        if self.timed_out or self.status == -signal.SIGXCPU:
            found.append(f"not done in {CPU_SECONDS} s of computing")
        elif self.status < 0:
            found.append(f"died of {signal.Signals(-self.status).name}")
        elif self.status not in (0, 2):
            found.append(f"status {self.status}")
        if self.cpu_seconds > CPU_SECONDS:
            found.append(f"took {self.cpu_seconds:.0f} s")
        if self.peak_bytes > MEMORY_BYTES:
            found.append(f"took {self.peak_bytes / 2**20:.0f} MB")
        found += [f"prints {never!r}" for never in _NEVER if never in self.out + self.err]
        lines = self.error_lines
        if self.status == 2 and not (lines and lines[0].startswith("error: ")):
            found.append("refused without a line that says why")
        if self.status == 2 and not _one_error(lines):
            found.append(f"{len(lines)} lines on standard error")
        found += [f"prints a warning of others: {line[:200]}" for line in lines if _FOREIGN.match(line)]
        if any(len(line) > _LONGEST for line in lines):
            found.append(f"a line of {max(map(len, lines)):,} characters")
        return found


def _one_error(lines: list[str]) -> bool:
    """One line; of a study's file that breaks several rules, one for each after a heading."""
    return len(lines) == 1 or (bool(lines) and lines[0].endswith(":"))


class Child:
    """Work that was begun in a child.

    Parameters
    ----------
    work : callable
        What to do; what it returns, or exits with, is the status.
    folder : Path
        Where the child stands, and the only place that it may write to.
    encoding : str
        Of its output.
    environment : mapping
        Variables beside those of this process.
    """

    def __init__(
        self,
        work: Callable[[], Any],
        folder: Path,
        *,
        encoding: str = "utf-8",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._files = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115 - closed by `ended`
        self._began = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            _become(
                work, folder.resolve(), [file.fileno() for file in self._files], encoding, environment or {}
            )
        self._usage: Any = None
        self._status = 0
        self._timed_out = False

    def is_done(self) -> bool:
        """Whether it has ended; one that waits for too long is ended."""
        if self._usage is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._usage, self._status = usage, os.waitstatus_to_exitcode(status)
            elif time.monotonic() - self._began > WALL_SECONDS and not self._timed_out:
                self._timed_out = True
                os.kill(self.pid, signal.SIGKILL)
        return self._usage is not None

    def ended(self) -> Ended:
        """How it ended; waits for that."""
        pause = 0.001
        while not self.is_done():
            time.sleep(pause)
            pause = min(0.05, pause * 1.5)
        texts = []
        for file in self._files:
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace"))
            file.close()
        return Ended(
            self._status,
            texts[0],
            texts[1],
            self._usage.ru_utime + self._usage.ru_stime,
            max(0, self._usage.ru_maxrss * 1024 - _idle_bytes()),
            self._timed_out,
            tuple(dict.fromkeys(texts[2].splitlines())),
        )


def call(work: Callable[[], Any], folder: Path, **options: Any) -> Ended:
    """Do some work in a child and say how it ended."""
    return Child(work, folder, **options).ended()


_idle: list[int] = []


def _idle_bytes() -> int:
    """What a child holds that does nothing."""
    if not _idle:
        pid = os.fork()
        if not pid:
            os._exit(0)
        _idle.append(os.wait4(pid, 0)[2].ru_maxrss * 1024)
    return _idle[0]


def _become(
    work: Callable[[], Any], folder: Path, files: list[int], encoding: str, environment: Mapping[str, str]
) -> None:
    """Be the child, to its end."""
    status = FAULT
    try:
        os.setsid()
        out, err, attempts = files
        for source, place in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(source, place)
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
        for name, place in (("stdout", 1), ("stderr", 2)):
            errors = "strict" if place == 1 else "backslashreplace"  # as Python opens them
            raw = io.BufferedWriter(io.FileIO(place, "w", closefd=False))
            setattr(
                sys, name, io.TextIOWrapper(raw, encoding=encoding, errors=errors, line_buffering=place == 2)
            )
        os.chdir(folder)
        os.environ.update(environment)
        tempfile.tempdir = str(folder)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 2))
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + KILLED_AT_BYTES,) * 2)
        sys.addaudithook(_watch(folder, attempts))
        try:
            status = _status(work())
        except SystemExit as exit_request:
            status = _status(exit_request.code)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
        finally:
            os._exit(status)


def _status(code: Any) -> int:
    return code if isinstance(code, int) else int(code is not None)


def _watch(folder: Path, place: int) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that notes programs, connections and changes outside of the folder."""
    inside = (f"{folder}/", f"{os.devnull}")
    moment = [False]

    def outside(path: Any) -> bool:
        if isinstance(path, int) or path is None:
            return False
        whole = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - links are followed below
        return not (f"{whole}/".startswith(inside) or f"{os.path.realpath(whole)}/".startswith(inside))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if moment[0]:
            return
        moment[0] = True
        try:
            text = ""
            if event in _EXECUTES:
                text = f"{event} {str(arguments[:2])[:200]}"
            elif event in _CHANGES:
                if any(
                    outside(path) for path in arguments[:2] if isinstance(path, (str, bytes, os.PathLike))
                ):
                    text = f"{event} {str(arguments[:2])[:200]}"
            elif event == "open":
                path, mode, flags = arguments
                writes = any(c in (mode or "") for c in "wax+") or flags & (
                    os.O_WRONLY | os.O_RDWR | os.O_CREAT
                )
                if writes and outside(path):
                    text = f"open for writing {path}"
            elif event == "import" and arguments[0].partition(".")[0] == "hostile_mark":
                text = "import of a module that a file named"
            if text:
                os.write(place, text.replace("\n", " ").encode(errors="replace") + b"\n")
        except (ValueError, OSError, TypeError):
            pass
        finally:
            moment[0] = False

    return hook
