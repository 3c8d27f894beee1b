"""Arguments by which classes of MMDetection read files, run code, reach a network, or take all memory.

A config in Python, which the user trusts, may set them; one from a checkpoint or from JSON or YAML may not.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from dissect_core.text import quoted

from ..errors import ConfigError
from ._paths import ConfigPath

FILES = {
    "teacher_config": "a config file, which is a program",
    "teacher_ckpt": "a checkpoint, which can run code while it is read",
    "checkpoint": "a checkpoint, which can run code while it is read",
    "label_map_file": "a file",
    "rfstructure_file": "a file",
}
"""Arguments that name files, and what MMDetection would read there."""
LANGUAGE_MODELS = ("bert-base-uncased",)
FIXED = {
    "warp_mode": tuple(f"cv2.MOTION_{mode}" for mode in ("TRANSLATION", "EUCLIDEAN", "AFFINE", "HOMOGRAPHY")),
    "lang_model_name": LANGUAGE_MODELS,
    "tokenizer_name": LANGUAGE_MODELS,
}
"""Arguments that MMDetection evaluates as code or downloads by name, and their values in its own configs."""
LARGEST, LARGEST_PX = 1 << 16, 1 << 12
"""Largest whole number (30,000 in MMDetection's own configs), and largest side of an image (2,048 there)."""
LARGEST_PARTS = {"factor": 4, "ratio": 4, "divisor": 1 << 9}
"""Largest values of arguments that enlarge images, by parts of the arguments' names."""
LARGEST_FLOAT = 1e8
"""Largest float: MMDetection writes it for a length without bound."""


def drop_initial_weights(node: Any) -> None:
    """Remove files of initial weights everywhere in a part of a config: the checkpoint brings all weights."""
    if isinstance(node, dict):
        if _is_pretrained(node.get("init_cfg")):
            node["init_cfg"] = None
        if isinstance(node.get("pretrained"), str):
            node["pretrained"] = None
    for child in _children(node):
        drop_initial_weights(child)


def drop_backends(node: Any) -> None:
    """Remove file backends everywhere in a part of a config: here, all images are files of the file system."""
    if isinstance(node, dict):
        for name in {"backend_args", "file_client_args"} & node.keys():
            node[name] = None
    for child in _children(node):
        drop_backends(child)


def require_arguments(at: ConfigPath, source: str) -> None:
    """Refuse a value that a config may not hold unless it is a Python file of the user's.

    Parameters
    ----------
    at : ConfigPath
        A value of the config, after `drop_initial_weights` and `drop_backends`.
    source : str
        Where the config is from, for messages.

    Raises
    ------
    ConfigError
        If it is refused; the message names the path, the rule and the remedy.
    """
    if isinstance(at.value, str):
        fault = _fault_of_text(at)
    elif isinstance(at.value, (int, float)):
        fault = _fault_of_number(at)
    else:
        return
    if fault:
        raise ConfigError(
            f"{source} was refused: `{at.path}` is {quoted(at.value)}, {fault}. Nothing was read or run. If you "
            "trust the file, say --trust; or give the config as a Python file with --config."
        )


def _fault_of_text(at: ConfigPath) -> str:
    text: str = at.value
    if at.key in FILES:
        return f"which names {FILES[at.key]}"
    expected = FIXED.get(at.key, ())
    kind = str(at.owner.get("type")).rpartition(".")[2]
    if at.key == "name" and kind == "BertModel":
        expected = LANGUAGE_MODELS
    if expected and text not in expected:
        return f"which must be {' or '.join(expected)} in a config that is no Python file"
    if kind == "Detectron2Wrapper":
        return "in a part for Detectron2, which may read any file"
    if text in LANGUAGE_MODELS and at.key in ("name", *FIXED) and Path(text).exists():
        return "which lies in this folder, and would be read from there"
    if "/" in text or "\\" in text:
        return "which names a file or an address"
    return ""


def _fault_of_number(at: ConfigPath) -> str:
    value, key = at.value, str(at.key)
    largest: float = LARGEST_FLOAT if isinstance(value, float) else LARGEST
    if at.path.startswith("test_") or ".data_preprocessor." in at.path:
        largest = next((bound for part, bound in LARGEST_PARTS.items() if part in key), LARGEST_PX)
    if isinstance(value, float) and not math.isfinite(value):
        return "which must be finite"
    if "stride" in key and isinstance(value, float) and value < 1:
        return "which must be at least 1"
    return "" if abs(value) <= largest else f"which must be at most {largest:g}"


def _is_pretrained(init: Any) -> bool:
    several = init if isinstance(init, (list, tuple)) else [init]
    return any(
        isinstance(one, dict)
        and (
            "checkpoint" in one or str(one.get("type")).rpartition(".")[2] in ("Pretrained", "PretrainedInit")
        )
        for one in several
    )


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return list(node) if isinstance(node, (list, tuple)) else []
