"""Two detectors on the same images: which images got worse, and by what."""

from ._images import (
    ImageChange as ImageChange,
    ImageChanges as ImageChanges,
    compare_images as compare_images,
)
