"""Choose which classes of a study are scored: those it was begun with, asked for now, or measured with before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...errors import StudyDataError
from ._about import ABOUT, read_about, unreadable
from ._protocols import StoredStudy

__all__ = ["scoring_of"]


def scoring_of(
    study: StoredStudy, common_classes: bool = False, class_map: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Return the arguments of `match_classes` that a study is scored with; empty where all classes are scored.

    Parameters
    ----------
    study : StoredStudy
    common_classes, class_map
        What the caller asks for.

    Raises
    ------
    StudyDataError
        If the study was begun with other ones.
    """
    asked = _told(common_classes, class_map)
    begun = _told(study.scoring.get("common_classes", False), study.scoring.get("class_map"))
    if begun and asked and begun != asked:
        raise StudyDataError(
            f"The study {study.path} was begun with {_said(begun)}, so it cannot be measured with {_said(asked)}: "
            "leave that out, or begin another study."
        )
    return begun or asked or _measured_before(study)


def _measured_before(study: StoredStudy) -> dict[str, Any]:
    """Return the arguments that the study's tables were made with: figures and later tables keep to them."""
    path = study.path / ABOUT
    if not path.is_file():
        return {}
    settings = read_about(path)["settings"]
    pairs = settings.get("class_map")
    if pairs is not None and not isinstance(pairs, dict):
        raise unreadable(path, "its `class_map` is no mapping")
    return _told(settings.get("common_classes") is True, pairs)


def _told(common_classes: Any, class_map: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if common_classes:
        told["common_classes"] = True
    if class_map is not None:
        told["class_map"] = dict(class_map)
    return told


def _said(scoring: Mapping[str, Any]) -> str:
    pairs = scoring.get("class_map")
    said = ["`common_classes`"] if scoring.get("common_classes") else []
    if pairs is not None:
        said.append(f"the `class_map` {json.dumps(pairs, ensure_ascii=False)}")
    return " and ".join(said)
