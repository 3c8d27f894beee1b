"""What a study's file asks for runs no code, unless the user himself says so."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import studies
from dissect_core import UntrustedError
from dissect_core.detectors import DetectorRequest, _installed, harmless_options, open_detector
from dissect_core.detectors.trust import agreed_execution, agreed_options
from dissect_core.engine.ray._worker import Worker
from dissect_core.spec import DetectorSpec, LocalExecution, RayExecution
from toy_detector import ToyDetector

calls: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def nothing_was_opened() -> None:
    calls.clear()


@harmless_options("checkpoint", "size")
def open_told(
    *,
    checkpoint: str = "",
    size: int = 1,
    config: Any = None,
    safe: bool = True,
    custom_imports: Any = (),
    trust: bool = False,
) -> ToyDetector:
    calls.append(locals().copy())
    return ToyDetector()


def open_untold(*, min_area: float = 20, plugin: Any = None, safe: bool = True) -> ToyDetector:
    calls.append(locals().copy())
    return ToyDetector()


def open_any(**options: Any) -> ToyDetector:
    calls.append(options)
    return ToyDetector()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three adapters, offered by this module."""

    class Entry:
        dist = None

        def __init__(self, name: str) -> None:
            self.name, self.value, self._opener = name, f"toy_detector:open_{name}", globals()[f"open_{name}"]

        def load(self) -> Any:
            return self._opener

    entries = [Entry(name) for name in ("told", "untold", "any")]
    monkeypatch.setattr(_installed, "entry_points", lambda group: entries)


def named(adapter: str, **options: Any) -> DetectorSpec:
    return DetectorSpec(adapter=adapter, options=options)


RUNS_CODE = [
    named("told", trust=True),
    named("told", trust="yes"),
    named("told", trust=1),
    named("told", config="evil.py"),
    named("told", config={"model": {"type": "subprocess.Popen"}}),
    named("told", config=["evil.py"]),
    named("told", custom_imports=["evil"]),
    named("told", safe=False),
    named("told", checkpoint="a.npz", config=Path("evil.py")),
    named("told", config=False),  # None may stand for a check that False switches off
    named("told", config=""),
    named("told", config={}),
    named("untold", plugin="evil"),
    named("untold", plugin={"a": 1}),
    named("untold", plugin=True),
    named("untold", safe=False),
    named("any", trust_remote_code=True),
    named("any", trust=True),
    named("any", trust=3),
    named("any", trust_remote_code=0.5),
    named("any", **{"\x1b[31m\n": "evil\u202e"}),
]
HARMLESS = [
    named("told", checkpoint="a.npz", size=3),
    named("told", trust=False, config=None, custom_imports=[], safe=True),
    named("untold", min_area=7),
    named("untold", min_area=7.5, plugin=None),
    named("any", depth=3),
]


@pytest.mark.parametrize("spec", RUNS_CODE)
def test_a_spec_that_asks_for_code_is_refused_in_one_line(spec: DetectorSpec) -> None:
    for refused in (
        spec,
        DetectorRequest(spec),
        DetectorRequest(spec, {"size": 3} if spec.adapter == "told" else {}),
    ):
        with pytest.raises(UntrustedError, match=r"--trust \(`trust=True`\)") as caught:
            open_detector(refused)
        assert str(caught.value).isprintable()
    assert calls == []


@pytest.mark.parametrize("spec", RUNS_CODE)
def test_the_user_may_allow_it(spec: DetectorSpec) -> None:
    open_detector(spec, trust=True)
    open_detector(DetectorRequest(spec, trust=True))
    for call in calls:
        assert {**call, **spec.options, **({"trust": True} if spec.adapter == "told" else {})} == call
    assert len(calls) == 2


@pytest.mark.parametrize("spec", HARMLESS)
def test_what_runs_no_code_needs_no_question(spec: DetectorSpec) -> None:
    open_detector(spec)
    assert {**calls[0], **spec.options} == calls[0]


