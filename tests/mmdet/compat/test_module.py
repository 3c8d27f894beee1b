"""What ``from deep_dissect import *`` gives, and what importing it leaves alone."""

import importlib
import inspect
import re
import subprocess
import sys

import pytest
import torch

import deep_dissect
from dissect_eval import pairwise_giou
from real_data import data_path

REFERENCE = data_path("reference/deep-dissect-1.0.md")

METRIC = "input_path, output_path, iterations, start_idx=0"
# Every function of version 1.0, by the submodule in which it lives there.
FUNCTIONS = {
    "compute_ablation": {
        "set_seed": "seed=42",
        "compute_single_wise_ablations_percentage": "PATH_CHECKPOINT_FILE, ablation_percentage, ablation_component, "
        "number_of_ablations=1, PATH_SAVE_DIR=''",
        "compute_attention_head_detr_ablations_percentage": "PATH_CHECKPOINT_FILE, ablation_percentage=5, "
        "ablation_component_template='encoder.layers.{layer}.self_attn.attn.in_proj_weight', "
        "layers_to_ablate=range(6), number_of_ablations=1, PATH_SAVE_DIR=''",
        "compute_component_wise_complete_ablations": "PATH_CHECKPOINT_FILE, ablation_component, PATH_SAVE_DIR=''",
        "compute_progressive_component_ablations": "PATH_CHECKPOINT_FILE, base_component_path='encoder.layers', "
        "component_to_ablate='self_attn.attn.in_proj_weight', PATH_SAVE_DIR=''",
    },
    "compute_metrics": {
        "calculate_average_giou_overall_and_save_results": METRIC,
        "calculate_average_giou_per_class_and_save_results": METRIC,
        "calculate_average_f1_score_overall_and_save_results": METRIC,
        "calculate_average_f1_score_per_class_and_save_results": METRIC,
    },
    "compute_integrated_grouth_truth": {
        "integrate_ground_truth": "det_data_sample, annotations, img_id",
        "run_inference_and_integrate_ground_truth": "PATH_CONFIG_FILE, PATH_CHECKPOINT_FILE, PATH_ANNOTATIONS, "
        "full_paths, device",
    },
    "model_inference": {
        "set_seed": "seed=42",
        "compute_predictions_torch_hub": "model, dataset",
        "compute_predictions_mmdet": "PATH_CONFIG_FILE, PATH_CHECKPOINT_FILE_BASELINE, CONTENT_PATH, PATH_IMG, device",
        "compute_mmdet_results_unsorted": "PATH_CONFIG_FILE, PATH_CHECKPOINT_FILE_BASELINE, PATH_COCO, CONTENT_PATH, "
        "PATH_IMG, device",
    },
    "utility": {
        "set_seed": "seed=42",
        "get_model_state_dict_and_keys": "PATH_CHECKPOINT_FILE",
        "normalize_bboxes": "bboxes, size",
        "box_xyxy_to_cxcywh": "x",
        "box_cxcywh_to_xyxy": "x",
        "get_image_size": "image_path",
        "get_dataset": "coco_path",
        "load_annotations": "annotation_path",
        "parse_image_id_from_path": "img_path",
    },
    "visualisation": {
        "visualize_query_distribution": "preds, zero_rows=None",
        "visualize_vector_field_distributions_query_ids": "preds_baseline, preds_ablations, color_list",
    },
    "coco": {"build_dataset": "image_set, args"},
}
# What notebooks use of other libraries, and the lists of names.
OTHERS = """
    os json pickle torch np plt random tqdm Image InstanceData init_detector inference_detector generalized_box_iou
    linear_sum_assignment f1_score deepcopy defaultdict display widgets CLASSES CLASSES_DETR CLASSES_MMDET class_mapping
""".split()  # noqa: SIM905  # a list of 23 lines says no more


