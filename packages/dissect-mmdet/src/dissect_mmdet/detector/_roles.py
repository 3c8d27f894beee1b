"""Roles of modules in MMDetection's detectors that their structure does not show."""

from __future__ import annotations

import re

from torch import nn

_HEAD = r"(bbox_head|roi_head\.bbox_head(\.\d+)?)"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), role)
    for pattern, role in (
        (r"rpn_head", "head.rpn"),
        (r"roi_head", "head.roi"),
        (r"roi_head\.bbox_head(\.\d+)?", "head.bbox"),
        (r"(roi_head\.)?mask_head(\.\d+)?", "head.mask"),
        # Second branches of DDQ and Co-DETR, of use in training only.
        (_HEAD + r"\.aux_\w+", "head.aux"),
        # Towers and last layers of the two tasks: cls_convs, retina_cls, fc_cls, multi_level_conv_reg, reg_ffn ...
        (_HEAD + r"\.(?!aux_)(\w+_)?cls(_\w+)?", "head.cls"),
        (_HEAD + r"\.(?!aux_)(\w+_)?reg(_\w+)?", "head.reg"),
        (_HEAD + r"\.(\w+_)?(obj|centerness)", "head.objectness"),
        # Conditional DETR and its heirs.
        (r"(encoder|decoder)\.query_scale", r"\1.query_scale"),
        (r"decoder\.(ref_point_head|ref_anchor_head)|reference_points_fc", "decoder.reference_points"),
        # Two-stage DETRs: what turns the encoder's memory into queries.
        (r"(memory|pos)_trans_(fc|norm)|query_map", "query_selection"),
        (r"dn_query_generator", "denoising"),
        # Sparse R-CNN.
        (r"rpn_head\.init_proposal_(bboxes|features)", "query_embedding"),
        (r"roi_head\.bbox_head\.\d+\.instance_interactive_conv", "decoder.interaction"),
    )
)


def mmdet_roles(path: str, module: nn.Module) -> list[str]:
    """Return the roles of one module of an MMDetection detector: the rule of the entry point group ``dissect.roles``.

    Parameters
    ----------
    path : str
        Path of the module in the detector.
    module : torch.nn.Module
        The module.

    Returns
    -------
    list of str
        ``head.rpn``, ``head.roi``, ``head.bbox`` and ``head.mask`` of two-stage detectors; ``head.cls``,
        ``head.reg``, ``head.objectness`` and ``head.aux`` of any head's branches; ``neck.channel_mapper``;
        ``encoder.query_scale``, ``decoder.query_scale``, ``decoder.reference_points``, ``query_selection`` and
        ``denoising`` of DETRs. In Sparse R-CNN the stages of the head are a decoder, and the learnt proposals
        its queries. Empty for all other modules.

    Examples
    --------
    >>> mmdet_roles("roi_head.bbox_head.fc_cls", nn.Linear(4, 2))
    ['head.cls']
    """
    if next(module.parameters(), None) is None:
        return []  # losses, and branches that a config leaves empty
    if path == "roi_head.bbox_head" and isinstance(module, nn.ModuleList):
        # The stages of Cascade R-CNN are heads one by one. Those of Sparse R-CNN are layers: they hand on queries.
        return ["decoder"] if hasattr(module[0], "instance_interactive_conv") else []
    if hasattr(module, "instance_interactive_conv"):
        return []  # one of these stages: a layer
    found = [match.expand(role) for pattern, role in _RULES if (match := pattern.fullmatch(path)) is not None]
    if type(module).__name__ == "ChannelMapper":
        found.append("neck.channel_mapper")
    return found


def detecting_part(model: nn.Module) -> tuple[str, str]:
    """Return the path of the only part of a model that detects, and a note on the rest; both empty for most models.

    Semi-supervised detectors hold two whole detectors, a student and a teacher, of which one is asked.

    Examples
    --------
    >>> detecting_part(nn.Linear(2, 2))
    ('', '')
    """
    config = getattr(model, "semi_test_cfg", None)
    parts = ("teacher", "student")
    if config is None or not all(isinstance(getattr(model, part, None), nn.Module) for part in parts):
        return "", ""
    part, other = parts if config.get("predict_on", "teacher") == "teacher" else parts[::-1]
    return part, (
        f"Of this model's two detectors the {part} detects (`semi_test_cfg.predict_on`): blocks, roles and units are "
        f"its own. The {other}'s weights are components without a role: removing them changes no detection."
    )
