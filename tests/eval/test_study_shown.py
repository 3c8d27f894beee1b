"""Images of a study are shown from below its folder, or from one that the user names; nothing else is."""

import os
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image

from dissect_eval.errors import StudyDataError
from dissect_eval.study import Pictures, pictures_of, read_pixels


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for place in ("secret.png", "study/images/a.png", "study/images/sub/b.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), (9, 8, 7)).save(tmp_path / place)
    return tmp_path


def study(home: Path, folder: object) -> Any:
    return SimpleNamespace(path=home / "study", environment={"incidental": {"image_folder": folder}})


@pytest.mark.parametrize(
    "folder", ["..", ".", "", "/", "images/../..", "~", "link", "images/a.png", "\0", "none", 3, None]
)
def test_no_image_is_shown_of_a_folder_that_only_the_study_names(home: Path, folder: object) -> None:
    (home / "study" / "link").symlink_to("..")
    found = pictures_of(study(home, folder))
    for name in (
        "secret.png",
        "../secret.png",
        str(home / "secret.png"),
        "link/secret.png",
        "../../secret.png",
    ):
        with pytest.raises(
            StudyDataError, match=r"^(no folder of images was|its name leads|it is a link|there is no)"
        ):
            found.read(name)


def test_images_below_the_folder_are_shown(home: Path) -> None:
    for folder in ("images", str(home / "study" / "images"), "images/sub/.."):
        found = pictures_of(study(home, folder))
        assert found.read("a.png").shape == (3, 4, 3)
        assert found.read("sub/b.png").tolist()[0][0] == [9, 8, 7]
    (home / "study" / "images" / "out.png").symlink_to(home / "secret.png")
    (home / "study" / "images" / "in.png").symlink_to("a.png")
    assert found.read("in.png").shape == (3, 4, 3)
    with pytest.raises(StudyDataError, match="it is a link that leads out of the study's folder"):
        found.read("out.png")
    (home / "other").symlink_to("study")  # the folder itself may be reached by a link
    assert (
        pictures_of(SimpleNamespace(**{**vars(study(home, "images")), "path": home / "other"}))
        .read("a.png")
        .any()
    )  # type: ignore[arg-type]


def test_names_lead_out_of_no_folder_that_the_user_names(home: Path) -> None:
    mine = home / "mine"
    mine.mkdir()
    (mine / "linked.png").symlink_to(home / "secret.png")
    found = pictures_of(study(home, ".."), mine)
    assert found == Pictures(mine)
    assert found.read("linked.png").shape == (3, 4, 3), "links in a folder of his own are the user's"
    for name in ("../secret.png", str(home / "secret.png"), "sub/../../secret.png"):
        with pytest.raises(StudyDataError, match="its name leads out of the folder of images"):
            found.read(name)


@pytest.mark.timeout(20)
def test_what_is_no_image_is_told_in_a_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = home / "study" / "images"
    (images / "text.png").write_text("root:x:0:0")
    (images / "program.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) print\n")
    (images / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    os.mkfifo(images / "pipe.png")
    whole = (images / "a.png").read_bytes()
    (images / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(images / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("another program was started"))
    found = pictures_of(study(home, "images"))
    for name, why in {
        "text.png": "it is damaged, or no image",
        "program.eps": "it is damaged, or no image",
        "drawing.svg": "it is damaged, or no image",
        "cut.png": "it is damaged, or no image",
        "pipe.png": "it is a FIFO, not a regular file",
        "": "it is a folder, not a regular file",
        "large.png": "it has more than 2,000 pixels, the most that are decoded",
    }.items():
        with pytest.raises(StudyDataError, match=f"^{why}$"):
            found.read(name)
        assert read_pixels(images / name) is None


def test_damaged_images_never_raise_anything_else(home: Path) -> None:
    path = home / "damaged.png"
    whole = (home / "secret.png").read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), 3):
            content[place] = rng.integers(256)
        path.write_bytes(bytes(content))
        read_pixels(path)
    path.write_bytes(whole[:33] + b"\0\0\0\4IDAT" + zlib.compress(b"")[:4] + b"\0\0\0\0")
    read_pixels(path)