def run_fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("module", "name", "parameters"),
    [(module, name, parameters) for module, names in FUNCTIONS.items() for name, parameters in names.items()],
)
def test_every_function_has_the_signature_of_version_1(module: str, name: str, parameters: str) -> None:
    namespace: dict[str, object] = {}
    exec(f"def wanted({parameters}): ...", namespace)
    wanted = inspect.signature(namespace["wanted"])  # type: ignore[arg-type]
    function = getattr(deep_dissect, name)
    for theirs, ours in zip(
        wanted.parameters.values(), inspect.signature(function).parameters.values(), strict=True
    ):
        assert (theirs.name, theirs.default, theirs.kind) == (ours.name, ours.default, ours.kind)
    assert name in deep_dissect.__all__
    submodule = importlib.import_module(f"deep_dissect.{module}")
    assert getattr(submodule, name) is function
    assert name in submodule.__all__


@pytest.mark.skipif(not REFERENCE.exists(), reason="the description of version 1.0 is not at hand")
def test_every_function_of_the_description_is_held_above() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    named = {name for name, _ in re.findall(r"`([a-z]\w*_\w+)\(([^`]*)\)`", text)}
    named |= set(re.findall(r"^\| `(calculate_\w+)` \|", text, flags=re.MULTILINE))
    assert len(named) == 23
    assert named <= {name for names in FUNCTIONS.values() for name in names}


def test_star_import_gives_all_that_notebooks_use() -> None:
    functions = {name for names in FUNCTIONS.values() for name in names}
    wanted = [*sorted({*functions, *FUNCTIONS, *OTHERS})]
    out = run_fresh(
        "from deep_dissect import *\n"
        f"print([name for name in {wanted!r} if name not in globals()])\n"
        "print(os.sep and json.dumps([pickle.HIGHEST_PROTOCOL > 0, torch.zeros(1).item(), float(np.pi > 3)]))\n"
        "print(plt.__name__, random.__name__, tqdm.__name__, tqdm.tqdm.__name__, Image.__name__)\n"
        "print(len(CLASSES_MMDET), len(CLASSES_DETR), CLASSES == CLASSES_DETR, len(class_mapping))\n"
        "print(list(tqdm.tqdm(range(2), disable=True)), deepcopy([1]), defaultdict(list)[0])\n"
        "print(linear_sum_assignment([[1, 0], [0, 1]])[1].tolist(), f1_score([1, 0], [1, 1]) == 2 / 3)\n"
        "print(InstanceData(bboxes=torch.zeros(2, 4)).bboxes.shape, InstanceData.__module__)\n"
        "print(widgets.IntSlider(value=3).value)\n"
        "display('shown')\n"
    )
    assert out.splitlines() == [
        "[]",
        "[true, 0.0, 1.0]",
        "matplotlib.pyplot random tqdm tqdm PIL.Image",
        "80 91 True 80",
        "[0, 1] [1] []",
        "[1, 0] True",
        "torch.Size([2, 4]) mmengine.structures.instance_data",
        "3",
        "shown",
    ]


def test_names_of_missing_packages_say_so_when_they_are_used() -> None:
    out = run_fresh(
        "import sys\n"
        "for name in ('mmdet', 'mmcv', 'mmengine', 'sklearn', 'IPython', 'ipywidgets', 'torchvision'):\n"
        "    sys.modules[name] = None\n"
        "from deep_dissect import *\n"
        "for use in (lambda: f1_score([1], [1]), lambda: display(1), lambda: widgets.IntSlider, InstanceData,\n"
        "            lambda: torchvision.ops):\n"
        "    try:\n"
        "        use()\n"
        "    except ImportError as error:\n"
        "        print(error)\n"
    )
    packages = ("scikit-learn", "IPython", "ipywidgets", "mmengine", "torchvision")
    lines = out.splitlines()
    assert len(lines) == 5
    for line, package in zip(lines, packages, strict=True):
        assert f"needs {package}, which is not installed. Run `pip install {package}`." in line


def test_giou_of_tensors_is_that_of_the_metrics() -> None:
    torch.manual_seed(0)
    first, second = (torch.rand(n, 2, dtype=torch.float64) for n in (5, 7))
    boxes = [torch.cat([low, low + torch.rand_like(low) + 0.01], dim=1) for low in (first, second)]
    found = deep_dissect.generalized_box_iou(*boxes)
    torch.testing.assert_close(found, torch.from_numpy(pairwise_giou(*boxes)))
    assert deep_dissect.generalized_box_iou(boxes[0].float(), boxes[1].float()).dtype == torch.float32


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

    assert CocoDataset.METAINFO["classes"] == deep_dissect_names
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
