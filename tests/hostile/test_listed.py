"""Inputs that once gave a traceback, status 1, or were believed: refused with one line, or read for what they are."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from hostile import mutate, seeds
from hostile.client import Commands, harmless, refused


def edit(path: Path, change: Any) -> None:
    """Change the content of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_bytes(mutate.as_json(content))


LOG_LINES = {
    "failed without fields": '{"event": "failed"}',
    "failed with other kinds": '{"event": "failed", "shard": "x", "images": 3, "error": null, "time": []}',
    "a list": "[1]",
    "a number": "7",
    "null": "null",
    "no time": '{"event": "begun"}',
    "event a list": '{"event": [], "time": {}}',
    "deep": "[" * 100_000,
    "a number with 5,000 digits": '{"event": "failed", "shard": ' + "1" * 5000 + "}",
    "no text": "\udcff\udcfe",
}


@pytest.mark.parametrize("line", LOG_LINES.values(), ids=LOG_LINES)
def test_log_lines_with_wrong_fields(folder: Path, line: str, command: Commands) -> None:
    log = folder / "study/log.jsonl"
    log.write_bytes(log.read_bytes() + line.encode("utf-8", "surrogateescape") + b"\n")
    harmless(command(folder, "status", "study"))
    harmless(command(folder, "status", "study", "--json"))


def test_missing_detector(folder: Path, command: Commands) -> None:
    """Of the environment, of its frozen part, and of the whole record."""
    path = folder / "study/environment.json"
    before = path.read_bytes()
    for change in (
        lambda content: content["frozen"].pop("detector", None),
        lambda content: content.pop("detector", None),
        lambda content: content["frozen"].update(detector=None),
        lambda content: content["frozen"].update(detector=[]),
    ):
        path.write_bytes(before)
        edit(path, change)
        for words in (
            ("status", "study"),
            ("report", "study", "--replicates", "0"),
            ("export-coco", "study"),
        ):
            harmless(command(folder, *words))


@pytest.mark.parametrize(
    "names", [[1, 2, 3], [None, "a", "b"], 3, "abc", {"a": 1}, [["a"], "b", "c"], [True, 1e400, {}]]
)
def test_class_names_that_are_no_names(tmp_path: Path, names: Any, folder: Path, command: Commands) -> None:
    """In a checkpoint, in the annotation file, in a study's environment."""
    content = seeds.checkpoint()
    content["meta"]["dataset_meta"]["classes"] = names
    seeds.write_checkpoint(tmp_path / "a.pth", content)
    harmless(command(tmp_path, "inspect", "a.pth"))
    harmless(command.function(tmp_path, "hostile.work.open_checkpoint"))

    edit(folder / "study/environment.json", lambda told: told["frozen"].update(class_names=names))
    harmless(command(folder, "report", "study", "--replicates", "0"))


@pytest.mark.parametrize("number", [None, "1", 1.5, True, [], {}, -1, 2**70, float("nan")])
def test_ids_that_are_none(tmp_path: Path, number: Any, command: Commands) -> None:
    for part, field in (
        ("images", "id"),
        ("annotations", "image_id"),
        ("annotations", "category_id"),
        ("categories", "id"),
        ("annotations", "id"),
    ):
        content = seeds.truth()
        content[part][1][field] = number
        (tmp_path / "truth.json").write_bytes(mutate.as_json(content))
        harmless(command.function(tmp_path, "hostile.work.read_truth"))
    found = seeds.predictions()
    found[0]["image_id"] = number
    (tmp_path / "found.json").write_bytes(mutate.as_json(found))
    harmless(command.function(tmp_path, "hostile.work.read_predictions"))


@pytest.mark.parametrize(
    "meta", [[], ["classes"], "classes", 3, None, {"classes": 3}, {"CLASSES": 3}, {"classes": {}}]
)
def test_dataset_meta_that_is_no_mapping(tmp_path: Path, meta: Any, command: Commands) -> None:
    content = seeds.checkpoint()
    content["meta"]["dataset_meta"] = meta
    seeds.write_checkpoint(tmp_path / "a.pth", content)
    harmless(command(tmp_path, "inspect", "a.pth"))
    harmless(command.function(tmp_path, "hostile.work.open_checkpoint"))


