"""What ``from deep_dissect import *`` gives, and what importing it leaves alone."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import deep_dissect

REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "deep-dissect-1.0.md"


def run_fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def documented_signatures() -> list[tuple[str, str]]:
    """Name and parameters of every call in the description of version 1.0."""
    text = REFERENCE.read_text(encoding="utf-8")
    found = re.findall(r"`([a-z_]\w+)\(([^`]*)\)`", text)
    four = re.search(r"\| call `\((.*)\)` \|", text)
    assert four
    metrics = re.findall(r"^\| `(calculate_\w+)` \|", text, flags=re.MULTILINE)
    return [(n, p) for n, p in found if n.startswith("compute") or "_" in n] + [(n, four[1]) for n in metrics]


@pytest.mark.skipif(not REFERENCE.exists(), reason="the description of version 1.0 is not at hand")
def test_every_function_has_the_signature_of_version_1() -> None:
    documented = documented_signatures()
    assert len({name for name, _ in documented}) == 23
    for name, parameters in documented:
        namespace: dict[str, object] = {}
        exec(f"def wanted({parameters}): ...", namespace)
        wanted = inspect.signature(namespace["wanted"])  # type: ignore[arg-type]
        given = inspect.signature(getattr(deep_dissect, name))
        for theirs, ours in zip(wanted.parameters.values(), given.parameters.values(), strict=True):
            assert (theirs.name, theirs.default, theirs.kind) == (ours.name, ours.default, ours.kind), name
        assert name in deep_dissect.__all__


def test_star_import_gives_the_modules_that_notebooks_use() -> None:
    out = run_fresh(
        "from deep_dissect import *\n"
        "print(os.sep and json.dumps([pickle.HIGHEST_PROTOCOL > 0, torch.zeros(1).item(), float(np.pi > 3)]))\n"
        "print(plt.__name__, random.__name__, tqdm.__name__)\n"
        "print(len(CLASSES_MMDET), len(CLASSES_DETR), len(class_mapping))\n"
    )
    assert out.splitlines() == ["[true, 0.0, 1.0]", "matplotlib.pyplot random tqdm", "80 91 80"]


def test_importing_leaves_the_global_generators_alone() -> None:
    out = run_fresh(
        "import random, numpy as np, torch\n"
        "random.seed(1); np.random.seed(2); torch.manual_seed(3)\n"
        "before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()\n"
        "import deep_dissect\n"
        "after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()\n"
        "print(before == after)\n"
    )
    assert out == "True\n"


def test_import_needs_no_mmdetection() -> None:
    out = run_fresh(
        "import sys\n"
        "for name in ('mmdet', 'mmcv', 'mmengine'): sys.modules[name] = None\n"
        "import deep_dissect\n"
        "print(deep_dissect.parse_image_id_from_path('a/000000000139.jpg'))\n"
    )
    assert out == "139\n"


def test_class_names_are_mmdetections_and_cocos() -> None:
    deep_dissect_names = deep_dissect.CLASSES_MMDET
    from dissect_mmdet import require_mmdet

    require_mmdet()
    from mmdet.datasets import CocoDataset

    assert list(CocoDataset.METAINFO["classes"]) == deep_dissect_names
    assert [deep_dissect.CLASSES_DETR[i] for i in (0, 1, 12, 13, 90)] == [
        "N/A",
        "person",
        "N/A",
        "stop sign",
        "toothbrush",
    ]
    for label, category_id in deep_dissect.class_mapping.items():
        assert deep_dissect.CLASSES_DETR[category_id] == deep_dissect.CLASSES_MMDET[label]


def test_category_ids_are_those_of_a_real_annotation_file() -> None:
    path = REFERENCE.parents[1] / "data" / "coco_tiny80" / "instances_val2017_80.json"
    if not path.exists():
        pytest.skip("COCO's annotations are not at hand")
    categories = deep_dissect.load_annotations(path)["categories"]
    assert len(categories) == 80
    for category in categories:
        assert deep_dissect.CLASSES_DETR[category["id"]] == category["name"]
