"""Names that people type: methods and ways of colour. Imports nothing, so that help is quick."""

from __future__ import annotations

METHODS = {
    "auto": "what looks best without being told: lift",
    "lift": "re-exposure, shadows opened locally, hue kept; needs no training",
    "sacc": "a trained concave curve (after SACC)",
    "reenet": "a trained network in linear light (after REENet)",
    "mean": "one gain that brings the mean to 0.45",
    "gamma": "x^(1/2.2)",
    "hyperbola": "1.1 x / (x + 0.1)",
    "equalise": "histogram equalisation",
    "clahe": "contrast-limited adaptive equalisation of lightness",
}
"""Name → what it does."""

CHANNELS = ("luma", "shared", "rgb")
"""How a curve meets colour: on luma with hue kept, one curve for R, G and B, or one for each."""
