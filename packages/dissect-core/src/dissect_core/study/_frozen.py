"""Reading what must be the same whenever a study goes on."""

from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..places import is_remote
from . import _layout
from ._facts import FORMAT


def read_frozen(path: Path) -> tuple[dict[str, Any], int, int]:
    """Read a study's facts, its number of variants and of images.

    Raises
    ------
    StudyError
        If there is no study, it is damaged, or of a newer format.
    """
    if not is_remote(path) and not path.is_dir():
        raise StudyError(f"{path} is no study: there is no such folder.")
    content = _layout.read_json(path / _layout.ENVIRONMENT)
    frozen = content.get("frozen") if isinstance(content, dict) else None
    if not isinstance(frozen, dict) or not isinstance(frozen.get("format"), int):
        raise StudyError(f"{path / _layout.ENVIRONMENT} is damaged: it holds no facts of a study.")
    if frozen["format"] > FORMAT:
        raise StudyError(
            f"The study {path} has the format {frozen['format']}, this Deep Dissect knows up to {FORMAT}. Install "
            "a newer one."
        )
    images = frozen.get("images")
    counts = [frozen.get("variants"), images.get("count") if isinstance(images, dict) else None]
    counts += [frozen.get("batch_size"), frozen.get("shard_batches")]
    if not all(isinstance(count, int) and count >= (i > 1) for i, count in enumerate(counts)):
        raise StudyError(f"{path / _layout.ENVIRONMENT} is damaged: its counts are not numbers.")
    return frozen, counts[0], counts[1]  # type: ignore[return-value]  # checked above


def read_threads(path: Path) -> int | None:
    """With how many threads torch computes in this study; None where that is not on record."""
    content = _layout.read_json(path / _layout.ENVIRONMENT)
    noted = content.get("incidental") if isinstance(content, dict) else None
    threads = noted.get("threads") if isinstance(noted, dict) else None
    return threads if isinstance(threads, int) and threads > 0 else None
