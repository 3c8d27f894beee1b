"""Standing in for ``mmcv._ext``, each time in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mmcv")


def run(script: str, *front: Path) -> str:
    path = [*(str(folder) for folder in front), *(entry for entry in sys.path if entry)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def has_compiled_mmcv() -> bool:
    return run("import importlib.util as u; print(u.find_spec('mmcv._ext') is not None)") == "True"


pytestmark = pytest.mark.skipif(
    has_compiled_mmcv(), reason="a compiled mmcv is installed in this environment"
)


def test_enabling_is_idempotent_and_imports_neither_mmcv_nor_mmdet() -> None:
    script = """
import sys
from dissect_mmdet.ops import enable_mmcv_ops
assert "mmcv" not in sys.modules and "mmdet" not in sys.modules
print(enable_mmcv_ops(), enable_mmcv_ops())
assert "mmcv" not in sys.modules and "mmdet" not in sys.modules
import mmcv.ops
from mmcv import _ext
assert _ext is sys.modules["mmcv._ext"]
print(enable_mmcv_ops(), mmcv.ops.get_compiler_version())
"""
    assert run(script) == "torch torch\ntorch none (torch operators of dissect_mmdet)"


def test_a_failed_import_of_the_operators_can_be_repeated() -> None:
    script = """
import mmcv
try:
    import mmcv.ops
except ModuleNotFoundError as error:
    print(error.name)
from dissect_mmdet.ops import enable_mmcv_ops
print(enable_mmcv_ops())
import torch, mmcv.ops
print(mmcv.ops.nms(torch.tensor([[0., 0, 1, 1]]), torch.tensor([.5]), 0.5)[1].tolist())
assert mmcv._ext.nms is not None
"""
    assert run(script) == "mmcv._ext\ntorch\n[0]"


def test_another_operator_says_what_to_install() -> None:
    script = """
from dissect_mmdet.errors import DissectMMDetError
from dissect_mmdet.ops import enable_mmcv_ops
enable_mmcv_ops()
import torch, mmcv.ops
from mmcv import _ext
assert not hasattr(_ext, "__no_such_dunder__")
try:
    mmcv.ops.box_iou_rotated(torch.ones(1, 5), torch.ones(1, 5))
except DissectMMDetError as error:
    assert isinstance(error, NotImplementedError)
    print(error)
"""
    message = run(script)
    assert "'box_iou_rotated'" in message
    for part in ("compiled mmcv", "MMCV_WITH_OPS=1", 'pip install "dissect-mmdet[full]"', "OpenMMLab"):
        assert part in message


def test_without_mmcv_it_says_what_to_install() -> None:
    script = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "mmcv" else find(name, *rest)
from dissect_mmdet.ops import enable_mmcv_ops
from dissect_mmdet.errors import MissingDependencyError
try:
    enable_mmcv_ops()
except MissingDependencyError as error:
    assert isinstance(error, ImportError)
    print(error)
"""
    assert 'pip install "dissect-mmdet[lite]"' in run(script)


def test_a_compiled_mmcv_is_used_where_there_is_one(compiled_mmcv: Path) -> None:
    script = """
import sys
from dissect_mmdet.ops import enable_mmcv_ops
print(enable_mmcv_ops())
assert "mmcv._ext" not in sys.modules
import mmcv._ext
print(enable_mmcv_ops(), mmcv._ext.__file__.endswith(".so"))
"""
    assert run(script, compiled_mmcv) == "compiled\ncompiled True"


def test_mmcv_s_modules_train_through_the_operators() -> None:
    script = """
from dissect_mmdet.ops import enable_mmcv_ops
enable_mmcv_ops()
import torch
from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack, RoIAlign, RoIPool, SigmoidFocalLoss
torch.manual_seed(0)
x = torch.randn(2, 4, 8, 8, requires_grad=True)
rois = torch.tensor([[0., 0, 0, 6, 6], [1., 2, 1, 7, 5]])
modules = [DeformConv2dPack(4, 4, 3, padding=1), ModulatedDeformConv2dPack(4, 4, 3, padding=1)]
outputs = [module(x) for module in modules]
outputs += [RoIAlign(2, pool_mode=mode)(x, rois) for mode in ("avg", "max")] + [RoIPool(2)(x, rois)]
outputs += [RoIAlign(2)(x, rois[:0]), SigmoidFocalLoss(2.0, 0.25)(x[0, 0], torch.arange(8))]
for output in outputs:
    (gradient,) = torch.autograd.grad(output.sum(), x, retain_graph=True)
    assert gradient.shape == x.shape and gradient.isfinite().all()
    print(bool(gradient.any()), end=" ")
"""
    assert run(script) == "True True True True True False True"


def test_accelerated_attention_replaces_only_inference() -> None:
    script = """
from dissect_mmdet.ops import accelerate_attention
print(accelerate_attention(), accelerate_attention())
import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops import multi_scale_deform_attn as module
fast = module.multi_scale_deformable_attn_pytorch
slow = fast.__wrapped__
assert not hasattr(slow, "__wrapped__")
torch.manual_seed(0)
layer = MultiScaleDeformableAttention(embed_dims=16, num_heads=2, num_levels=2, num_points=3).eval()
torch.nn.init.normal_(layer.sampling_offsets.weight)
shapes = torch.tensor([[6, 5], [3, 4]])
query, value, places = torch.randn(9, 2, 16), torch.randn(42, 2, 16), torch.rand(2, 9, 2, 2)
inputs = dict(value=value, reference_points=places, spatial_shapes=shapes,
              level_start_index=torch.tensor([0, 30]))
recorded = layer(query, **inputs)
with torch.no_grad():
    torch.testing.assert_close(layer(query, **inputs), recorded, atol=1e-4, rtol=1e-4)
recorded.sum().backward()
print(layer.value_proj.weight.grad is not None)
"""
    assert run(script) == "True True\nTrue"
