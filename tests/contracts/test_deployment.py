"""The files for Slurm and Kubernetes: right in form, and with commands that exist."""

import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from dissect_core.spec import RayExecution, load_spec

ROOT = Path(__file__).parents[2]
SLURM = ROOT / "docs" / "cluster" / "slurm.sh"
KUBERAY = ROOT / "docs" / "cluster" / "kuberay.yaml"
SCALING = ROOT / "docs" / "scaling.md"


def job() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(KUBERAY.read_text(encoding="utf-8"))
    return content


def commands(text: str) -> list[list[str]]:
    """Every call of ``deep-dissect run`` in a text, as words."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = re.findall(r"^\s*(deep-dissect run [^\n&]*)", joined, flags=re.MULTILINE)
    return [shlex.split(each, comments=True) for each in found]


@cache
def options_of_run() -> frozenset[str]:
    """Options of ``deep-dissect run``, as its help shows them."""
    shown = subprocess.run(
        [sys.executable, "-c", "from deep_dissect.cli import main; main(['run', '--help'])"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": "/usr/bin:/bin", "TERM": "dumb"},
    ).stdout
    return frozenset(re.findall(r"--[a-z-]+", shown))


def test_the_slurm_script_is_right_in_form() -> None:
    subprocess.run(["bash", "-n", str(SLURM)], check=True)
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which(
        "shellcheck"
    )
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        [shellcheck, "--external-sources", "--exclude=SC1091", str(SLURM)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_its_directives_are_options_of_sbatch() -> None:
    directives = re.findall(
        r"^#SBATCH (--[a-z-]+)(?:=\S+)?$", SLURM.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(directives) == SLURM.read_text(encoding="utf-8").count("#SBATCH")
    known = "job-name nodes ntasks-per-node gpus-per-node cpus-per-task time requeue open-mode signal"
    assert {name[2:] for name in directives} == set(known.split())


def test_the_pods_are_valid_for_kubernetes() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    cluster = job()["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert len(groups) == 2
    for group in groups:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
        validate.validate(pod, "1.31", strict=True)
        broken = {**pod, "spec": {**pod["spec"], "containers": [{"image": "without-a-name"}]}}
        with pytest.raises(validate.ValidationError):
            validate.validate(broken, "1.31", strict=True)


def test_the_job_is_one_of_kuberay_with_the_ray_that_is_pinned() -> None:
    content = job()
    assert (content["apiVersion"], content["kind"]) == ("ray.io/v1", "RayJob")
    spec = content["spec"]
    assert set(spec) == {
        "entrypoint",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "backoffLimit",
        "rayClusterSpec",
    }
    cluster = spec["rayClusterSpec"]
    assert f"ray=={cluster['rayVersion']}\n" in (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    (container,) = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


@pytest.mark.parametrize("source", [SLURM, KUBERAY, SCALING], ids=lambda path: path.name)
def test_every_option_of_every_command_exists(source: Path) -> None:
    text = job()["spec"]["entrypoint"] if source == KUBERAY else source.read_text(encoding="utf-8")
    known = options_of_run()
    found = commands(text)
    assert found
    for words in found:
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def test_the_blocks_of_the_guide_hold(capsys: pytest.CaptureFixture[str]) -> None:
    text = SCALING.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(compile(code, str(SCALING), "exec"), {})
    assert re.search(r"\d\.\d h, \d+ GiB, \d+ MiB/s", capsys.readouterr().out)
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    ablation = {
        "name": "queries",
        "target": {"unit": "row", "components": "query_embedding"},
        "select": {"by": "all"},
    }
    spec = load_spec({"name": "guide", "ablations": [ablation], **yaml.safe_load(block)})
    assert isinstance(spec.execution, RayExecution)
    assert set(yaml.safe_load(block)["execution"]) == set(RayExecution.model_fields)
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (SCALING.parent / target).exists(), target
