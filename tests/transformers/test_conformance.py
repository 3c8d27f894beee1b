"""The tiny detector of each family keeps all that the protocol of detectors promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from dissect_core.detectors import check_detector, open_detector
from families import FAMILIES, build


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_conforms(name: str, pictures: list[Path]) -> None:
    model, processor = build(name)
    detector = open_detector("transformers", model, processor=processor)
    report = check_detector(detector, pictures)
    report.raise_for_failures()
    declared = {result.name for result in report.results if result.status == "declared"}
    assert declared <= {"batches as alone"}
