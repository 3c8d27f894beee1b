"""The identity of a study: put together here, whoever calls, so that no caller can forget a part.

The folder of a study keeps as facts its specification, the detector (class names, weights, config, device), the images
and their truth, the options that change numbers, and versions of libraries. A run goes on only where all of them are
the same. `Known` holds what is known before the detector is open, `Described` what only the process with the detector
knows.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..detectors import Detector, model_of, offered
from ..errors import StudyError
from ..plan import Plan
from ..progress import MakeBar
from ..store import _file_names
from ..store._changes import Behind, of_truths
from ..store._facts import known_facts, listed, versions
from ..store._folder import StudyFolder
from ..store._images import ImageRef, image_digests
from ..store._truth import KeptTruth, refs_by_truth, require_truth
from ._computing import in_precision
from ._task import Task

UNITS_LISTED = 64
"""The plan lists the units of a variant up to this many; beyond it, only their number."""


@dataclass(frozen=True)
class Known:
    """What is known of a study before its detector is open.

    Attributes
    ----------
    refs : sequence of ImageRef
        Names and ids of the images.
    facts : mapping
        The caller's own facts, and those of the truth.
    files : mapping of str to bytes
        Further files of the folder, the truth among them.
    notes : mapping
        Where the images and their annotations lie, for people: no part of what the study is.
    """

    refs: Sequence[ImageRef]
    facts: Mapping[str, Any]
    files: Mapping[str, bytes]
    notes: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        paths: Sequence[Path],
        truth: Any,
        refs: Sequence[ImageRef] | None,
        facts: Mapping[str, Any] | None,
        files: Mapping[str, bytes] | None,
        say: Callable[[str], object],
    ) -> "Known":
        """Take what a caller gives.

        Raises
        ------
        StudyError
            If the truth cannot be kept, or images, `refs`, `files` and `truth` do not fit together.
        """
        facts, files = facts or {}, files or {}
        if truth is not None:
            truth = require_truth(truth)
        if refs is None:
            is_told = truth is not None
            refs = (
                refs_by_truth(paths, truth) if is_told else [ImageRef(p.name, i) for i, p in enumerate(paths)]
            )
        if len(refs) != len(paths):
            raise StudyError(f"`refs` must name each of {len(paths)} images, got {len(refs)}.")
        kept = _kept(truth, refs, files)
        if kept is not None:
            facts, files = {**facts, "truth": kept.facts}, {**files, _file_names.TRUTH: kept.content}
            n, all_of_them = kept.facts["images"], 0 if truth is None else len(truth.file_names)
            if n < all_of_them:
                say(f"{n:,} of the truth's {all_of_them:,} images are run; the others count nowhere")
        notes = {"image_folder": _image_folder(paths, refs)}
        if source := getattr(truth, "source", ""):
            notes["annotations"] = str(source)
        return cls(refs, facts, files, notes)

    def require_same(self, folder: StudyFolder, task: Task) -> None:
        """See that a folder holds this study, as far as that can be told without the detector.

        Raises
        ------
        StudyChangedError
            If it holds another one; all differences are named.
        """
        options = task.options
        facts = known_facts(
            {**self.facts, **options.facts}, task.spec, self.refs, options.batch_size, options.shard_batches
        )
        folder.require_same(facts, Behind(self.refs, self.files.get(_file_names.TRUTH)), whole=False)


@dataclass(frozen=True)
class Described:
    """What the process with the detector knows of a study.

    Attributes
    ----------
    variants : Plan
    rows : sequence of mapping
        The plan as plain data.
    facts : mapping
        Facts of the detector, versions of libraries, and options that change numbers.
    notes : mapping
        What the detector is called, and how it reads images, for people and pictures: no part of what the study is.
    digests : sequence of str
        Checksums of the images' files.
    former : mapping
        Facts of the detector under the names of the first format, where it has such.
    """

    variants: Plan
    rows: Sequence[Mapping[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    digests: Sequence[str] = ()
    former: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task, detector: Detector, variants: Plan, bar: MakeBar) -> "Described":
        """Describe a detector, the plan for it, and the images as they are.

        Raises
        ------
        StudyError
            If the detector cannot compute in the precision that is asked for.
        """
        told = {name: offered(detector, name) for name in ("turns_by_exif", "chooses_queries")}
        notes: dict[str, Any] = {name: bool(value) for name, value in told.items() if value is not None}
        return cls(
            variants,
            plan_rows(variants),
            run_facts(task, detector),
            {**notes, "detector": offered(detector, "title") or type(detector).__name__},
            image_digests(task.paths, bar),
            offered(detector, "former_facts", {}),
        )

    def say_what_is_missing(self, say: Callable[[str], object]) -> None:
        """Say that no other detector with the same classes would be noticed, where only class names are known."""
        if set(self.facts["detector"]) == {"class_names"}:
            say(
                "note: the detector is no torch model and has no `facts`: another one with the same classes would go "
                "on with this study. Give it `facts`, such as a checksum of its weights."
            )


def run_facts(task: Task, detector: Detector) -> dict[str, Any]:
    """Return the facts that must be the same in every run and on every worker: detector, versions, options.

    Raises
    ------
    StudyError
        If the detector cannot compute in the precision that is asked for.
    """
    in_precision(detector, task.options.precision)
    return {"detector": detector_facts(detector), "versions": versions(), **task.options.facts}


def detector_facts(detector: Detector) -> dict[str, Any]:
    """Return the facts by which detectors are compared: classes, weights, device, and the detector's own `facts`."""
    facts: dict[str, Any] = {"class_names": list(detector.class_names), **offered(detector, "facts", {})}
    model = model_of(detector)
    if model is not None:
        parameter = next(model.parameters(), None)
        facts["weights_sha256"] = weights_sha256(model)
        facts["device"] = "cpu" if parameter is None else parameter.device.type
    return facts


