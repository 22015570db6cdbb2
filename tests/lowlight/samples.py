"""A small scene to be taken in the dark, made of shapes: what tests need without any photograph."""

from __future__ import annotations

import cv2
import numpy as np


def scene(height: int = 200, width: int = 300) -> np.ndarray:
    """Smooth colours, a disc, a bar and a white spot, float32 `[H, W, 3]` code values in [0, 1]."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.stack([0.2 + 0.6 * x / width, 0.3 + 0.4 * y / height, 0.6 - 0.4 * x / width], -1)
    cv2.circle(picture, (width // 3, height // 2), height // 5, (0.9, 0.5, 0.2), -1)
    cv2.rectangle(picture, (width // 2, 0), (width // 2 + 12, height), (0.05, 0.05, 0.08), -1)
    cv2.circle(picture, (width * 3 // 4, height // 3), height // 12, (0.97, 0.97, 0.95), -1)
    return picture


def dark(picture: np.ndarray, ratio: float = 20, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """The same scene with `ratio` times less light, uint8; `noise` in linear light, of white 1."""
    light = picture.astype(np.float64) ** 2.2 / ratio
    light += np.random.default_rng(seed).normal(0, 1, light.shape) * noise
    return np.rint(np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Of two pictures in [0, 1], in dB."""
    return float(-10 * np.log10(np.mean(np.square(a.astype(np.float64) - b))))
