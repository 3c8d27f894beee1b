"""Reading specs from files, and saying what is wrong with them in the file's own terms."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import MissingDependencyError, SpecError
from ._problems import TAGS, describe_problems
from .study import SCHEMA_VERSION, StudySpec


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
    """Write a spec as YAML, leaving out what has its default."""
    yaml = _yaml()
    text: str = yaml.safe_dump(_pruned(spec), sort_keys=False, width=100)
    return text


def _pruned(value: Any) -> Any:
    """Plain data without what has its default, but with what says which member of a union it is."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        needed = {n for n in fields if n in (*TAGS, "space") or getattr(value, n) != fields[n].get_default()}
        kept = {n: getattr(value, n) for n in fields if n in needed}
        return {name: _pruned(item) for name, item in kept.items()}
    return [_pruned(item) for item in value] if isinstance(value, tuple) else value


def spec_schema() -> dict[str, Any]:
    """JSON Schema of the format, for editors that check while one types."""
    schema = StudySpec.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _content(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"The spec {path} cannot be read: {error}. Give a YAML, JSON or TOML file."
        ) from error
    kind = path.suffix.lower()
    try:
        if kind in (".yaml", ".yml"):
            yaml = _yaml()
            try:
                return yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise SpecError(
                    f"The spec {path} is not valid YAML: {' '.join(str(error).split())}."
                ) from error
        if kind == ".json":
            return json.loads(text)
        if kind == ".toml":
            return _toml(text)
    except RecursionError:
        raise SpecError(f"The spec {path} is nested too deeply for any study. Mend the file.") from None
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(
            f"The spec {path} is not valid {kind[1:].upper()}: {error}. Mend the file."
        ) from error
    raise SpecError(f"The spec {path} must end in .yaml, .yml, .json or .toml, got {kind or 'no suffix'!r}.")


def _validated(content: Any, where: str) -> StudySpec:
    if not isinstance(content, Mapping):
        raise SpecError(
            f"{where}: a study must be a mapping with `name` and `ablations`, got {type(content).__name__}."
        )
    version = content.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise SpecError(
            f"{where}: `schema_version` is {version}, this Deep Dissect knows up to {SCHEMA_VERSION}. "
            "Install a newer one."
        )
    try:
        return StudySpec.model_validate(content)
    except ValidationError as error:
        lines = describe_problems(error, content)
        raise SpecError(
            f"{where} is not a valid study:\n" + "\n".join(f"  {line}" for line in lines)
        ) from error


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
