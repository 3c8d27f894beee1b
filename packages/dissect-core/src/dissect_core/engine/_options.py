"""How a study is run: the options of a run, and who listens to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_type_hints

from ..arguments import check_value
from ..errors import StudyError
from ..progress import MakeBar, PassDone, say_beside_bars, tqdm_bar
from ..text import quoted
from ._stop import StopRequest

OnBadImage: TypeAlias = Literal["fail", "skip"]
Precision: TypeAlias = Literal["full", "bf16", "fp16"]
ClassMap: TypeAlias = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a study is run. The defaults fit a detector on one machine.

    Attributes
    ----------
    batch_size : int
        Images of a batch. Some detectors pad the images of a batch to one size, which shows in the detections.
    shard_images : int
        Images of a file of detections, rounded up to whole batches.
    replay : bool
        Run variants of a torch model by prefix replay, which is exact.
    verify : float
        Share of the pairs of variant and batch that are run in full as well and compared, in [0, 1]. Besides, on the
        first batch of each process, the baseline is run twice and up to eight variants in full, preferably those that
        detect the same as the baseline.
    max_bytes : int, optional
        Most memory that the records of prefix replay may take.
    precision : {"full", "bf16", "fp16"}
        Compute in half precision where `torch.autocast` does. This changes the numbers, so a study keeps to one.
    on_bad_image : {"fail", "skip"}
        What to do about an image that cannot be read, at which the whole detector stops, or whose size differs from the
        one in its truth. A skipped image is recorded as such.
    common_classes : bool
        Score only the classes that detector and truth both know, whenever the study is measured: it is on record.
    class_map : mapping of str to (str or None), optional
        The truth's name for names of the detector, or None to leave a class out. It is on record, and scores by
        gradients and optimal constants use it, too. `dissect_eval.match_classes` explains this and `common_classes`.
    allow_random : bool, optional
        Whether to take a detector that gives other detections each time for the same images. False refuses it; True
        takes it, runs everything in full, and the baseline eleven times: how much these differ is the least difference
        that means anything. None takes it with a `RandomDetectorWarning`. A study that goes on keeps to the choice it
        was begun with.
    repair : bool
        Compute damaged files of the folder again, and keep the damaged ones beside them, with ``.damaged`` at the end
        of their names. Without it, a damaged folder is an error that names the file.
    ahead : int
        Batches read ahead of the detector, 0 or more.

    Raises
    ------
    StudyError
        If an option is out of range.
    ArgumentError
        If one is of another kind.

    Examples
    --------
    >>> RunOptions(batch_size=4).shard_batches
    8
    >>> RunOptions(verify=2)
    Traceback (most recent call last):
        ...
    dissect_core.errors.StudyError: `verify` must be a share in [0, 1], got 2.
    """

    batch_size: int = 1
    shard_images: int = 32
    replay: bool = True
    verify: float = 0.0
    max_bytes: int | None = None
    precision: Precision = "full"
    on_bad_image: OnBadImage = "fail"
    common_classes: bool = False
    class_map: ClassMap | None = None
    allow_random: bool | None = None
    repair: bool = False
    ahead: int = 2

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("shard_images", 1), ("ahead", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise StudyError(f"`{name}` must be {least} or more, got {quoted(value)}.")
        if not isinstance(self.verify, (int, float)) or not 0 <= self.verify <= 1:
            raise StudyError(f"`verify` must be a share in [0, 1], got {quoted(self.verify)}.")
        if self.class_map is not None and not isinstance(self.class_map, Mapping):
            raise StudyError(
                f"`class_map` must be a mapping from names of the detector to names of the truth, got "
                f"{quoted(self.class_map)}. `dissect_eval.read_class_map` reads one from a file."
            )
        for name, hint in get_type_hints(RunOptions).items():
            check_value(name, getattr(self, name), hint)

    @property
    def shard_batches(self) -> int:
        """Batches of a shard: whole ones, for at least the images asked for."""
        return -(-self.shard_images // self.batch_size)

    @property
    def facts(self) -> dict[str, object]:
        """Return the options that change numbers: a study keeps to them when it goes on."""
        scoring: dict[str, object] = {"common_classes": True} if self.common_classes else {}
        if self.class_map is not None:
            scoring["class_map"] = dict(self.class_map)
        facts: dict[str, object] = {"precision": self.precision, "on_bad_image": self.on_bad_image}
        return {**facts, "scoring": scoring} if scoring else facts


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Takes what a run tells while it works, and can stop it.

    Attributes
    ----------
    bar : callable
        Makes progress bars; `no_bar` makes none.
    watch : callable, optional
        Called with a `PassDone` after each pass, on the thread of the run.
    stop : StopRequest, optional
        Ask it, from any thread, to stop after the batch at hand. Ctrl-C does the same.
    say : callable
        Takes messages for people.

    Examples
    --------
    >>> from dissect_core.progress import no_bar
    >>> said = []
    >>> Listener(bar=no_bar, say=said.append).say("one batch is done")
    >>> said
    ['one batch is done']
    """

    bar: MakeBar = tqdm_bar
    watch: Callable[[PassDone], object] | None = None
    stop: StopRequest | None = None
    say: Callable[[str], object] = say_beside_bars
