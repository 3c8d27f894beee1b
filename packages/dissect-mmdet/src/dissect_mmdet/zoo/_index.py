"""The index of the zoo: ``metafile.yml`` beside the configs that OpenMMLab packs into mmdet's wheel."""

from __future__ import annotations

import functools
import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from dissect_core.detectors import ZooModel
from dissect_core.names import near_hint
from dissect_core.storage import read_regular
from dissect_core.text import quoted

from ..errors import MissingDependencyError, UnknownModelError, ZooError, said
from ._download import cached

METAFILE = "metafile.yml"
SCORE = "box AP"
"""What the zoo calls the AP of boxes: what has none is a tracker, a segmenter, a proposer of regions …"""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C ten times as fast


@dataclass(frozen=True)
class ZooEntry(ZooModel):
    """A model of the zoo, and where its files are.

    Attributes
    ----------
    config : Path or None
        In the installed mmdet.
    weights : str
        URL.
    problem : str
        Why it cannot be opened; empty if nothing is known.
    """

    config: Path | None = None
    weights: str = ""
    problem: str = ""


def models() -> tuple[ZooEntry, ...]:
    """Return the detectors of the zoo that can be opened, in the order of their names.

    Raises
    ------
    MissingDependencyError
        If mmdet is not installed.
    ZooError
        If it brings no index.

    Examples
    --------
    >>> [(one.name, one.box_ap) for one in models() if one.name.startswith("detr_r50")]
    [('detr_r50_8xb2-150e_coco', 39.9)]
    """
    usable = (entry for entry in read_index() if not entry.problem)
    return tuple(replace(entry, is_here=cached(entry.weights).is_file()) for entry in usable)


def find_entry(name: str) -> ZooEntry:
    """Return the model of a name, an alias, or the name of its config.

    Raises
    ------
    UnknownModelError
        If there is none, or it cannot be opened; near matches are named.

    Examples
    --------
    >>> find_entry("rtmdet-t").name
    'rtmdet_tiny_8xb32-300e_coco'
    >>> find_entry("detr_r50_8xb2-150e_cocoo")
    Traceback (most recent call last):
    dissect_mmdet.errors.UnknownModelError: `model` must be one of MMDetection's zoo, got ... Near matches: ...
    """
    if not isinstance(name, str):
        raise UnknownModelError(
            f"`model` must be the name of a model of MMDetection's zoo, got {quoted(name)}."
        )
    entries = read_index()
    by_name = {alias: entry for entry in reversed(entries) for alias in entry.aliases}
    by_name |= {entry.name: entry for entry in entries}
    found = by_name.get(name) or by_name.get(name.removesuffix(".py"))
    if found is None:
        hint = near_hint(name, [known for known, entry in by_name.items() if not entry.problem])
        other = " For a model of Hugging Face Transformers say --adapter transformers." * ("/" in name)
        raise UnknownModelError(
            f"`model` must be one of MMDetection's zoo, got {quoted(name)}.{hint} `deep-dissect models` lists them; "
            f"files of your own are given as `checkpoint` and `config`.{other}"
        )
    if found.problem:
        raise UnknownModelError(f"`model` {quoted(found.name)} of MMDetection's zoo {found.problem}")
    return found


def zoo_folder() -> Path:
    """Return the folder of the index, in which ``configs`` lies.

    Raises
    ------
    MissingDependencyError
        If mmdet is not installed.
    ZooError
        If it brings no index.
    """
    spec = importlib.util.find_spec("mmdet")
    if spec is None or spec.origin is None:
        raise MissingDependencyError(
            "The zoo of MMDetection needs mmdet, which is not installed here. Install it with "
            'pip install "dissect-mmdet[lite]" (no compiler needed).'
        )
    package = Path(spec.origin).parent
    for folder in (package / ".mim", package.parent):  # of a wheel, and of a checkout
        if next((folder / "configs").glob(f"*/{METAFILE}"), None) is not None:
            return folder
    raise ZooError(
        f"the mmdet installed in {package} brings no index of its zoo ({package / '.mim' / 'configs'}): install "
        "OpenMMLab's wheel of it, `pip install --force-reinstall --no-deps mmdet`, or give `config` and `checkpoint`."
    )


