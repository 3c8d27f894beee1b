"""Errors have one root a package: whoever catches `deep_dissect.ERRORS` catches all that is raised on purpose."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOTS = {"DissectError", "EvalError"}
SIGNALS = {
    "BrokenRuleError": "a check of a detector tells its runner",
    "DeclaredDeviation": "a check of a detector tells its runner",
    "RefusedNameError": "the reader of pickles tells its caller, which raises a CheckpointError",
    "TorchScriptError": "the reader of checkpoints tells its caller, which raises a CheckpointError",
    "DivergedError": "a replayed pass tells the session, which raises a ReplayError or runs in full",
    "UnplainError": "a value that cannot be compared is told to the recording",
    "_StoppedError": "a progress bar ends the measuring that somebody has stopped",
}
"""Exceptions that never leave their room."""


def test_every_error_descends_from_a_root() -> None:
    bases: dict[str, set[str]] = {}
    for file in sorted((ROOT / "packages").glob("*/src/**/*.py")):
        if {"ops", "v1"} & set(file.parts):  # stand-ins for other packages' modules
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                names = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                bases.setdefault(node.name, set()).update(names)

    def ancestors(name: str) -> set[str]:
        return {name}.union(*(ancestors(base) for base in bases.get(name, ()) if base != name))

    def is_error(name: str) -> bool:
        return any(one.endswith(("Error", "Exception")) for one in ancestors(name) - bases.keys())

    errors = {name for name in bases if is_error(name)}
    assert errors >= ROOTS
    assert len(errors) > 50
    assert {name for name in errors if not ancestors(name) & ROOTS} == set(SIGNALS)
