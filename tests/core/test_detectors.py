"""Detectors found by entry point, offered here by packages made of a dist-info folder and a module."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dissect_core.detectors import (
    Detector,
    ImageDetections,
    available_detectors,
    bundled_data,
    bundled_detector,
    check_detector,
    open_detector,
)
from dissect_core.errors import (
    DetectorOptionError,
    DetectorUnavailableError,
    DissectError,
    UnknownDataError,
    UnknownDetectorError,
)
from dissect_core.spec import DetectorSpec, load_spec
from toy_detector import ToyDetector, write_scenes

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put packages on the path: a name, the entry points of its detectors, and modules with their text."""

    def installed(
        name: str, detectors: dict[str, str], group: str = "dissect.detectors", **modules: str
    ) -> Path:
        site = tmp_path / f"site-of-{name}"
        info = site / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = "".join(f"{key} = {value}\n" for key, value in detectors.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}")
        for module, text in modules.items():
            (site / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(str(site))
        return site

    return installed


def test_a_plugin_is_listed_opened_and_conforms(install: Install, tmp_path: Path) -> None:
    install("toy-plugin", {"toy": "toy_detector:open_toy"})
    offered = available_detectors()["toy"]
    assert (offered.name, offered.opener, offered.distribution, offered.problem) == (
        "toy",
        "toy_detector:open_toy",
        "toy-plugin 1.2",
        None,
    )
    detector = open_detector("toy", min_area=30)
    assert isinstance(detector, ToyDetector)
    assert isinstance(detector, Detector)
    assert detector.min_area == 30
    images = [scene.path for scene in write_scenes(tmp_path, 2)]
    assert check_detector(detector, images).ok


def test_names_are_sorted(install: Install) -> None:
    install("several", dict.fromkeys(("zeta", "alpha", "mid"), "toy_detector:open_toy"))
    names = list(available_detectors())
    assert names == sorted(names)
    assert {"zeta", "alpha", "mid"} <= set(names)


def test_a_study_names_its_detector(install: Install) -> None:
    install("toy-plugin", {"toy": "toy_detector:open_toy"})
    ablation = {"name": "a", "target": {"unit": "row", "components": "*"}, "select": {"by": "all"}}
    detector = {"adapter": "toy", "options": {"min_area": 7}}
    spec = load_spec({"name": "s", "detector": detector, "ablations": [ablation]}).detector
    assert spec is not None
    assert open_detector(spec).min_area == 7  # type: ignore[attr-defined]
    assert open_detector(spec, min_area=9).min_area == 9  # type: ignore[attr-defined]
    assert spec.options == {"min_area": 7}


def test_nothing_is_imported_before_it_is_opened(install: Install) -> None:
    install("loud-plugin", {"loud": "loud_module:opened"}, loud_module="raise RuntimeError('imported')\n")
    assert available_detectors()["loud"].problem is None
    assert "loud_module" not in sys.modules


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (
            "import a_library_that_nobody_has\n",
            "ModuleNotFoundError: No module named 'a_library_that_nobody_has'",
        ),
        ("raise RuntimeError('built for another machine')\n", "RuntimeError: built for another machine"),
        ("x = (\n", "SyntaxError: "),
        ("other = 1\n", "AttributeError: .*has no attribute 'opened'"),
        (
            "def opened():\n    import a_library_that_nobody_has\n",
            "ModuleNotFoundError: No module named 'a_lib",
        ),
    ],
)
def test_a_broken_plugin_is_named_with_its_error(
    text: str, seen: str, install: Install, tmp_path: Path
) -> None:
    module = f"module_of_{tmp_path.name}"  # another one for each case: modules are imported once
    install("broken-plugin", {"broken": f"{module}:opened"}, **{module: text})
    message = rf"'broken' of broken-plugin 1\.2 \({module}:opened\) does not work here: {seen}"
    with pytest.raises(DetectorUnavailableError, match=rf"{message}(.|\n)* Install what it needs") as caught:
        open_detector("broken")
    assert caught.value.__cause__ is not None
    assert isinstance(caught.value, DissectError)


