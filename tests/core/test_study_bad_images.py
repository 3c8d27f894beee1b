"""Images at which a detector stops, or that are not the annotated ones: named, or left out and on record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import studies
from awkward import Fussy
from dissect_core import BadImageError
from dissect_core.detectors import ImageDetections
from dissect_core.engine._loading import Files
from dissect_core.errors import ArgumentError
from dissect_core.spec import load_spec
from dissect_core.store import Study
from dissect_eval import GroundTruth
from toy_detector import HEIGHT, WIDTH, ToyDetector

BLACK = (0, 0, 0)
"""First pixel of images that no model here can stand."""


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = studies.scenes(tmp_path / "images", 7)
    for number in (2, 5):
        whole = paths[number].read_bytes()
        start = len(whole) - 3 * HEIGHT * WIDTH
        paths[number].write_bytes(whole[:start] + bytes(BLACK) + whole[start + 3 :])
    return paths


def fussy_torch() -> Any:
    """The same, as a torch model."""
    detector = studies.tiny_torch_detector()
    whole = detector.predict_batch

    def predict_batch(batch: Any) -> list[ImageDetections]:
        if (batch[:, :, 0, 0] == 0).all(1).any():
            raise IndexError("no such luck")
        return whole(batch)  # type: ignore[no-any-return]

    detector.predict_batch = predict_batch
    return detector


TORCH = {
    "name": "torch",
    "reference": {"images": 7},
    "ablations": [
        {
            "name": "channels",
            "target": {"unit": "channel", "components": "backbone.0"},
            "select": {"by": "indices", "indices": [1, 4]},
            "interventions": ["zero", {"space": "activation", "kind": "mean"}],
        }
    ],
}


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_the_image_is_named(images: list[Path], tmp_path: Path, batch_size: int) -> None:
    with pytest.raises(
        BadImageError, match=r"002.ppm: RuntimeError: no such luck. Mend .*on_bad_image"
    ) as error:
        studies.run_toy(images, tmp_path / "out", Fussy(), batch_size=batch_size)
    assert "\n" not in str(error.value)


def test_what_to_do_is_one_of_two(images: list[Path], tmp_path: Path) -> None:
    for wrong in ("ignore", None, True):
        with pytest.raises(
            ArgumentError, match=rf"`on_bad_image` must be one of 'fail', 'skip', got {wrong!r}"
        ):
            studies.run_toy(images, tmp_path / "out", on_bad_image=wrong)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("batch_size", [1, 2, 7])
@pytest.mark.parametrize("kind", ["numpy", "torch", "torch without replay"])
def test_or_left_out_and_on_record(images: list[Path], tmp_path: Path, batch_size: int, kind: str) -> None:
    options: dict[str, Any] = {"batch_size": batch_size, "on_bad_image": "skip"}
    fussy: Any = Fussy()
    plain: Any = ToyDetector()
    if kind != "numpy":
        fussy, plain = fussy_torch(), studies.tiny_torch_detector()
        options |= {"spec": load_spec(TORCH), "replay": kind == "torch"}
    study = studies.run_toy(images, tmp_path / "out", fussy, **options)
    assert study.is_complete
    assert study.bad_images() == [2, 5]
    told = [entry for entry in study.log() if entry["event"] == "bad image"]
    assert [entry["image"] for entry in told] == [2, 5]
    assert all("no such luck" in entry["reason"] for entry in told)
    good = [image for number, image in enumerate(images) if number not in (2, 5)]
    alone = studies.run_toy(good, tmp_path / "good", plain, **{**options, "batch_size": 1})
    for variant in study.variants:
        for one, other in zip(
            study.found(variant).by_image().values(), alone.found(variant).by_image().values(), strict=True
        ):
            for name, array in one.arrays.items():
                np.testing.assert_allclose(array, other.arrays[name], atol=1e-4, err_msg=variant)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_the_first_image_is_no_exception(images: list[Path], tmp_path: Path, kind: str) -> None:
    """Before a study is begun its detector is tried out, on the first image that it can be run on."""
    fussy: Any = Fussy() if kind == "numpy" else fussy_torch()
    spec = studies.toy_spec() if kind == "numpy" else load_spec(TORCH)
    some = [images[2], images[5], images[0]]
    with pytest.raises(BadImageError, match=r"002.ppm: \w+: no such luck"):
        studies.run_toy(some, tmp_path / "strict", fussy, spec=spec)
    study = studies.run_toy(some, tmp_path / "out", fussy, spec=spec, on_bad_image="skip")
    assert study.bad_images() == [0, 1]
    some[0].write_bytes(b"nothing")
    study = studies.run_toy(some, tmp_path / "damaged", fussy, spec=spec, on_bad_image="skip")
    assert study.bad_images() == [0, 1]


def test_reference_images_are_named_too(images: list[Path], tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match=r"002.ppm: IndexError: no such luck"):
        studies.run_toy(images, tmp_path / "out", fussy_torch(), spec=load_spec(TORCH))
    files = Files(images, "skip")
    assert files.usable(Fussy(), [1, 2, 6]) == [1, 6]
    with pytest.raises(BadImageError, match=r"All 2 reference images .*002.ppm"):
        files.usable(Fussy(), [2, 5])


@pytest.mark.parametrize("on_bad_image", ["fail", "skip"])
def test_an_error_of_a_variant_is_no_image_s(images: list[Path], tmp_path: Path, on_bad_image: str) -> None:
    class Fragile(ToyDetector):
        fragile = False

        @contextmanager
        def ablated(self, variant: Any, *, reference: Any = None) -> Iterator[Any]:
            with super().ablated(variant, reference=reference) as report:
                self.fragile = variant.kind != "baseline"
                yield report
                self.fragile = False

        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            if self.fragile:
                self.fragile = False
                raise RuntimeError("broken by it")
            return super().predict_batch(batch)

    with pytest.raises(RuntimeError, match=r"^broken by it$"):
        studies.run_toy(images, tmp_path / "out", Fragile(), on_bad_image=on_bad_image)


class Measured(ToyDetector):
    """Tells the sizes of its images."""

    def image_sizes(self, batch: Any) -> list[tuple[int, int] | None]:
        return [(image.shape[1], image.shape[0]) for image in batch]


def run_annotated(
    images: Sequence[Path], out: Path, sizes: Sequence[tuple[float, float]], **options: Any
) -> Study:
    ids = [10 + number for number in range(len(images))]
    names = [path.name for path in images]
    nothing = [(np.zeros((0, 4)), np.zeros(0, dtype=np.int64))] * len(images)
    truth = GroundTruth.from_arrays(nothing, ids, {1: "red"}, image_sizes=sizes, file_names=names)
    return studies.run_toy(images, out, Measured(), truth=truth, **options)


def test_an_image_of_another_size_than_annotated_is_refused(images: list[Path], tmp_path: Path) -> None:
    sizes = [(WIDTH, HEIGHT)] * 7
    assert run_annotated(images, tmp_path / "fit", sizes).is_complete
    assert run_annotated(images, tmp_path / "unknown", [(np.nan, np.nan)] * 7).is_complete
    sizes[3] = (HEIGHT, WIDTH)
    message = r"003.ppm is read as 96 x 64 pixels, but was annotated as 64 x 96, which are those of the image turned"
    with pytest.raises(BadImageError, match=message):
        run_annotated(images, tmp_path / "turned", sizes)
    sizes[3] = (48, 32)
    with pytest.raises(BadImageError, match=r"annotated as 48 x 32: .*`width` and `height`"):
        run_annotated(images, tmp_path / "smaller", sizes)
    study = run_annotated(images, tmp_path / "skipped", sizes, on_bad_image="skip")
    assert study.bad_images() == [3]
