"""Read specs from files, and say what is wrong with them in the file's own terms."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..arguments import checked_arguments
from ..errors import MissingDependencyError, SpecError
from ..storage.files import open_regular
from ..text import visible
from ._problems import TAGS, Problem, find_problems
from ._study import SCHEMA_VERSION, StudySpec
from ._text import json_content, yaml_content

LARGEST = 2**23
"""Most bytes that a study's file may have."""


@checked_arguments()
def load_spec(source: str | os.PathLike[str] | Mapping[str, Any]) -> StudySpec:
    """Read a study's specification.

    Parameters
    ----------
    source : path or mapping
        A ``.yaml``, ``.yml``, ``.json`` or ``.toml`` file, or its content.

    Returns
    -------
    StudySpec

    Raises
    ------
    SpecError
        If the file cannot be read or a field is wrong. The message names the file, each field by its path in
        it, the rule, and the value.
    MissingDependencyError
        If a YAML file is given and PyYAML is not installed.

    Examples
    --------
    >>> spec = load_spec(
    ...     {
    ...         "name": "queries",
    ...         "ablations": [
    ...             {
    ...                 "name": "queries",
    ...                 "target": {"unit": "row", "components": "query_embedding"},
    ...                 "select": {"by": "fraction", "fractions": 0.05},
    ...             }
    ...         ],
    ...     }
    ... )
    >>> spec.ablations[0].select.fractions
    (0.05,)
    """
    if isinstance(source, Mapping):
        return _validated(source, "the spec")
    path = Path(source)
    return _validated(_content(path), str(path))


def spec_to_yaml(spec: StudySpec) -> str:
    """Return a spec as YAML, without the fields that have their default."""
    yaml = _yaml()
    text: str = yaml.safe_dump(_pruned(spec), sort_keys=False, width=100)
    return text


def _pruned(value: Any) -> Any:
    """Return plain data without fields at their default, except those that name a member of a union."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        needed = {n for n in fields if n in (*TAGS, "space") or getattr(value, n) != fields[n].get_default()}
        kept = {n: getattr(value, n) for n in fields if n in needed}
        return {name: _pruned(item) for name, item in kept.items()}
    return [_pruned(item) for item in value] if isinstance(value, tuple) else value


def spec_schema() -> dict[str, Any]:
    """Return the JSON Schema of the format, with which editors check a file while it is typed."""
    schema = StudySpec.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _content(path: Path) -> Any:
    shown = visible(str(path))
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise SpecError(
                f"The spec {shown} must be at most {LARGEST:,} bytes, got more. Give a study's file."
            )
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SpecError(f"The spec {shown} cannot be read: {why}. Give a YAML, JSON or TOML file.") from error
    return parse_spec(text, path.suffix.lower(), f"The spec {shown}")


def parse_spec(text: str, kind: str = ".yaml", where: str = "The spec") -> Any:
    """Parse a spec's text as plain data, without validation. No code in it is run.

    Parameters
    ----------
    text : str
        The content of a file.
    kind : {".yaml", ".yml", ".json", ".toml"}, optional
        Format of the text.
    where : str, optional
        Name of the text in messages.

    Returns
    -------
    object
        The content of the text; `check_spec` says whether it is a study.

    Raises
    ------
    SpecError
        If the text is not valid, or a mapping in it, at whatever level, gives a key twice.
    MissingDependencyError
        If YAML is given and PyYAML is not installed.

    Examples
    --------
    >>> parse_spec("name: heads")
    {'name': 'heads'}
    """
    try:
        if kind in (".yaml", ".yml"):
            yaml = _yaml()
            try:
                return yaml_content(text, where)
            except yaml.YAMLError as error:
                raise SpecError(f"{where} is not valid YAML: {' '.join(str(error).split())}.") from error
        if kind == ".json":
            return json_content(text, where)
        if kind == ".toml":
            return _toml(text)
    except RecursionError:
        raise SpecError(f"{where} is nested too deeply for any study. Mend the file.") from None
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"{where} is not valid {kind[1:].upper()}: {error}. Mend the file.") from error
    raise SpecError(f"{where} must end in .yaml, .yml, .json or .toml, got {kind or 'no suffix'!r}.")


def check_spec(content: Mapping[str, Any]) -> StudySpec | tuple[Problem, ...]:
    """Validate the content of a spec, and list its problems field by field, as forms and editors need them.

    Parameters
    ----------
    content : mapping
        The content, as in a file.

    Returns
    -------
    StudySpec or tuple of Problem
        The spec if the content is valid, else its problems.

    Examples
    --------
    >>> for problem in check_spec({"name": "heads", "ablations": [{"name": "a/b", "target": {}}]}):
    ...     print(problem)
    ablations[0].name: must be one line without a slash and without spaces at its ends, got 'a/b'
    ablations[0].target: must say `unit`
    ablations[0].select: must be given
    """
    version = content.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        rule = f"must be at most {SCHEMA_VERSION} for this Deep Dissect, got {version}. Install a newer one"
        return (Problem(("schema_version",), rule),)
    try:
        return StudySpec.model_validate(content)
    except ValidationError as error:
        return find_problems(error, content)


def _validated(content: Any, where: str) -> StudySpec:
    if not isinstance(content, Mapping):
        raise SpecError(
            f"{where}: a study must be a mapping with `name` and `ablations`, got {type(content).__name__}."
        )
    checked = check_spec(content)
    if isinstance(checked, StudySpec):
        return checked
    raise SpecError(f"{where} is not a valid study:\n" + "\n".join(f"  {problem}" for problem in checked))


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError(
            'YAML files need PyYAML, which is not installed. Run `pip install "dissect-core[study]"`, '
            "or write the spec as JSON."
        ) from error
    return yaml


def _toml(text: str) -> Any:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError as error:
            raise MissingDependencyError(
                'TOML files need Python 3.11, or tomli: `pip install "dissect-core[study]"`.'
            ) from error
    return tomllib.loads(text)
