"""Getting MMDetection ready: what must be installed, and which operators stand behind ``mmcv._ext``."""

from __future__ import annotations

import functools
import importlib.util
import warnings

from .errors import MissingDependencyError

NEEDED = ("mmengine", "mmcv", "mmdet")


@functools.cache
def require_mmdet() -> str:
    """Make MMDetection importable and its modules known, or say what is missing.

    Returns
    -------
    {"compiled", "torch"}
        Whether mmcv's own operators are in use or this package's torch versions of them.

    Raises
    ------
    MissingDependencyError
        If mmdet, mmengine or mmcv is not installed, or if OpenCV lacks the system libraries of its desktop
        build.

    Examples
    --------
    >>> require_mmdet() in {"compiled", "torch"}
    True
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"MMDetection models need {', '.join(missing)}, not installed here. Install them with "
            'pip install "dissect-mmdet[lite]" (no compiler needed), "dissect-mmdet[full]" where a compiled '
            'mmcv is wanted, or "dissect-mmdet[fork]" for the maintained fork; never two of them.'
        )
    _require_opencv()
    from .ops import accelerate_attention, enable_mmcv_ops

    backend = enable_mmcv_ops()
    with warnings.catch_warnings():
        # mmengine and mmcv warn at import about things of their own that no user can act on.
        warnings.simplefilter("ignore")
        from mmdet.utils import register_all_modules

        register_all_modules(init_default_scope=False)
        if backend == "torch":
            accelerate_attention()
    return backend


def _require_opencv() -> None:
    try:
        import cv2  # noqa: F401  # the import is the test
    except ImportError as error:
        raise MissingDependencyError(
            f"OpenCV cannot be loaded ({error}). On a machine without a screen replace it by its headless "
            "build: pip uninstall opencv-python, then pip install --force-reinstall opencv-python-headless."
        ) from error
