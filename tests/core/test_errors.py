import pickle

import pytest

import dissect_core
from dissect_core import (
    CheckpointError,
    DissectError,
    DoseError,
    MissingDependencyError,
    UnitError,
    UnknownComponentError,
)

ERRORS = [
    error
    for name in dissect_core.__all__
    if isinstance(error := getattr(dissect_core, name), type) and issubclass(error, BaseException)
]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_the_one_root_and_survives_a_pickle(error: type[Exception]) -> None:
    assert issubclass(error, DissectError)
    again = pickle.loads(pickle.dumps(error("a message")))
    assert type(again) is error
    assert str(again) == "a message"


def test_errors_are_also_what_a_caller_would_expect() -> None:
    assert issubclass(UnknownComponentError, KeyError)
    assert issubclass(DoseError, ValueError)
    assert issubclass(UnitError, ValueError)
    assert issubclass(MissingDependencyError, ImportError)
    assert not issubclass(CheckpointError, ValueError)


def test_unknown_component_prints_its_message_without_quotes() -> None:
    assert str(UnknownComponentError("No component 'x'.")) == "No component 'x'."


def test_everything_public_is_listed_once_and_exists() -> None:
    assert len(set(dissect_core.__all__)) == len(dissect_core.__all__)
    assert all(hasattr(dissect_core, name) for name in dissect_core.__all__)
