"""Studies that come with the package: the usual questions, for any detection transformer.

They name no detector: that is given when a study is planned or run.
"""

from importlib.resources import files
from pathlib import Path

from dissect_core.names import near_hint
from dissect_core.text import quoted

from ..errors import FrontDoorError

__all__ = ["shipped_studies", "study_path"]


def shipped_studies() -> dict[str, Path]:
    """Return the files of the shipped studies by their names.

    Examples
    --------
    >>> sorted(shipped_studies())[:2]
    ['deformable_sampling', 'demo']
    """
    folder = Path(str(files(__name__)))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def study_path(study: str | Path) -> Path:
    """Return the file of a study, given by its path or by the name of a shipped one.

    Parameters
    ----------
    study : str or Path

    Raises
    ------
    FrontDoorError
        If it is neither; near matches and all shipped studies are named.

    Examples
    --------
    >>> study_path("layer_knockout").name
    'layer_knockout.yaml'
    >>> study_path("layer_nockout")
    Traceback (most recent call last):
    deep_dissect.errors.FrontDoorError: A study must be a file or one of the shipped studies ...
    """
    path = Path(study)
    shipped = shipped_studies()
    if path.exists() and not (
        path.is_dir() and str(study) in shipped
    ):  # the study `demo`, beside a folder `demo`
        return path
    if str(study) in shipped:
        return shipped[str(study)]
    raise FrontDoorError(
        f"A study must be a file or one of the shipped studies ({', '.join(shipped)}), got {quoted(str(study))}."
        + near_hint(str(study), shipped)
    )
