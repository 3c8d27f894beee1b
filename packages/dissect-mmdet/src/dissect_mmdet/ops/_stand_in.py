"""A module that takes the place of ``mmcv._ext`` when mmcv has no compiled operators."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Literal, NoReturn

from ..errors import MissingDependencyError, MissingOperatorError
from . import _signatures, _signatures_conv
from ._deform_attn import inference_attention
from ._nms import nms, nms_match

_NAME = "mmcv._ext"


def enable_mmcv_ops() -> Literal["compiled", "torch"]:
    """Make ``mmcv.ops`` importable: with compiled operators if installed, else with this package's.

    Call it before anything imports ``mmcv.ops`` (mmdet's models do). Calling it again does nothing. It
    imports neither mmcv nor mmdet.

    Returns
    -------
    {"compiled", "torch"}
        Which operators are in use: those of a compiled mmcv, or this package's.

    Raises
    ------
    MissingDependencyError
        If mmcv is not installed at all.

    Examples
    --------
    >>> enable_mmcv_ops() in {"compiled", "torch"}
    True
    """
    loaded = sys.modules.get(_NAME)
    if loaded is not None:
        return "torch" if isinstance(loaded, TorchOperators) else "compiled"
    package = _find_mmcv()
    if PathFinder.find_spec(_NAME, package.submodule_search_locations) is not None:
        return "compiled"
    stand_in = TorchOperators()
    sys.modules[_NAME] = stand_in
    if "mmcv" in sys.modules:
        # As an import of the submodule would do.
        sys.modules["mmcv"]._ext = stand_in  # type: ignore[attr-defined]
    return "torch"


def accelerate_attention() -> bool:
    """Use this package's deformable attention for inference on a CPU, in place of mmcv's.

    On a CPU, mmcv (compiled or not) computes multi-scale deformable attention by ``grid_sample`` and large
    intermediate arrays. The operator here gives the same values up to rounding (about 1e-5 of a value,
    because mmcv rounds positions once more) several times faster. Where gradients are recorded, mmcv's
    function stays in use. Imports ``mmcv.ops``; calling it again does nothing.

    Returns
    -------
    bool
        Whether it is in use: False if this mmcv has no such function.
    """
    enable_mmcv_ops()
    from mmcv.ops import multi_scale_deform_attn as module

    original = getattr(module, "multi_scale_deformable_attn_pytorch", None)
    if original is None:
        return False
    if not hasattr(original, "__wrapped__"):
        module.multi_scale_deformable_attn_pytorch = inference_attention(original)
    return True


class TorchOperators(ModuleType):
    """Stands in for ``mmcv._ext``: torch operators under mmcv's names, and a clear error for all others."""

    def __init__(self) -> None:
        super().__init__(_NAME, "Torch versions of mmcv's operators, by dissect_mmdet.")
        self.__spec__ = ModuleSpec(_NAME, loader=None, origin="dissect_mmdet.ops")
        self.__dict__.update(_operators())

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        # mmcv.ops checks at import that each of its operators is an attribute, needed or not.
        if name.startswith("__"):
            raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")

        def missing(*args: Any, **kwargs: Any) -> NoReturn:
            raise MissingOperatorError(_explain(name))

        missing.__name__ = missing.__qualname__ = name
        return missing


def _find_mmcv() -> ModuleSpec:
    """Return where mmcv is installed, without importing it."""
    spec = importlib.util.find_spec("mmcv")
    if spec is None:
        raise MissingDependencyError(
            'MMDetection models need mmcv, which is not installed. Run: pip install "dissect-mmdet[lite]" '
            '(no compiler needed), or pip install "dissect-mmdet[full]" for a compiled mmcv.'
        )
    return spec


def _explain(name: str) -> str:
    return (
        f"The mmcv operator {name!r} is missing: dissect_mmdet has no torch version of it, and this mmcv has no "
        "compiled operators. Install a compiled mmcv 2.1: first pip uninstall mmcv-lite, then either OpenMMLab's "
        "wheel for your torch and CUDA (mim install mmcv==2.1.0), or a build of your own "
        "(MMCV_WITH_OPS=1 pip install --no-binary mmcv mmcv==2.1.0). "
        'Or leave it to pip: pip install "dissect-mmdet[full]" requires one of them.'
    )


def _operators() -> dict[str, Callable[..., Any]]:
    """Return the operators of the stand-in, by mmcv's names."""
    operators: dict[str, Callable[..., Any]] = {"nms": nms, "nms_match": nms_match}
    for module in (_signatures, _signatures_conv):
        operators |= {
            name: value
            for name, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        }
    # mmcv's report on its environment asks for these two.
    operators["get_compiler_version"] = lambda: "none (torch operators of dissect_mmdet)"
    operators["get_compiling_cuda_version"] = lambda: "not compiled"
    return operators
