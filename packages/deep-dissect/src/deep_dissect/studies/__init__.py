"""Studies that come with the package: the usual questions, for any detection transformer.

They name no detector: that is given when a study is planned or run.
"""

from importlib.resources import files
from pathlib import Path

from dissect_mmdet.errors import DissectMMDetError

__all__ = ["shipped_studies", "study_path"]


def shipped_studies() -> dict[str, Path]:
    """Files of the shipped studies by their names.

    Examples
    --------
    >>> sorted(shipped_studies())[:2]
    ['deformable_sampling', 'head_pairs']
    """
    folder = Path(str(files(__name__)))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def study_path(study: str | Path) -> Path:
    """The file of a study, given by its path or by the name of a shipped one.

    Raises
    ------
    DissectMMDetError
        If it is neither.
    """
    path = Path(study)
    shipped = shipped_studies()
    if path.exists():
        return path
    if str(study) in shipped:
        return shipped[str(study)]
    raise DissectMMDetError(
        f"STUDY must be a file or one of the shipped studies ({', '.join(shipped)}), got {str(study)!r}."
    )
