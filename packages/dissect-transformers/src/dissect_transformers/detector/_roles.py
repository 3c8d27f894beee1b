"""Roles of modules in detectors of Transformers that their structure does not show."""

from __future__ import annotations

import re

from torch import nn

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), role)
    for pattern, role in (
        # Last layers of the two tasks; those of the encoder and of inner decoder layers too, where boxes are refined.
        (r"class_labels_classifier|(model\.decoder\.)?class_embed", "head.cls"),
        (r"model\.(enc_score_head|enc_out_class_embed)", "head.cls"),
        (r"bbox_predictor|(model\.decoder\.)?bbox_embed", "head.reg"),
        (r"model\.(enc_bbox_head|enc_out_bbox_embed|decoder\.pre_bbox_head)", "head.reg"),
        # What brings the backbone's features to the width of the transformer.
        (
            r"model\.(conv_encoder\.)?(input_projection|input_proj|(en|de)coder_input_proj)",
            "neck.channel_mapper",
        ),
        (r"model\.(encoder|decoder)\.query_scale", r"\1.query_scale"),
        (
            r"model\.(decoder\.(ref_point_head|ref_anchor_head|query_pos_head)|reference_points)",
            "decoder.reference_points",
        ),
        # Two-stage detectors: what turns the encoder's memory into queries.
        (r"model\.(enc_output|pos_trans)(_norm)?", "query_selection"),
        (r"model\.denoising_class_embed", "denoising"),
    )
)


def transformers_roles(path: str, module: nn.Module) -> list[str]:
    """Return the roles of one module of a detector of Transformers: the rule of the entry point ``dissect.roles``.

    Parameters
    ----------
    path : str
        Path of the module in the detector.
    module : torch.nn.Module
        The module.

    Returns
    -------
    list of str
        ``head.cls`` and ``head.reg``, ``neck.channel_mapper``, ``encoder.query_scale``, ``decoder.query_scale``,
        ``decoder.reference_points``, ``query_selection`` and ``denoising``, as in detectors of MMDetection; empty for
        all other modules, and for those of other libraries.

    Examples
    --------
    >>> transformers_roles("bbox_predictor", nn.Linear(4, 4))
    ['head.reg']
    """
    if next(module.parameters(), None) is None:
        return []
    return [match.expand(role) for pattern, role in _RULES if (match := pattern.fullmatch(path)) is not None]