def test_a_broken_plugin_keeps_no_other_from_working(install: Install) -> None:
    install("broken-plugin", {"broken": "broken_here:opened"}, broken_here="raise RuntimeError\n")
    install("toy-plugin", {"toy": "toy_detector:open_toy"})
    assert {"broken", "toy"} <= set(available_detectors())
    assert isinstance(open_detector("toy"), ToyDetector)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "a_module_that_is_not_there.deep:opened",
            "'a_module_that_is_not_there' of odd-plugin 1.2 is not there",
        ),
        (
            "not an object reference!",
            "odd-plugin 1.2 offers 'not an object reference!', which is not of the form",
        ),
    ],
)
def test_what_shows_without_an_import_is_said_in_the_list(value: str, message: str, install: Install) -> None:
    install("odd-plugin", {"odd": value})
    problem = available_detectors()["odd"].problem
    assert problem is not None
    assert message in problem
    with pytest.raises(DetectorUnavailableError, match="'odd' cannot be opened: "):
        open_detector("odd")


def test_two_plugins_of_one_name_are_refused(install: Install) -> None:
    install("first-plugin", {"twice": "toy_detector:open_toy"})
    install("second-plugin", {"twice": "toy_detector:ToyDetector"})
    problem = available_detectors()["twice"].problem
    assert problem is not None
    assert problem.startswith("2 packages offer it: ")
    for one in ("first-plugin 1.2 (toy_detector:open_toy)", "second-plugin 1.2 (toy_detector:ToyDetector)"):
        assert one in problem
    with pytest.raises(DetectorUnavailableError, match="Uninstall all but one"):
        open_detector("twice")


def test_a_name_that_is_not_there(install: Install) -> None:
    install("toy-plugin", {"toy-detector": "toy_detector:open_toy"})
    message = r"No detector is called 'toy-detectr'\. Near matches: 'toy-detector'\. Installed are: .*'toy-detector'"
    with pytest.raises(UnknownDetectorError, match=message):
        open_detector("toy-detectr")
    with pytest.raises(LookupError):
        open_detector(DetectorSpec(adapter="toy"))


def test_without_any_plugin_the_error_says_what_brings_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dissect_core.detectors._installed.entry_points", lambda group: ())
    assert available_detectors() == {}
    with pytest.raises(UnknownDetectorError, match="None is installed; the package dissect-mmdet"):
        open_detector("mmdet")


@pytest.mark.parametrize(
    ("signature", "options", "message"),
    [
        (
            "*, size=1",
            {"siez": 2},
            r"has no option 'siez'\. Near matches of 'siez': size\. Its options are: size\.",
        ),
        ("*, file, size=1", {}, r"needs 'file'\. Its options are: file \(needed\), size\."),
        ("*, file", {"a": 1, "b": 2}, r"has no option 'a', 'b' and needs 'file'\."),
        ("", {"a": 1}, r"has no option 'a'\. Its options are: none\."),
        ("file, **more", {"a": 1}, r"needs 'file'\. Its options are: file \(needed\), and any other\."),
    ],
)
def test_wrong_options(
    signature: str, options: dict[str, int], message: str, install: Install, tmp_path: Path
) -> None:
    module = f"module_of_{tmp_path.name}"
    install("choosy-plugin", {"choosy": f"{module}:opened"}, **{module: f"def opened({signature}): ...\n"})
    with pytest.raises(DetectorOptionError, match=rf"The detector 'choosy' {message}"):
        open_detector("choosy", **options)


def test_what_is_opened_must_be_a_detector(install: Install) -> None:
    text = "def opened():\n    return {'class_names': ()}\nnumber = 3\n"
    install("wrong-plugin", {"wrong": "wrong_one:opened", "number": "wrong_one:number"}, wrong_one=text)
    message = r"wrong-plugin 1\.2 \(wrong_one:opened\) gives an object of type dict without 'class_names', 'anatomy'"
    with pytest.raises(DetectorUnavailableError, match=message):
        open_detector("wrong")
    with pytest.raises(DetectorUnavailableError, match="must be a function, it is of type int"):
        open_detector("number")


def test_the_plugins_own_errors_come_through(install: Install) -> None:
    text = "def opened(*, path):\n    raise FileNotFoundError(path)\n"
    install("strict-plugin", {"strict": "strict_one:opened"}, strict_one=text)
    with pytest.raises(FileNotFoundError, match=r"weights\.npz"):
        open_detector("strict", path="weights.npz")