def read_index() -> tuple[ZooEntry, ...]:
    """Return all models of the index, in the order of their names, those that cannot be opened with the reason."""
    return _read(zoo_folder())


@functools.cache
def _read(folder: Path) -> tuple[ZooEntry, ...]:
    configs = list((folder / "configs").rglob("*.py"))
    counts = Counter(path.stem for path in configs)
    by_stem = {path.stem: path for path in configs if counts[path.stem] == 1}
    entries: dict[str, ZooEntry] = {}
    for path in sorted((folder / "configs").rglob(METAFILE)):
        for model in _models(path):
            entry = _entry(model, folder, by_stem)
            entries.setdefault(entry.name, entry)
    return tuple(_with_config_names(dict(sorted(entries.items()))))


def _models(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        content = yaml.load(read_regular(path), _LOADER)  # a safe loader
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ZooError(
            f"the index of MMDetection's zoo cannot be read: {path}: {said(error)}. Reinstall mmdet."
        ) from error
    listed = content.get("Models") if isinstance(content, dict) else content
    for model in listed if isinstance(listed, list) else ():
        if isinstance(model, dict) and isinstance(model.get("Name"), str):
            yield model


def _entry(model: Mapping[str, Any], folder: Path, by_stem: Mapping[str, Path]) -> ZooEntry:
    """Return one model of a metafile; some of these have slips, and what is certain is taken from them."""
    name = model["Name"].removesuffix(".py")
    results = [one for one in model.get("Results") or () if isinstance(one, dict)]
    scored = next((one for one in results if isinstance(_metrics(one).get(SCORE), (int, float))), None)
    written = unquote(str(model.get("Config") or ""))
    config = folder / written
    found = config if written and config.is_file() else by_stem.get(Path(written).stem) or by_stem.get(name)
    weights, problem = model.get("Weights"), ""
    aliases = model.get("Alias") or ()
    if not weights:
        problem = "has no weights there: train it, and give them as `checkpoint`, with `config`."
    elif scored is None:
        told = sorted({metric for one in results for metric in _metrics(one)})
        problem = (
            f"has no published AP of boxes, only {', '.join(told) or 'nothing'}: if it detects boxes, give its files "
            "as `checkpoint` and `config`."
        )
    elif not isinstance(weights, str) or urlsplit(weights).scheme not in ("http", "https"):
        problem = "has weights that are no single file of a server: give them as `checkpoint`, with `config`."
    elif found is None:
        problem = f"has the config {quoted(written)}, which the installed mmdet does not bring."
    return ZooEntry(
        name,
        str(model.get("In Collection") or ""),
        str((scored or {}).get("Dataset") or ""),
        None if scored is None else float(_metrics(scored)[SCORE]),
        tuple(map(str, [aliases] if isinstance(aliases, str) else aliases)),
        config=found,
        weights=weights if isinstance(weights, str) else "",
        problem=problem,
    )


def _metrics(result: Mapping[str, Any]) -> Mapping[str, Any]:
    metrics = result.get("Metrics")
    return metrics if isinstance(metrics, dict) else {}


def _with_config_names(entries: Mapping[str, ZooEntry]) -> Iterator[ZooEntry]:
    """Let a model be called by the name of its config too, where that is another and its alone."""
    counts = Counter(entry.config.stem for entry in entries.values() if entry.config is not None)
    for entry in entries.values():
        stem = entry.config.stem if entry.config is not None else entry.name
        known = stem in entries or stem in entry.aliases or counts[stem] > 1
        yield entry if known else replace(entry, aliases=(*entry.aliases, stem))
