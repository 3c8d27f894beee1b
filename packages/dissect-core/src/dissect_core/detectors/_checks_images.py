"""Checks of how a detector reads images and serves batches: order, laziness, repetition, batches, threads."""

from collections.abc import Iterator
from itertools import permutations
from threading import Thread
from typing import Any

from ._check import BrokenRuleError, Check, DeclaredDeviation, check, require
from ._compare import copied, deviation, difference, dissimilarity
from ._protocol import ImageDetections, offered
from ._subject import Subject

__all__ = ["CHECKS"]

_UNLIKE = 0.02
"""Detections of two images that are less dissimilar than this cannot show an order."""

_ABSENT = "no-such-image-for-this-check"


@check(
    "repeatable",
    "An image prepared and detected again gives the same detections, bit for bit.",
    "Put the model in evaluation mode, seed what draws, and ask for deterministic kernels.",
    needs=("arrays",),
)
def repeatable(subject: Subject) -> str:
    differs = difference(subject.alone, subject.detect(subject.images))
    require(differs is None, f"{differs}.")
    return "bit for bit."


@check(
    "reusable batches",
    "A batch detected twice gives the same detections, bit for bit.",
    "Work on a copy of what the batch holds: it serves every variant of a study.",
    needs=("repeatable",),
)
def reusable(subject: Subject) -> str:
    for number, batch in enumerate(subject.detector.prepare(subject.images)):
        first = copied(subject.detector.predict_batch(batch))
        differs = difference(first, subject.detector.predict_batch(batch))
        require(differs is None, f"batch {number}: {differs}.")
    return "bit for bit."


@check(
    "images told apart",
    "At least two of the images give detections that differ.",
    "Give images of the kind that the detector was trained on: without detections no check of ablations means much.",
    needs=("arrays", "finite"),
)
def told_apart(subject: Subject) -> str:
    found = subject.alone
    pairs = [
        (dissimilarity(found[i], found[j]), i, j) for i, j in permutations(range(len(found)), 2) if i < j
    ]
    alike, i, j = max(
        pairs, key=lambda pair: (len(found[pair[1]].labels) * len(found[pair[2]].labels) > 0, pair[0])
    )
    subject.few = [i, j]
    require(
        alike > _UNLIKE,
        f"{sum(len(f.labels) for f in found)} detections, the same on all {len(found)} images.",
    )
    return f"images {i} and {j} stand for all in what follows."


@check(
    "order",
    "prepare yields all images in order, for paths and strings, whatever the batch size.",
    "Neither sort nor shuffle nor drop images, and keep the last, smaller batch.",
    needs=("images told apart",),
)
def order(subject: Subject) -> str:
    require(not list(subject.detector.prepare([])), "batches of no images.")
    n = len(subject.images)
    sizes = sorted({1, 2, 3, n})
    for size in sizes:
        texts = [str(path) for path in subject.images]
        for images, alone in ((texts, subject.alone), (subject.images[::-1], subject.alone[::-1])):
            found = [
                subject.detector.predict_batch(b) for b in subject.detector.prepare(images, batch_size=size)
            ]
            got, wanted = [len(each) for each in found], [min(size, n - i) for i in range(0, n, size)]
            require(got == wanted, f"batch size {size}, {n} images: batches of {got}, not of {wanted}.")
            _require_order([f for each in found for f in each], alone, size)
    return f"batches of {', '.join(map(str, sizes))}."


def _require_order(found: list[ImageDetections], alone: list[ImageDetections], size: int) -> None:
    """See that each image's detections are more like its own, seen alone, than like those of any other."""
    for i, here in enumerate(found):
        own = dissimilarity(here, alone[i])
        nearest = min(range(len(alone)), key=lambda j: dissimilarity(here, alone[j]))
        nearer = dissimilarity(here, alone[nearest])
        apart = dissimilarity(alone[i], alone[nearest]) > _UNLIKE
        require(
            own <= nearer or not apart,
            f"batch size {size}: at place {i} are detections of the image at place {nearest}.",
        )


