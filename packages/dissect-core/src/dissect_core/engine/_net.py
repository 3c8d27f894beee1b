"""The net under a study: on its first batch the baseline is run twice, and some variants in full beside replay.

Prefix replay is exact as long as it sees all that a model does. Two things could break a study without an error, and
both show on the first batch of each process, where a few more passes cost little:

- A detector that gives other detections each time: every loss would be chance. So the baseline is run a second time,
  in full, and must give the same bits (`require_steady`).
- A use of a parameter that replay does not see, in a forward that goes around torch's calls: the variant would return
  the recorded baseline, and look robust. So up to eight variants are run in full as well, and must give the same bits
  (`require_same`). The faulty ones look like the baseline, so that six of the eight are variants that do; the other two
  are spread over the order of variants, for faults of another kind.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..detectors import Detector, ImageDetections
from ..errors import DissectError, RandomDetectorError, ReplayError
from ..plan import Variant, baseline_again
from ._computing import predicted
from ._loading import Files
from ._options import Precision

BASELINE_AGAIN = 10
"""How many more times the baseline is run if the detector gives other detections each time."""
UNCHANGED, OTHERS = 6, 2
"""How many variants are run in full on the first batch: those that detect the same as the baseline, and others."""


class Net:
    """Chooses the variants that are run in full on a first batch: mainly those that seem to change nothing.

    Parameters
    ----------
    baseline : sequence of ImageDetections
        What the whole detector finds.
    n_variants : int
    """

    def __init__(self, baseline: Sequence[ImageDetections], n_variants: int) -> None:
        self._baseline = baseline
        self._unchanged = UNCHANGED
        # At a third and at two thirds of the variants, in the order in which they are run: the latest first use first.
        self._others = {(i + 1) * n_variants // (OTHERS + 1) for i in range(OTHERS)}
        self._number = -1

    def wants(self, variant: Variant, found: Sequence[ImageDetections]) -> bool:
        """Return whether a variant is to be run in full too; called for each in the order in which they are run."""
        self._number += 1
        if self._number in self._others:
            return True
        # The baseline itself removes nothing, and equals itself by definition: it proves nothing.
        if not variant.n_units or not self._unchanged or first_difference(found, self._baseline):
            return False
        self._unchanged -= 1
        return True


class RandomDetectorWarning(UserWarning):
    """A detector gives other detections for the same images each time, and is measured with its own noise."""


def is_again(variant: str) -> bool:
    """Return whether an id is that of a further run of the baseline."""
    return variant.startswith("baseline/again/")


def measures_noise(variants: Sequence[Variant]) -> bool:
    """Return whether the baseline is run several times, as the detector gives other detections each time."""
    return any(variant.kind == "again" for variant in variants)


def noise_is_measured(times: int) -> str:
    """Return a note for people on what a detector that is not deterministic costs."""
    return (
        f"the detector gives something else each time: everything is run in full, and the baseline {times + 1} times, "
        "which shows its noise."
    )


def repeats_of_baseline(
    detector: Detector, files: Files, precision: Precision, allow_random: bool | None, seed: int
) -> list[Variant]:
    """Return further runs of the baseline for a detector that is not deterministic; none for one that is.

    Parameters
    ----------
    detector : Detector
    files : Files
        The study's images; the first that can be read and run is tried.
    precision : {"full", "bf16", "fp16"}
    allow_random : bool or None
        True: not tried out, taken to be random. False: a random one is refused. None: it is allowed with a warning.
    seed : int
        The study's seed.

    Raises
    ------
    RandomDetectorError
    """
    if not allow_random:
        difference = _difference_of_two(detector, files, precision)
        if difference is None:
            return []
        if allow_random is not None:
            raise RandomDetectorError(_is_random(difference))
        warnings.warn(
            f"{_is_random(difference)} It is measured so now; `allow_random=False` refuses it.",
            RandomDetectorWarning,
            stacklevel=4,
        )
    return baseline_again(seed, BASELINE_AGAIN)


def _difference_of_two(detector: Detector, files: Files, precision: Precision) -> str | None:
    for image in range(len(files.paths)):
        try:
            if (batch := files.load(detector, [image]).batch) is None:
                continue
            found = predicted(detector, precision, batch)
        except MemoryError:
            raise
        except Exception as error:
            if isinstance(error, DissectError) and not files.names(error, image):
                raise
            if files.on_bad == "fail":
                return None  # the run comes to this image first, and names it
            continue
        return first_difference(found, predicted(detector, precision, batch))
    return None


def require_steady(baseline: Sequence[ImageDetections], again: Sequence[ImageDetections]) -> None:
    """Refuse a detector that gives something else for the same images the second time.

    Raises
    ------
    RandomDetectorError
    """
    if difference := first_difference(baseline, again):
        raise RandomDetectorError(_is_random(difference))


def _is_random(difference: str) -> str:
    return (
        f"The detector must give the same detections for the same images each time, but of two passes with nothing "
        f"removed {difference}: losses would be chance. Switch off what draws numbers at inference (dropout that "
        "ignores evaluation mode, random proposals, kernels for which torch.use_deterministic_algorithms(True) "
        "complains), or measure it with its own noise beside every loss: `allow_random=True`, --allow-random."
    )


def require_same(
    variant: Variant,
    found: Sequence[ImageDetections],
    full: Sequence[ImageDetections],
    where: Callable[[], str | None],
) -> None:
    """Refuse a replayed variant that gives something else than a full pass.

    Parameters
    ----------
    variant : Variant
    found, full : sequence of ImageDetections
        Replayed, and by a full pass.
    where : callable
        Gives the first module that differs, None if none is found.

    Raises
    ------
    ReplayError
    """
    if difference := first_difference(found, full):
        module = where()
        first = f"The first module to give something else is {module!r}. " if module else ""
        raise ReplayError(
            f"Replay of {variant.id!r} must give what a full pass gives, but {difference}. {first}Run without replay "
            "(`replay=False`, --no-replay), and report the model: something in its forward goes unseen."
        )


def first_difference(found: Sequence[ImageDetections], others: Sequence[ImageDetections]) -> str | None:
    """Say what differs first between the detections of two passes over a batch; None if nothing does."""
    for image, (one, other) in enumerate(zip(found, others, strict=True)):
        for name, a in one.arrays.items():
            b: NDArray[Any] = other.arrays.get(name, a[:0])
            if a.shape != b.shape:
                return f"{len(a)} and {len(b)} {name} are found in image {image} of the batch"
            if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
                far = float(np.nanmax(np.abs(a - b)))
                return f"the {name} of image {image} of the batch differ (by up to {far:.3g})"
    return None