def test_the_second_argument_is_the_first_option(install: Install, tmp_path: Path) -> None:
    install("toy-plugin", {"toy": "toy_detector:open_toy"})
    assert open_detector("toy", 41).min_area == 41  # type: ignore[attr-defined]
    spec = DetectorSpec(adapter="toy", options={"min_area": 7})
    assert open_detector(spec, 9).min_area == 9  # type: ignore[attr-defined]
    with pytest.raises(DetectorOptionError, match=r"its option 'min_area' twice, as second .* `min_area=`"):
        open_detector("toy", 41, min_area=41)
    install("bare-plugin", {"bare": "bare_one:opened"}, bare_one="def opened(): ...\n")
    with pytest.raises(DetectorOptionError, match=r"'bare' has no named option, .* leave it out"):
        open_detector("bare", 1)


BUNDLED = """
from dissect_core.spec import DetectorSpec

def coarse():
    return DetectorSpec(adapter="toy", options={"min_area": 60})

def odd():
    return {"adapter": "toy"}

def lacking():
    import a_library_that_nobody_has

def pictures():
    return ("annotations.json", "images")
"""


def test_a_detector_that_a_package_contains(install: Install, tmp_path: Path) -> None:
    module = f"module_of_{tmp_path.name}"
    functions = {name: f"{module}:{name}" for name in ("coarse", "odd", "lacking")}
    install("toy-plugin", {"toy": "toy_detector:open_toy"})
    install("toy-bundle", functions, group="dissect.bundled", **{module: BUNDLED})
    assert bundled_detector("demo:coarse").options == {"min_area": 60}
    assert open_detector("demo:coarse").min_area == 60  # type: ignore[attr-defined]
    assert open_detector("demo:coarse", min_area=5).min_area == 5  # type: ignore[attr-defined]
    named = DetectorSpec(adapter="demo:coarse", options={"min_area": 1})
    assert open_detector(named).min_area == 60  # type: ignore[attr-defined]  # what a file says comes last
    with pytest.raises(UnknownDetectorError, match=r"'demo:corse'\. Near matches: 'demo:coarse'"):
        open_detector("demo:corse")
    with pytest.raises(
        DetectorUnavailableError, match=r"'demo:odd' must be given as a DetectorSpec, got .* dict"
    ):
        open_detector("demo:odd")
    with pytest.raises(
        DetectorUnavailableError, match=r"detector 'demo:lacking' of toy-bundle 1\.2 .*nobody_has"
    ):
        open_detector("demo:lacking")


def test_data_that_a_package_contains(install: Install, tmp_path: Path) -> None:
    module = f"module_of_{tmp_path.name}"
    functions = {"pictures": f"{module}:pictures", "odd": f"{module}:odd"}
    install("toy-bundle", functions, group="dissect.data", **{module: BUNDLED})
    assert bundled_data("demo:pictures") == (Path("annotations.json"), Path("images"))
    with pytest.raises(UnknownDataError, match=r"called 'demo:picture'\. Near matches: 'demo:pictures'"):
        bundled_data("demo:picture")
    with pytest.raises(DetectorUnavailableError, match=r"'demo:odd' must be given as an annotation file and"):
        bundled_data("demo:odd")


def test_without_any_bundle_the_error_says_what_brings_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dissect_core.detectors._installed.entry_points", lambda group: ())
    with pytest.raises(UnknownDetectorError, match="None is installed; the package dissect-mmdet"):
        open_detector("demo:detr")
    with pytest.raises(UnknownDataError, match="None is installed; the package dissect-mmdet"):
        bundled_data("demo:scenes")


def test_importing_the_protocol_and_the_suite_loads_no_heavy_library() -> None:
    code = "import sys, dissect_core.detectors; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "dissect_core" in loaded.stdout
    unwanted = {
        "torch",
        "mmdet",
        "mmcv",
        "scipy",
        "pyarrow",
        "yaml",
        "matplotlib",
        "ipywidgets",
        "dissect_mmdet",
    }
    assert not unwanted & set(loaded.stdout.split())


def test_detections_begin_with_boxes_scores_labels() -> None:
    assert ImageDetections._fields == ("boxes", "scores", "labels", "queries")
    one = ImageDetections(np.zeros((1, 4)), np.ones(1), np.zeros(1, dtype=np.int64))
    assert one.queries is None
    assert list(one.arrays) == ["boxes", "scores", "labels"]
    assert list(one._replace(queries=np.array([3])).arrays) == list(ImageDetections._fields)
