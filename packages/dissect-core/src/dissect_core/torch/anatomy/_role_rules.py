"""Roles that structure alone cannot show: conventional names, and rules that other packages bring."""

import warnings
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from torch import nn

RULES = "dissect.roles"
"""Entry point group in which a package offers its `RoleRule`."""

REGIONS = ("backbone", "neck", "head", "encoder", "decoder")
"""Roles that blocks inside inherit as a prefix: the norms in a backbone are ``backbone.norm``."""

_TOP = {
    "backbone": "backbone",
    "conv_encoder": "backbone",
    "neck": "neck",
    "bbox_head": "head",
    "head": "head",
    "roi_head": "head",
    "rpn_head": "head",
    "class_embed": "head",
    "bbox_embed": "head",
    "rpn": "head",  # this and the next are torchvision's
    "roi_heads": "head",
    "class_labels_classifier": "head",  # these are of Transformers
    "bbox_predictor": "head",
    "decoder.class_embed": "head",
    "decoder.bbox_embed": "head",
    "enc_score_head": "head",
    "enc_bbox_head": "head",
    "enc_out_class_embed": "head",
    "enc_out_bbox_embed": "head",
}


class RoleRule(Protocol):
    """A rule that gives roles to modules whose structure does not show them.

    `anatomy_of` calls it with the path of every module and the module. It gives roles from specific to
    general, or none. A block bears them before those that its structure gives; any other module that gets one
    becomes a block. Some roles mean more: ``backbone``, ``neck``, ``head``, ``encoder`` and ``decoder`` say
    where everything inside stands, and ``query_embedding`` makes an embedding's rows object queries.

    A package offers its rule as an entry point of the group ``dissect.roles``.

    Examples
    --------
    >>> def rule(path: str, module: nn.Module) -> list[str]:
    ...     return ["head.cls", "head"] if path == "classifier" else []
    >>> from dissect_core.torch import anatomy_of
    >>> model = nn.Sequential()
    >>> model.add_module("classifier", nn.Linear(4, 2))
    >>> anatomy_of(model, roles=[rule]).select_blocks("head.cls")[0].path
    'classifier'
    """

    def __call__(self, path: str, module: nn.Module, /) -> Iterable[str]:
        """Return the roles of one module, from specific to general."""
        ...


def said_roles(
    modules: Mapping[str, nn.Module], rules: Iterable[RoleRule], part: str = ""
) -> dict[str, tuple[str, ...]]:
    """Return the roles of modules by name or rule, each role of a module once; the model itself has none.

    Rules and names see the paths in `part`, the module that detects, where the model holds others.
    """
    start = f"{part}." if part else ""
    inner = {path.removeprefix(start): one for path, one in modules.items() if path.startswith(start)}
    return {f"{start}{path}": roles for path, roles in _said(inner, rules).items()}


def _said(modules: Mapping[str, nn.Module], rules: Iterable[RoleRule]) -> dict[str, tuple[str, ...]]:
    said: dict[str, list[str]] = {}
    for rule in rules:
        for path, module in modules.items():
            if path:
                said.setdefault(path, []).extend(rule(path, module))
    for entry in entry_points(group=RULES):
        for path, roles in _said_by(entry, modules).items():
            said.setdefault(path, []).extend(roles)
    for path in modules:
        if (role := _TOP.get(path.removeprefix("module.").removeprefix("model."))) is not None:
            said.setdefault(path, []).append(role)
    return {path: tuple(dict.fromkeys(roles)) for path, roles in said.items() if roles}


def _said_by(entry: EntryPoint, modules: Mapping[str, nn.Module]) -> dict[str, list[str]]:
    """Return the roles that an installed rule gives; a broken rule must not keep others from working."""
    try:
        rule: RoleRule = entry.load()
        return {path: list(rule(path, module)) for path, module in modules.items() if path}
    except Exception as error:
        warnings.warn(
            f"The role rule {entry.name!r} ({entry.value}) does not work: {type(error).__name__}: {error}. "
            "Roles that only it knows are missing; mend or remove the package that brings it.",
            RuntimeWarning,
            stacklevel=4,
        )
        return {}