@pytest.mark.parametrize(
    "model",
    [
        {"type": "L1Loss"},
        {"type": "ImgDataPreprocessor"},
        {"type": "SmoothL1Loss"},
        {},
        [],
        3,
        None,
        {"type": 3},
        {"type": None},
    ],
)
def test_a_config_that_builds_no_detector(tmp_path: Path, model: Any, command: Commands) -> None:
    seeds.write_checkpoint(tmp_path / "a.pth", seeds.checkpoint({**seeds.CONFIG, "model": model}))
    refused(command(tmp_path, "inspect", "a.pth"))


DEEP = {
    "200,000 minus signs": "model = " + "-" * 200_000 + "1",
    "200,000 brackets": "model = " + "[" * 200_000,
    "200,000 nots": "model = " + "not " * 200_000 + "1",
    "a long sum": "model = 1" + "+1" * 200_000,
    "20,000 dicts": "model = " + "dict(a=" * 20_000,
    "90 dicts": "model = " + "dict(a=" * 90 + "1" + ")" * 90,
    "a long number": "model = " + "1" * 100_000,
    "a power": "model = 9**9**9**9",
    "a product of texts": "model = 'a' * 10**12",
    "a null byte": "model = '\0'",
    "a lone surrogate": "model = dict(type='\ud800')",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_stored_config_that_no_parser_survives(tmp_path: Path, text: str, command: Commands) -> None:
    seeds.write_checkpoint(tmp_path / "a.pth", seeds.checkpoint(text))
    harmless(command(tmp_path, "inspect", "a.pth"))


def test_a_pickled_record_with_a_field_get(tmp_path: Path, command: Commands) -> None:
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    for field in ("get", "keys", "__class__", "_metainfo_fields", "__setstate__", "__dict__"):
        sample = DetDataSample()
        sample.__dict__.update({field: 3, "_gt_instances": InstanceData(), "_pred_instances": InstanceData()})
        (tmp_path / "s0.pkl").write_bytes(pickle.dumps([sample], 2))
        harmless(command.function(tmp_path, "hostile.work.read_samples"))


NESTED = {
    "tuples": b"\x80\x02)" + b"\x85" * 200_000 + b".",
    "lists": b"\x80\x02]" + b"]" * 200_000 + b"a" * 200_000 + b".",
    "dicts": b"\x80\x02" + b"}K\x01" * 200_000 + b"}" + b"s" * 200_000 + b".",
    "frozensets": b"\x80\x04(" + b"(" * 200_000 + b"\x91" * 200_000 + b".",
    "hashed tuples": b"\x80\x04(" + b")" + b"\x85" * 200_000 + b"\x91.",
}


@pytest.mark.parametrize("content", NESTED.values(), ids=NESTED)
def test_200_000_nested_values_in_a_pickle(tmp_path: Path, content: bytes, command: Commands) -> None:
    (tmp_path / "s0.pkl").write_bytes(content)
    refused(command.function(tmp_path, "hostile.work.read_samples"))
    (tmp_path / "a.pth").write_bytes(content)
    refused(command(tmp_path, "inspect", "a.pth"))


@pytest.mark.parametrize(
    "size", [-1, 0, "xxx", 10**400, None, 1.5, float("nan"), float("inf"), True, [], 2**40, "96"]
)
@pytest.mark.parametrize("field", ["width", "height"])
def test_image_sizes_that_are_none(tmp_path: Path, size: Any, field: str, command: Commands) -> None:
    content = seeds.truth()
    content["images"][0][field] = size
    (tmp_path / "truth.json").write_bytes(mutate.as_json(content))
    ended = command.function(tmp_path, "hostile.work.read_truth")
    # Pixels may be parts of one, and not known.
    harmless(ended) if size in (None, 1.5, "96") else refused(ended, "truth.json")


@pytest.mark.parametrize("kind", ["a FIFO", "a link to a device", "a folder"])
def test_an_image_that_is_no_regular_file(tmp_path: Path, kind: str, command: Commands) -> None:
    from hostile.misplaced import MISPLACED

    MISPLACED[kind](tmp_path / "i.png")
    refused(command.function(tmp_path, "hostile.work.look_at_image", "i.png"), "i.png", "not a regular file")
