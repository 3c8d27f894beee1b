"""The shapes of the demo scenes: which points of the plane each of them covers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
Inside = Callable[[Plane, Plane], NDArray[np.bool_]]

STAR_POINTS = 5
STAR_INNER_RADIUS = 0.45
SUPERSAMPLING = 3


def _circle(u: Plane, v: Plane) -> NDArray[np.bool_]:
    return u * u + v * v <= 1.0


def _ring(u: Plane, v: Plane) -> NDArray[np.bool_]:
    squared = u * u + v * v
    return (squared <= 1.0) & (squared >= 0.55**2)


def _square(u: Plane, v: Plane) -> NDArray[np.bool_]:
    return np.maximum(np.abs(u), np.abs(v)) <= 0.82


def _triangle(u: Plane, v: Plane) -> NDArray[np.bool_]:
    # Apex up at (0, -1), base at v = 0.8.
    return (v <= 0.8) & (v >= -1.0 + 2.0 * np.abs(u))


def _cross(u: Plane, v: Plane) -> NDArray[np.bool_]:
    across, along = np.abs(u), np.abs(v)
    return ((across <= 0.3) & (along <= 1.0)) | ((along <= 0.3) & (across <= 1.0))


def _star(u: Plane, v: Plane) -> NDArray[np.bool_]:
    # The edge of a star is a straight line between a tip (radius 1) and a notch (the inner radius); its
    # radius at an angle follows from the polar equation of that line.
    step = np.pi / STAR_POINTS
    angle = np.abs((np.arctan2(u, -v) + step) % (2 * step) - step)
    edge = STAR_INNER_RADIUS * np.sin(step) / (STAR_INNER_RADIUS * np.sin(step - angle) + np.sin(angle))
    return np.asarray(np.hypot(u, v) <= edge)


# name, COCO category id (with gaps, as in COCO), largest rotation in degrees, test for "is inside"
SHAPES: tuple[tuple[str, int, float, Inside], ...] = (
    ("circle", 1, 180.0, _circle),
    ("square", 2, 25.0, _square),
    ("triangle", 4, 180.0, _triangle),
    ("star", 7, 180.0, _star),
    ("ring", 8, 180.0, _ring),
    ("cross", 13, 25.0, _cross),
)


def coverage(
    inside: Inside,
    centre: tuple[float, float],
    half_size: tuple[float, float],
    angle: float,
    width: int,
    height: int,
) -> tuple[NDArray[np.float64], int, int]:
    """Return the share of each pixel that a shape covers, within the shape's own window of the canvas.

    Parameters
    ----------
    inside : callable
        Test of points in the shape's frame, where it fills about [-1, 1] × [-1, 1].
    centre, half_size : tuple of float
        Position and half extents before rotation, in pixels.
    angle : float
        Rotation in radians.
    width, height : int
        Canvas size in pixels; the window is clipped to it.

    Returns
    -------
    alpha : ndarray of float64, shape (h, w)
        Coverage in [0, 1], from 3 × 3 samples a pixel.
    x, y : int
        Canvas column and row of the window's first pixel.

    Examples
    --------
    >>> alpha, x, y = coverage(SHAPES[0][3], (8.0, 8.0), (4.0, 4.0), 0.0, 16, 16)
    >>> alpha.shape, (x, y), bool(abs(alpha.sum() - 16 * np.pi) < 1)
    ((15, 15), (1, 1), True)
    """
    reach = int(np.ceil(np.hypot(*half_size))) + 1
    x0, x1 = max(int(centre[0]) - reach, 0), min(int(centre[0]) + reach + 2, width)
    y0, y1 = max(int(centre[1]) - reach, 0), min(int(centre[1]) + reach + 2, height)
    if x1 <= x0 or y1 <= y0:
        return np.zeros((0, 0)), x0, y0
    offsets = (np.arange(SUPERSAMPLING) + 0.5) / SUPERSAMPLING
    xs = (np.arange(x0, x1)[:, None] + offsets).ravel() - centre[0]
    ys = (np.arange(y0, y1)[:, None] + offsets).ravel() - centre[1]
    cos, sin = np.cos(angle), np.sin(angle)
    u = (cos * xs[None, :] + sin * ys[:, None]) / half_size[0]
    v = (-sin * xs[None, :] + cos * ys[:, None]) / half_size[1]
    fine = inside(u, v).reshape(y1 - y0, SUPERSAMPLING, x1 - x0, SUPERSAMPLING)
    return fine.mean(axis=(1, 3)), x0, y0
