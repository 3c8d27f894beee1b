"""Whole studies of the bundled detectors, image reader and all: every pass compared with a full one."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from dissect_core.engine import Listener, RunOptions, run
from dissect_core.progress import no_bar
from dissect_core.spec import load_spec
from dissect_core.store import Study
from dissect_eval import GroundTruth
from dissect_mmdet import image_paths, open_mmdet
from dissect_mmdet.demo import DEMO_DETECTORS, demo_files, write_split

EACH = {"select": {"by": "indices", "indices": [0, 5]}}
SPEC = load_spec(
    {
        "name": "exact",
        "ablations": [
            {"name": "heads", "target": {"unit": "head", "components": "encoder.self_attn"}, **EACH},
            {"name": "cross", "target": {"unit": "head", "components": "decoder.cross_attn"}, **EACH},
            {
                "name": "neurons",
                "target": {"unit": "neuron", "components": "ffn"},
                "select": {"by": "fraction", "fractions": [0.3]},
                "interventions": ["zero", {"space": "activation", "kind": "mean"}],
            },
            {"name": "layers", "target": {"unit": "layer", "components": "decoder.layer"}, **EACH}
            | {"select": {"by": "each"}},
        ],
    }
)


@pytest.mark.parametrize("name", DEMO_DETECTORS)
def test_every_pass_over_many_batches_is_exact(name: str, tmp_path: Path) -> None:
    images, annotations = write_split(tmp_path / "data", "test", 14)
    paths = image_paths(images, GroundTruth.from_coco(annotations).file_names)
    files = demo_files(name)

    def study(out: str, **options: Any) -> Study:
        detector = open_mmdet(config=files.config, checkpoint=files.checkpoint)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a pass that does not begin as the baseline's did
            return run(
                SPEC,
                detector,
                paths,
                tmp_path / out,
                RunOptions(batch_size=2, **options),
                listener=Listener(bar=no_bar, say=lambda _text: None),
            )

    # The reader prepares batches, with the model's own preprocessor, while others are run.
    replayed = study("replayed", verify=1.0, ahead=5)
    assert replayed.is_complete
    plain = study("plain", replay=False, ahead=0)
    assert replayed.table().equals(plain.table())
