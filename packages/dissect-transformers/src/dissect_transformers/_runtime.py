"""What must be installed to run a model of Transformers, and quiet while it loads one."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import MissingPackageError


def require_transformers() -> None:
    """Refuse to go on where Transformers is not installed.

    Raises
    ------
    MissingPackageError
        With what to install.

    Examples
    --------
    >>> require_transformers()
    """
    if importlib.util.find_spec("transformers") is None:
        raise MissingPackageError(
            "Models of Transformers need the package transformers, not installed here: pip install "
            '"dissect-transformers[full]" (Python 3.11 or newer).',
            name="transformers",
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Transformers from logging and from showing progress bars for the length of a block.

    What it would say of weights that do not fit, this package says in an error of one line.
    """
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