@check(
    "lazy reading",
    "prepare reads an image when its batch is asked for, not before.",
    "Make prepare a generator: a study has more images than fit in memory.",
    needs=("members", "images"),
)
def lazy(subject: Subject) -> str:
    first = subject.images[0]
    batches: Iterator[Any] = iter(subject.detector.prepare([first, first.with_stem(_ABSENT)]))
    next(batches)
    return "the first of two images comes although the second is missing."


@check(
    "missing image",
    "An image that is missing raises an error that names its file.",
    "Raise with the path in the message, when the image's batch is asked for.",
    needs=("members", "images"),
)
def missing(subject: Subject) -> str:
    path = subject.images[0].with_stem(_ABSENT)
    try:
        subject.detect([path])
    except Exception as error:
        seen = f"{type(error).__name__}: {error}"
        require(_ABSENT in str(error), f"{seen}.")
        return f"{type(error).__name__}."
    raise BrokenRuleError("no error.")


@check(
    "batches as alone",
    "Images in a batch of two give what they give alone, within the tolerance, or batch_invariant = False says not.",
    "Look for what mixes images (batch statistics, scaling by the largest); if it is padding, declare "
    "batch_invariant = False.",
    needs=("arrays", "images told apart"),
)
def batches(subject: Subject) -> str:
    pair = [subject.images[i] for i in subject.few]
    both = subject.detect(pair, batch_size=2)
    each = [deviation(a, b) for a, b in zip(both, subject.expected, strict=True)]
    alone, edges, scores = (max(values) for values in zip(*each, strict=True))
    seen = f"boxes {edges:.2g} px and scores {scores:.2g} apart"
    seen += f", {alone} detections without a partner." if alone else "."
    if not alone and edges <= subject.box_tolerance_px and scores <= subject.score_tolerance:
        return seen
    if offered(subject.detector, "batch_invariant", True) is False:
        raise DeclaredDeviation(seen)
    raise BrokenRuleError(seen)


@check(
    "own memory",
    "Writing into returned arrays changes no later detections.",
    "Return copies, or arrays that are read-only.",
    needs=("reusable batches", "images told apart"),
)
def own_memory(subject: Subject) -> str:
    path = subject.images[subject.few[0]]
    (batch,) = subject.detector.prepare([path])
    (found,) = subject.detector.predict_batch(batch)
    kept = copied([found])
    held = [array for array in found.arrays.values() if array.flags.writeable]
    for array in held:
        array += 1  # labels too: a wrong class shows as well as a wrong box
    try:
        again = copied(subject.detector.predict_batch(batch)), subject.detect([path])
    finally:
        for name, array in found.arrays.items():
            if array.flags.writeable:
                array[...] = kept[0].arrays[
                    name
                ]  # what was shared is mended, so that later checks see the detector itself
    differs = difference(again[0], kept) or difference(again[1], kept)
    require(differs is None, f"{differs}.")
    return "arrays of its own." if held else "arrays are read-only."


@check(
    "second thread",
    "Used from another thread, one call after the other, the detector gives the same, bit for bit.",
    "Keep no state by thread: notebooks and servers call from threads of their own.",
    needs=("repeatable", "images told apart"),
)
def thread(subject: Subject) -> str:
    outcome: list[list[ImageDetections] | BaseException] = []

    def work() -> None:
        try:
            outcome.append(subject.detect_few())
        except BaseException as error:
            outcome.append(error)

    worker = Thread(target=work, name="dissect-conformance")
    worker.start()
    worker.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    differs = difference(subject.expected, outcome[0])
    require(differs is None, f"{differs}.")
    return "bit for bit."


CHECKS: tuple[Check, ...] = (
    repeatable,
    reusable,
    told_apart,
    order,
    lazy,
    missing,
    batches,
    own_memory,
    thread,
)
