"""`check_detector`: whether an object keeps what the detector protocol promises."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import _checks_ablation, _checks_detections, _checks_images, _checks_refusals, _checks_shape
from ._check import Check, run_checks
from ._result import ConformanceReport
from ._subject import Subject

__all__ = ["check_detector", "detector_checks"]

_CHECKS: tuple[Check, ...] = (
    *_checks_shape.CHECKS,
    *_checks_detections.CHECKS,
    *_checks_images.CHECKS,
    *_checks_ablation.CHECKS,
    *_checks_refusals.CHECKS,
)


def detector_checks() -> dict[str, str]:
    """Return what `check_detector` asks of a detector: each check's name and its rule.

    Examples
    --------
    >>> detector_checks()["labels"]
    'Labels are indices into class_names.'
    """
    return {check.name: check.demand for check in _CHECKS}


def check_detector(
    detector: Any,
    images: Sequence[Path | str],
    *,
    n_components: int = 3,
    box_tolerance_px: float = 0.5,
    score_tolerance: float = 0.01,
) -> ConformanceReport:
    """Check that a detector does what studies rely on. It is used, ablated and left as it was.

    Parameters
    ----------
    detector : Detector
        Any object: that it is none is what the first check says.
    images : sequence of Path or str
        Two or more images on which it finds something; three to six are enough, as each is detected dozens of times.
    n_components : int, default 3
        How many of the largest components are ablated and the detector run.
    box_tolerance_px, score_tolerance : float
        How far detections in a batch of two may be from those of each image alone. Anything more is a failure,
        unless the detector says ``batch_invariant = False``.

    Returns
    -------
    ConformanceReport
        One result for each check, `detector_checks` lists them. As a string it is a table. Nothing is raised: an
        error inside a check is that check's failure, and checks that rest on a failed one are not judged.

    Notes
    -----
    The one line that a test suite of a detector needs::

        def test_conformance(my_detector, my_images):
            check_detector(my_detector, my_images).raise_for_failures()

    Examples
    --------
    >>> report = check_detector("not a detector", [])
    >>> [result.name for result in report.failures]
    ['members', 'images']
    >>> print(report.failures[0].seen)
    no class_names, anatomy, prepare, predict_batch, ablated.
    """
    subject = Subject(detector, images, n_components, box_tolerance_px, score_tolerance)
    return ConformanceReport(type(detector).__name__, run_checks(_CHECKS, subject))