def test_the_users_own_word_needs_no_question_and_comes_first() -> None:
    open_detector("told", config="mine.py", custom_imports=["mine"])
    assert calls[0]["config"] == "mine.py"
    open_detector("told", trust=True)
    assert calls[1]["trust"] is True
    open_detector("untold", trust=True)  # which has no such option
    open_detector(named("told", config="evil.py"), config="mine.py")
    assert calls[3]["config"] == "mine.py"
    assert not calls[3]["trust"]
    with pytest.raises(UntrustedError, match="custom_imports"):
        open_detector(named("told", config="evil.py", custom_imports=["evil"]), config="mine.py")


def test_values_of_any_size_and_type_are_refused_in_a_short_line() -> None:
    for value in ("x" * 10**6, [[["x" * 10**4] * 9] * 9] * 9, np.zeros(9), object()):
        with pytest.raises(UntrustedError) as caught:
            open_detector(named("told", config=value))
        assert len(str(caught.value)) < 1000


def test_a_package_cannot_call_everything_harmless() -> None:
    for wrong in ("trust", "trust_remote_code", "custom_imports", "no_such_option"):
        with pytest.raises(ValueError, match=wrong):

            @harmless_options(wrong)
            def opened(
                *, trust: bool = False, trust_remote_code: bool = False, custom_imports: Any = ()
            ) -> None: ...

    def says_so_itself(*, trust: bool = False) -> None: ...

    says_so_itself.harmless_options = frozenset({"trust"})  # type: ignore[attr-defined]
    with pytest.raises(UntrustedError):
        agreed_options(says_so_itself, DetectorRequest(named("x", trust=True)))
    assert agreed_options(len, DetectorRequest(named("x", depth=3))) == {"depth": 3}


def test_run_and_workers_go_by_the_users_word(tmp_path: Path) -> None:
    images = studies.scenes(tmp_path / "images", 2)
    evil = named("told", trust=True, config="evil.py")
    with pytest.raises(UntrustedError, match=r"'config': 'evil\.py'"):
        studies.run_toy(images, tmp_path / "out", evil)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UntrustedError):
        _ = Worker([evil], 1)._detector
    with pytest.raises(UntrustedError):
        _ = Worker([pickle.loads(pickle.dumps(DetectorRequest(evil)))], 1)._detector
    assert calls == []
    _ = Worker([pickle.loads(pickle.dumps(DetectorRequest(evil, {"size": 2}, trust=True)))], 1)._detector
    assert calls[0]["config"] == "evil.py"
    assert studies.run_toy(images, tmp_path / "out", DetectorRequest(evil, trust=True)).is_complete


def test_to_go_on_with_a_study_asks_again_and_trust_is_no_part_of_it(tmp_path: Path) -> None:
    images = studies.scenes(tmp_path / "images", 2)
    spec = studies.toy_spec(detector={"adapter": "told", "options": {"trust": True}})
    studies.run_toy(images, tmp_path / "out", DetectorRequest(spec.detector, trust=True), spec=spec)
    with pytest.raises(UntrustedError):
        studies.run_toy(images, tmp_path / "out", spec.detector, spec=spec)
    assert studies.run_toy(images, tmp_path / "out", ToyDetector()).is_complete, (
        "it is the same study without"
    )


def test_a_spec_names_no_cluster(tmp_path: Path) -> None:
    images = studies.scenes(tmp_path / "images", 2)
    for address in ("127.0.0.1:9", "evil.example:6379", "module_of_ones_own://x"):
        spec = studies.toy_spec(execution={"engine": "ray", "address": address})
        with pytest.raises(UntrustedError, match=r"give --address \(`execution=`\) yourself"):
            studies.run_toy(images, tmp_path / "out", spec=spec)
        assert not (tmp_path / "out").exists()
        assert agreed_execution(spec.execution, trust=True) is spec.execution
    for mine in (LocalExecution(), RayExecution(engine="ray"), RayExecution(engine="ray", address="auto")):
        assert agreed_execution(mine) is mine