def open_folder(task: Task, known: Known, described: Described, threads: int | None = None) -> StudyFolder:
    """Make the study's folder, or open it if it holds the same study.

    A new folder notes with how many threads torch computes. On a CPU the last bits depend on it, so every run that goes
    on with the study keeps to that number.

    Raises
    ------
    StudyChangedError
        If it holds another study; all differences are named.
    StudyError
        If it is damaged or cannot be used.
    """
    return StudyFolder.create(
        task.out,
        task.spec,
        {**known.facts, **described.facts},
        described.rows,
        known.refs,
        batch_size=task.options.batch_size,
        shard_batches=task.options.shard_batches,
        digests=described.digests,
        files=known.files,
        notes={**known.notes, **described.notes, "threads": threads},
        former=described.former,
        repair=task.options.repair,
    )


def plan_rows(variants: Plan) -> list[dict[str, Any]]:
    """Return a row of plain data for each variant: what `Plan.rows` says, and the units removed, if these are few."""
    rows = []
    paired = any(variant.singles for variant in variants)
    for variant, row in zip(variants, variants.rows, strict=True):
        listed = variant.n_units <= UNITS_LISTED
        removed = variant.removed() if listed else {}
        rows.append(
            {
                **asdict(row),
                "space": variant.space,
                "repeat": variant.repeat,
                "control_of": variant.control_of,
                "merged": list(variant.merged),
                "removed": [{"path": path, "units": list(units)} for path, units in removed.items()],
                # Only where there are any: the plans of studies that were begun without this stay what they were.
                **({"singles": list(variant.singles)} if paired else {}),
            }
        )
    return rows


def weights_sha256(model: Any) -> str:
    """Return a checksum of a torch model's parameters and buffers, by name, type, shape and value."""
    import torch

    digest = hashlib.sha256()
    # The order is the model's own. Values are hashed as bytes, since NumPy lacks some of torch's types (bfloat16).
    for name, value in model.state_dict().items():
        if isinstance(value, torch.Tensor):
            digest.update(f"{name}:{value.dtype}:{tuple(value.shape)};".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _kept(truth: Any, refs: Sequence[ImageRef], files: Mapping[str, bytes]) -> KeptTruth | None:
    """Return the truth to keep: that of `truth`, else the file that the caller gives."""
    given = files.get(_file_names.TRUTH)
    if truth is None:
        return None if given is None else KeptTruth.read(given)
    kept = KeptTruth.of(truth, refs)
    told = [] if given is None else of_truths(Behind(refs, given), Behind(refs, kept.content))
    if told:
        raise StudyError(
            f"`files` holds a truth.json that differs from `truth`: {listed(told)}. Leave it out: the study keeps what "
            "`truth` says."
        )
    return kept


def _image_folder(paths: Sequence[Path], refs: Sequence[ImageRef]) -> str:
    """Return the folder from which file names lead to the images, for reports; else one that holds all images."""
    whole = [path.absolute() for path in paths]
    roots = {_root(path, Path(ref.file_name).parts) for path, ref in zip(whole, refs, strict=True)}
    (root,) = roots if len(roots) == 1 else (None,)
    return str(root) if root is not None else os.path.commonpath([path.parent for path in whole])


def _root(path: Path, name: Sequence[str]) -> Path | None:
    """Return a path without the name at its end; None if it ends otherwise."""
    return path.parents[len(name) - 1] if name and path.parts[-len(name) :] == tuple(name) else None
