"""The image processor of a model: read from its folder, and checked for what an adapter asks of it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .._runtime import quiet
from ..errors import ProcessorError, RemoteCodeError, said
from ._files import NESTED_PROCESSOR, PROCESSOR, read_json

_RF_DETR = ("RfDetrImageProcessor", "RfDetrImageProcessorFast", "RfDetrImageProcessorPil")
"""What files call the image processor of RF-DETR."""


def load_processor(folder: Path, *, trust: bool = False) -> Any:
    """Return the image processor of a folder; the one that works on Pillow images where torchvision is missing.

    Parameters
    ----------
    folder : Path
    trust : bool
        Let it be a class in Python files of its own.

    Raises
    ------
    ProcessorError
        If there is none, it cannot be made, or is of another kind of model.
    RemoteCodeError
        If only code of its own could make it, and `trust` is not given.
    """
    from transformers import AutoImageProcessor

    file = next((folder / name for name in (PROCESSOR, NESTED_PROCESSOR) if (folder / name).is_file()), None)
    if file is None:
        raise ProcessorError(
            f"model {folder}: holds no {PROCESSOR}, which says how images are resized and normalised. Save it there "
            "with `save_pretrained`, or give `processor`, another folder or an image processor."
        )
    content = read_json(file)
    content = content.get("image_processor", content) if file.name == NESTED_PROCESSOR else content
    kind = content.get("image_processor_type") or content.get("feature_extractor_type")
    own = content.get("auto_map")
    if isinstance(own, dict) and "AutoImageProcessor" in own and not trust and not _is_known(kind):
        raise RemoteCodeError(
            f"{file}: its image processor needs Python code that comes with it, which is run only if you trust whoever "
            "made it (--trust, `trust=True`)."
        )
    try:
        with quiet():
            if kind in _RF_DETR and find_spec("torchvision") is None:
                from ._rf_detr import RfDetrImageProcessorPil

                return RfDetrImageProcessorPil.from_pretrained(str(folder), local_files_only=True)
            processor = AutoImageProcessor.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=trust
            )
    except Exception as error:  # whatever a class makes of its settings
        raise ProcessorError(f"{file}: no image processor can be made of it: {said(error)}") from error
    return require_processor(processor, str(file))


def require_processor(processor: Any, source: str) -> Any:
    """Return an image processor if it can prepare images and turn outputs into boxes; else refuse it.

    Raises
    ------
    ProcessorError
        Otherwise.
    """
    lacks = [
        name for name in ("post_process_object_detection",) if not callable(getattr(processor, name, None))
    ]
    lacks += [] if callable(processor) else ["__call__"]
    if lacks:
        raise ProcessorError(
            f"{source}: {type(processor).__name__} is no image processor of an object detector: it has no method "
            f"`{lacks[0]}`. Give `processor`, one of the model's own family."
        )
    return processor


def _is_known(kind: Any) -> bool:
    import transformers

    return isinstance(kind, str) and hasattr(transformers, kind)
