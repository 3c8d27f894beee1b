"""Pickled inference results, read without letting the file run code.

MMDetection's results are pickles, and a pickle is a program. Here it may name tensors, plain containers, NumPy
values and MMEngine's data elements; anything else is refused before it is looked up. A data element becomes a
`Record`, not an object of its own class.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from dissect_core.storage.files import open_regular
from dissect_core.text import cut, visible
from dissect_core.torch import RefusedNameError, read_pickle

from ..errors import PickleRefusedError, SamplesNotFoundError

RECORDS = (
    "mmdet.structures.det_data_sample.DetDataSample",
    "mmdet.structures.bbox.horizontal_boxes.HorizontalBoxes",
    "mmengine.structures.base_data_element.BaseDataElement",
    "mmengine.structures.instance_data.InstanceData",
    "mmengine.structures.pixel_data.PixelData",
)
REMEDY = (
    "Nothing was run. Files of `run_inference_and_integrate_ground_truth` hold tensors and MMDetection's "
    "samples only: make the file again from the checkpoint, or ask whoever gave it to you."
)


class Record:
    """The fields of one of MMEngine's data elements, without the methods of its class."""

    def __setstate__(self, state: object) -> None:
        """Set the fields; refuse slots and other ways of setting attributes."""
        if type(state) is not dict or not all(type(key) is str for key in state):
            raise pickle.UnpicklingError("the state of a data element must be a dict of its fields")
        # In a dict of their own: a field named `get` must not hide the method.
        self.__dict__ = {"_fields": state}

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a field, or the default; MMEngine keeps typed fields under a leading underscore."""
        fields = vars(self).get("_fields", {})
        for key in (name, f"_{name}"):
            if key in fields:
                return fields[key]
        return default


def load_samples(path: Path | str) -> list[Record]:
    """Read a pickled list of detection samples.

    Parameters
    ----------
    path : Path or str
        A file written by ``pickle.dump(samples, file)``, where `samples` is a list of MMDetection's
        ``DetDataSample``.

    Returns
    -------
    list of Record
        One per sample, with ``get("gt_instances")``, ``get("pred_instances")`` and the metainfo by name. All
        tensors are on the CPU, wherever they were.

    Raises
    ------
    PickleRefusedError
        If the file names anything that such files do not hold, is damaged, or holds no list of samples.
    SamplesNotFoundError
        If there is no such file.

    Notes
    -----
    Needs neither mmdet nor mmengine.
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            if not file.read(1):
                raise PickleRefusedError(f"samples {path}: the file is empty. {REMEDY}")
            file.seek(0)
            samples = read_pickle(file, [(Record, name) for name in RECORDS])
    except FileNotFoundError as error:
        raise SamplesNotFoundError(
            f"samples {path}: no such file. Run the inference that writes it first."
        ) from error
    except RefusedNameError as error:
        name = cut(visible(error.name))
        raise PickleRefusedError(f"samples {path}: refused, it asks for {name}. {REMEDY}") from error
    except PickleRefusedError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        lines = str(error).splitlines() or [type(error).__name__]
        reason = cut(visible(lines[0]))
        raise PickleRefusedError(
            f"samples {path}: it is damaged, or no pickle of samples ({reason}). {REMEDY}"
        ) from error
    if not isinstance(samples, list) or not all(isinstance(sample, Record) for sample in samples):
        held = type(samples).__name__ if not isinstance(samples, list) else "list of other things"
        raise PickleRefusedError(
            f"samples {path}: must hold a list of DetDataSample, holds a {held}. {REMEDY}"
        )
    return samples
