"""Damage a file of every kind, over and over, and see that every reader reads it rightly or refuses it in a line.

`make fuzz` runs it. The seed is printed; ``DISSECT_FUZZ_SEED`` repeats a run, ``DISSECT_FUZZ_CASES`` sets the number of
cases, ``DISSECT_FUZZ_ONLY`` chooses readers by a part of their name, or one case as ``checkpoint/17``. What fails is
kept in ``fuzz-failures`` (`make fuzz`: in ``tests``).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hostile.bounded import Child, Ended, call
from hostile.misplaced import MISPLACED
from hostile.readers import Reader, readers
from hostile.work import Work

KEPT = Path("fuzz-failures").absolute()
KEPT_AT_MOST = 200
OUTCOMES = ("read", "equal", "refused", "FAILED")


MODULES = "modules.txt"


class Case(NamedTuple):
    """One damaged file for one reader, by its number; or what lies in its place, by name."""

    reader: Reader
    number: int | str

    @property
    def name(self) -> str:
        """By which it is asked for again."""
        return f"{self.reader.name}/{self.number}"


class Fuzzer:
    """Runs cases in children, and counts how they end."""

    def __init__(self, seed: int, root: Path) -> None:
        self.seed = seed
        self.root = root
        self.counts: Counter[tuple[str, str]] = Counter()
        self.failures: list[str] = []
        self.slowest = 0.0
        self.largest = 0
        self._folders: dict[object, Path] = {}
        self._expected: dict[str, str] = {}

    def prepare(self, chosen: list[Reader]) -> None:
        """Make the intact files, and see what the readers say of them."""
        for reader in chosen:
            if reader.make not in self._folders:
                folder = self._folders[reader.make] = self.root / f"seed{len(self._folders)}"
                folder.mkdir()
                made = call(lambda: reader.make(folder) and 0, folder)  # noqa: B023
                assert made.status == 0, f"{reader.name}: {made}"
        for reader in chosen:
            folder = self.root / f"intact {reader.name.replace('/', ' ').replace(':', '')}"
            shutil.copytree(self._folders[reader.make], folder)
            ended = call(_noting_modules(reader.work), folder)
            _import_all((folder / MODULES).read_text().split())
            assert not ended.faults(), f"{reader.name}: {ended} {ended.faults()}"
            assert ended.status == 0, f"{reader.name}: {ended}"
            self._expected[reader.name] = ended.out
            if "-v" in sys.argv:
                print(
                    f"{reader.name}: {ended.cpu_seconds:.2f} s, {ended.peak_bytes / 2**20:.0f} MB", flush=True
                )
            shutil.rmtree(folder)

    def begin(self, case: Case) -> tuple[Case, Path, Child]:
        """Damage a copy of the intact file, and begin to read it."""
        reader, rng = case.reader, random.Random(f"{self.seed}/{case.name}")
        folder = Path(tempfile.mkdtemp(dir=self.root, prefix="case"))
        shutil.rmtree(folder)
        shutil.copytree(self._folders[reader.make], folder)
        path = folder / reader.file
        if case.number in MISPLACED:
            path.unlink()
            MISPLACED[str(case.number)](path)
            return case, folder, Child(reader.work, folder)
        data = path.read_bytes()
        others = [p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()]
        path.write_bytes(reader.mutate(data, rng, others))
        return case, folder, Child(reader.work, folder)

    def end(self, case: Case, folder: Path, ended: Ended) -> None:
        """Judge a case."""
        faults = ended.faults()
        if (folder / "ran").exists():
            faults.append("ran a program")
        outcome = "read" if ended.status == 0 else "refused"
        if ended.status == 0 and case.reader.equal:
            outcome = "equal"
            if ended.out != self._expected[case.reader.name]:
                faults.append("gives other numbers and does not say why")
        if faults:
            outcome = "FAILED"
            self._keep(case, folder, ended, faults)
        self.slowest, self.largest = max(self.slowest, ended.cpu_seconds), max(self.largest, ended.peak_bytes)
        self.counts[case.reader.name, outcome] += 1
        shutil.rmtree(folder)

    def _keep(self, case: Case, folder: Path, ended: Ended, faults: list[str]) -> None:
        last = (ended.error_lines or ["(no line)"])[-1]
        told = f"{case.name}: {'; '.join(faults)}: {last[:300]}"
        self.failures.append(told)
        print(f"FAILED {told}", flush=True)
        if len(self.failures) <= KEPT_AT_MOST:
            place = KEPT / f"{self.seed}" / case.name.replace("/", "-").replace(" ", "_").replace(":", "")
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(folder, place, symlinks=True, ignore=_irregular)
            (place / "stderr.txt").write_text(
                f"{told}\n\n{ended.err}\n", encoding="utf-8", errors="backslashreplace"
            )

    def run(self, cases: Iterator[Case], at_once: int) -> None:
        """Run cases, some at a time."""
        running: list[tuple[Case, Path, Child]] = []
        more = True
        while running or more:
            while more and len(running) < at_once:
                case = next(cases, None)
                if case is None:
                    more = False
                else:
                    running.append(self.begin(case))
            for each in [each for each in running if each[2].is_done()]:
                running.remove(each)
                self.end(each[0], each[1], each[2].ended())
                if sum(self.counts.values()) % 200 == 0:
                    print(f"{sum(self.counts.values())} cases", flush=True)
            time.sleep(0.002)

    def table(self) -> str:
        """How cases ended, by reader."""
        names = list(dict.fromkeys(name for name, _ in self.counts))
        rows = [(name, *(self.counts[name, outcome] for outcome in OUTCOMES)) for name in names]
        rows.append(("all", *(sum(row[i] for row in rows) for i in range(1, 5))))
        head = f"{'reader':<24}" + "".join(f"{outcome:>9}" for outcome in OUTCOMES)
        return "\n".join([head, *(f"{row[0]:<24}" + "".join(f"{n:>9}" for n in row[1:]) for row in rows)])


def _irregular(folder: str, names: list[str]) -> list[str]:
    """What is not kept: a FIFO would be waited for, and a large file of zeros fill the disk."""
    paths = [Path(folder, name) for name in names]
    return [p.name for p in paths if not p.is_dir() and (not p.is_file() or p.stat().st_size > 2**26)]


def spread(chosen: list[Reader], n: int) -> Iterator[Case]:
    """Cases of all readers, by their weights."""
    total = sum(reader.weight for reader in chosen)
    for reader in chosen:
        for number in range(max(1, round(n * reader.weight / total))):
            yield Case(reader, number)
    for i, reader in enumerate(chosen):
        for j, kind in enumerate(MISPLACED):
            if kind == "nothing" and reader.name == "study: part":
                continue  # a batch that is not there yet: fewer images are measured, and said to be
            if n >= 1000 or (i - j) % len(MISPLACED) == 0:
                yield Case(reader, kind)


def main() -> int:
    """Fuzz all readers, and say what came of it."""
    began = time.monotonic()
    seed = int(os.environ.get("DISSECT_FUZZ_SEED") or secrets.randbelow(2**31))
    n = int(os.environ.get("DISSECT_FUZZ_CASES") or 2500)
    only, _, number = os.environ.get("DISSECT_FUZZ_ONLY", "").partition("/")
    print(f"fuzz: DISSECT_FUZZ_SEED={seed}, {n} cases", flush=True)
    preload()
    chosen = [reader for reader in readers() if only in reader.name]
    with tempfile.TemporaryDirectory() as root:
        fuzzer = Fuzzer(seed, Path(root).resolve())
        fuzzer.prepare(chosen)
        print(f"prepared in {time.monotonic() - began:.0f} s", flush=True)
        cases = (
            spread(chosen, n)
            if not number
            else iter([Case(chosen[0], int(number) if number.isdecimal() else number)])
        )
        fuzzer.run(cases, max(1, len(os.sched_getaffinity(0))))
    print(fuzzer.table())
    print(f"slowest: {fuzzer.slowest:.1f} s of computing; most memory: {fuzzer.largest / 2**20:.0f} MB")
    print(f"{len(fuzzer.failures)} failures in {time.monotonic() - began:.0f} s, DISSECT_FUZZ_SEED={seed}")
    return int(bool(fuzzer.failures))


def _noting_modules(work: Work) -> Work:
    """Work that notes the modules that were loaded at its end."""

    def noted() -> Any:
        try:
            return work()
        finally:
            Path(MODULES).write_text("\n".join(sys.modules))

    return noted


def _import_all(names: list[str]) -> None:
    """Import what a reader imported, so that its children need not."""
    for name in names:
        if name not in sys.modules and name != "hostile_mark":
            with contextlib.suppress(Exception):  # some modules only say that something is missing
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection of each child copies all that it shares with its parent


def preload() -> None:
    """Import all that the work needs, so that the children need not."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    import cv2
    import pyarrow as pa
    import torch

    sys.dont_write_bytecode = True
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    pa.set_cpu_count(1)
    import deep_dissect
    from dissect_mmdet import require_mmdet

    require_mmdet()
    import mmdet.apis
    import mmdet.evaluation
    import mmdet.models  # noqa: F401
    import torch._dynamo  # makes a folder of its own, in the first pass of a model

    import deep_dissect.cli._main  # noqa: F401
    import studies  # noqa: F401
    from hostile.work import detr

    assert detr().anatomy


if __name__ == "__main__":
    sys.exit(main())
