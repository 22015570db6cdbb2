"""Profile: the selection of every layer and head of one model, as a small readable JSON file.

    profile = Profile.load("smollm2-135m-sparge")        # ships with foveate; or a path
    foveate.accelerate(model, profile=profile)

The one thing to know: a profile belongs to the model it was made for. `check` compares class,
sizes and a hash of weights, and refuses any other model in one line.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from foveate.attn.select import SELECTIONS, Selection

from .candidates import KNOBS
from .fingerprint import differences

FORMAT, VERSION = "foveate profile", 1
_FOLDER = "profiles"
_ALWAYS = ("block", "stride")  # said even where they are the defaults, which may change


class ProfileError(ValueError):
    """A profile that cannot be read, is incomplete, or belongs to another model."""


@dataclass(frozen=True)
class Profile:
    """Tuned selections.

    Args:
        select: Name of the selection, "sparge" or "xattention".
        options: Its fields that all heads share.
        layers: For each tuned layer its knobs, one value for each query head. Layers that the model
            narrows with a window of its own are not among them.
        model: What `fingerprint` says of the model.
        notes: How it was made and what it reached: command, target, lengths, text, densities,
            errors, date, versions. Not needed to use it.
    """

    select: str
    options: dict[str, Any]
    layers: dict[int, dict[str, tuple[float, ...]]]
    model: dict[str, Any]
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.select not in KNOBS or self.select not in SELECTIONS:
            raise ProfileError(
                f'select is "{self.select}"; expected one of '
                f"{', '.join(n for n in KNOBS if n in SELECTIONS)}"
            )
        heads, layers = self.model.get("heads"), self.model.get("layers")
        if not isinstance(heads, int) or not isinstance(layers, int):
            raise ProfileError("model does not say how many layers and heads it has")
        if not self.layers:
            raise ProfileError("layers is empty; expected the knobs of at least one layer")
        for layer, knobs in self.layers.items():
            if not 0 <= layer < layers:
                raise ProfileError(f"layer {layer} does not exist; the model has {layers}")
            if ("threshold" in knobs) == ("share" in knobs) or not set(knobs) <= set(
                KNOBS[self.select]
            ):
                raise ProfileError(
                    f"layer {layer} has {', '.join(knobs) or 'nothing'}; expected threshold or "
                    f"share, and nothing but {', '.join(KNOBS[self.select])}"
                )
            for name, values in knobs.items():
                if len(values) != heads:
                    raise ProfileError(
                        f"layer {layer} has {name} for {len(values)} heads; expected {heads}"
                    )
        object.__setattr__(self, "_selections", self._build())

    @classmethod
    def of(
        cls, chosen: dict[int, Selection], model: dict[str, Any], notes: dict[str, Any]
    ) -> Profile:
        """A profile of selections that differ in their knobs alone.

        Args:
            chosen: The selection of each tuned layer, with one value of each knob per head.
            model: What `fingerprint` says of the model.
            notes: See `Profile`.
        """
        base = next(iter(chosen.values()))
        knobs = KNOBS[base.name]
        plain = type(base)(threshold=1.0)  # a threshold alone, as the file gives one
        options = {
            f.name: value
            for f in fields(base)
            if f.name not in knobs
            and ((value := getattr(base, f.name)) != getattr(plain, f.name) or f.name in _ALWAYS)
        }
        layers = {
            layer: {name: getattr(one, name) for name in knobs if getattr(one, name) is not None}
            for layer, one in chosen.items()
        }
        return cls(base.name, options, layers, model, notes)

    @property
    def selections(self) -> tuple[Selection | None, ...]:
        """The selection of each layer; None for layers that stay as they are."""
        return self._selections  # type: ignore[attr-defined]

    def check(self, model: Any) -> None:
        """Make sure that this profile was made for a model.

        Raises:
            ProfileError: It was made for another one.
        """
        wrong = differences(self.model, model)
        if wrong:
            raise ProfileError(
                f"this profile was made for another model: {'; '.join(wrong)}. "
                "Make one with `foveate tune`"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, all or nothing."""
        path = Path(path)
        temporary = path.with_name(f".{path.name}-{os.getpid()}")
        try:
            temporary.write_text(self.text(), encoding="utf-8")
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def text(self) -> str:
        """The file's content: JSON, one line for each knob of a layer."""
        head = {
            "format": FORMAT,
            "version": VERSION,
            "select": self.select,
            "options": {k: list(v) if isinstance(v, tuple) else v for k, v in self.options.items()},
            "model": self.model,
            **self.notes,
        }
        lines = json.dumps(head, indent=2, ensure_ascii=False)[:-2]
        layers = ",\n".join(
            f'    "{layer}": {{\n'
            + ",\n".join(f'      "{name}": {json.dumps(v)}' for name, v in knobs.items())
            + "\n    }"
            for layer, knobs in sorted(self.layers.items())
        )
        return f'{lines},\n  "layers": {{\n{layers}\n  }}\n}}\n'

    @classmethod
    def load(cls, source: str | os.PathLike[str]) -> Profile:
        """Read a profile.

        Args:
            source: A path, or the name of a profile that ships with foveate.

        Raises:
            ProfileError: There is none, or it is not complete; the message says what is wrong.
        """
        name = os.fspath(source)
        try:
            return cls.read(_content(name))
        except ProfileError as error:
            raise ProfileError(f'profile "{name}": {error}') from None

    @classmethod
    def read(cls, text: str) -> Profile:
        """Make a profile of the content of a file."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ProfileError(f"this is not JSON ({error})") from None
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise ProfileError(f'this is no profile; expected "format": "{FORMAT}"')
        if (version := data.pop("version", None)) != VERSION:
            raise ProfileError(f"its version is {version}; this foveate reads version {VERSION}")
        missing = [k for k in ("select", "options", "model", "layers") if k not in data]
        if missing:
            raise ProfileError(f"{', '.join(missing)} is missing")
        try:
            options = {
                k: tuple(v) if isinstance(v, list) else v for k, v in data.pop("options").items()
            }
            layers = {
                int(number): {name: tuple(map(float, values)) for name, values in knobs.items()}
                for number, knobs in data.pop("layers").items()
            }
        except (AttributeError, TypeError, ValueError) as error:
            raise ProfileError(f"options or layers cannot be read ({error})") from None
        return cls(data.pop("select"), options, layers, data.pop("model"), data)

    def _build(self) -> tuple[Selection | None, ...]:
        kind = SELECTIONS[self.select]
        known = {f.name for f in fields(kind)}
        unknown = set(self.options) - known
        if unknown:
            raise ProfileError(f'"{self.select}" has no option {", ".join(sorted(unknown))}')
        found: list[Selection | None] = []
        for number in range(self.model["layers"]):
            knobs = self.layers.get(number)
            try:
                found.append(kind(**self.options, **knobs) if knobs is not None else None)
            except (TypeError, ValueError) as error:
                raise ProfileError(f"layer {number}: {error}") from None
        return tuple(found)


def shipped() -> list[str]:
    """Names of the profiles that come with foveate."""
    folder = resources.files("foveate.data").joinpath(_FOLDER)
    if not folder.is_dir():
        return []
    return sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".json"))


def _content(name: str) -> str:
    if name in shipped():
        file = resources.files("foveate.data").joinpath(_FOLDER, f"{name}.json")
        return file.read_text(encoding="utf-8")
    try:
        return Path(name).expanduser().read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ProfileError(
            f"no such file; profiles that ship with foveate are {', '.join(shipped()) or 'none'}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"it cannot be read ({error})") from None
