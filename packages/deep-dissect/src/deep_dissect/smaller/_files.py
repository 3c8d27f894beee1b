"""A smaller detector in a folder: written with how to load it, and opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dissect_core.arguments import checked_arguments
from dissect_core.detectors import DetectorRequest, open_detector
from dissect_core.spec import DetectorSpec
from dissect_core.storage import write_text_whole
from dissect_core.text import visible
from dissect_core.torch import describe_simplified, load_simplified, save_simplified
from dissect_core.torch.checkpoints import require_safetensors

from ..errors import FrontDoorError
from ..study import Study
from ._slim import Slimmed


def write_slimmed(
    slimmed: Slimmed,
    folder: Path,
    study: Study,
    request: DetectorRequest | None = None,
    *,
    force: bool = False,
) -> None:
    """Write a smaller model to a folder: its weights, the removed units, what that saves, and how to load it.

    Parameters
    ----------
    slimmed : Slimmed
    folder : Path
        New or empty.
    study : Study
        The study by which it was chosen.
    request : DetectorRequest, optional
        How the whole detector was opened, which `open_simplified` does again.
    force : bool
        Replace a smaller model that the folder holds.
    """
    detector = None
    if request is not None:
        options = {**request.named.options, **request.options}
        detector = {"adapter": request.named.adapter, "options": {k: _plain(v) for k, v in options.items()}}
    record = {"study": study.spec.name, "detector": detector, "saved": slimmed.saved()}
    if (missing := study.facts["detector"].get("missing_weights")) is not None:
        record["missing_weights"] = missing
    save_simplified(slimmed.whole, folder, record=record, overwrite=force)
    text = _README.format(
        study=visible(study.spec.name),
        opening="" if detector is not None else ", dd.open_detector(...)",
        note=""
        if detector is not None
        else "Open the whole detector as before it was simplified, in the place of `...`.\n",
        saved="\n".join(f"| {name} | {before} | {after} |" for name, before, after in slimmed.rows()),
        removed="\n".join(
            f"- `{path}`: {', '.join(map(str, units))}" for path, units in slimmed.removed.items()
        ),
    )
    write_text_whole(folder / "README.md", text)


def require_new_folder(folder: Path, named: str, *, force: bool = False) -> None:
    """Refuse a folder that is not empty, before hours of work; with `force`, one that holds no smaller model.

    Raises
    ------
    FrontDoorError
    MissingDependencyError
        If the library that writes the smaller model is not installed.
    """
    require_safetensors()
    if folder.exists() and not folder.is_dir():
        raise FrontDoorError(f"{named} must be a new or empty folder, got the file {visible(str(folder))}.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not force:
        raise FrontDoorError(
            f"{named} must be a new or empty folder, but {visible(str(folder))} holds files. Choose another one."
        )
    if not (folder / "simplified.json").is_file():
        raise FrontDoorError(
            f"{named} must be the folder of a smaller model to replace it, but {visible(str(folder))} is not. Choose "
            "another one."
        )


@checked_arguments()
def open_simplified(folder: Path | str, detector: Any = None, *, trust: bool = False) -> Any:
    """Open the smaller detector that `simplify` wrote to a folder.

    Parameters
    ----------
    folder : path
    detector : Detector, str, DetectorSpec or DetectorRequest, optional
        The whole detector, newly opened, or how to open it. Left out, it is opened as it was for `simplify`.
    trust : bool
        Let the folder's record of how to open the detector run code, as `open_detector` does with ``trust=True``.

    Returns
    -------
    Detector
        On the same device and with the same libraries it computes what it did when it was saved, bit for bit.

    Raises
    ------
    FrontDoorError
        If the folder does not say how the whole detector is opened.
    CheckpointError
        If the folder is damaged, or of another detector.
    """
    said = describe_simplified(folder)["record"].get("detector")
    if detector is None and not isinstance(said, dict):
        raise FrontDoorError(
            f"`detector` must be given: {visible(str(folder))} does not say how to open the detector that was "
            "simplified."
        )
    given: Any = detector if detector is not None else DetectorSpec.model_validate(said)
    if isinstance(given, str):
        given = DetectorSpec(adapter=given)
    opened: Any = given
    if isinstance(given, (DetectorSpec, DetectorRequest)):
        opened = open_detector(given, trust=trust)
    smaller: Any = load_simplified(opened, folder)
    return smaller


def _plain(value: Any) -> Any:
    """Return an option as a JSON value, with whole paths of files."""
    if isinstance(value, Path):
        return str(value.absolute())
    return value if isinstance(value, (str, int, float, bool, type(None))) else list(value)


_README = """# A smaller detector

Made by Deep Dissect from the study "{study}": what the study found to be redundant is gone for good.

```python
import deep_dissect as dd

detector = dd.open_simplified(".{opening}")   # or the path of this folder
found = detector.predict("image.jpg")
```

{note}
| | before | after |
|---|---|---|
{saved}

The metric is measured on images on which nothing was chosen. Removed units of each component:

{removed}

`model.safetensors` holds the weights, `simplified.json` the removed units and all numbers; neither holds code.
"""
