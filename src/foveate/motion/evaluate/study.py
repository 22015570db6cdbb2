"""The user-study kit: a blinded page of pairs, and what the answers say.

The one thing to know: a page shows two clips of one sentence with sides and order drawn at random
for each person, and every tenth pair is an attention check, the same clip against one that stands
still. Answers are saved as a JSON file by the page itself; nothing is sent anywhere. Preference
shares come with bootstrap intervals over people, and strengths are Bradley and Terry's (1952),
which for two systems is the logarithm of the odds.
"""

from __future__ import annotations

import base64
import json
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..clip import write_atomic

CHECK_EVERY = 10
PASS = 0.8  # share of attention checks that a person must get right


def page_of(first: Path, second: Path, out: Path, seed: int = 0) -> int:
    """Write the page.

    Args:
        first: Folder of GIFs of one system; a text file of the same name holds the sentence.
        second: Folder of the other system, with equal file names.
        out: The page.
        seed: Of the order in which pairs are stored.

    Returns:
        Number of pairs.

    Raises:
        ValueError: The folders share no GIF.
    """
    for folder in (first, second):
        if not folder.is_dir():
            raise ValueError(f'"{folder}" is not a folder')
    names = sorted({p.stem for p in first.glob("*.gif")} & {p.stem for p in second.glob("*.gif")})
    if not names:
        raise ValueError(f'no GIF has the same name in "{first}" and "{second}"')
    pairs = []
    for name in names:
        words = first / f"{name}.txt"
        text = words.read_text(encoding="utf-8").strip() if words.is_file() else name
        pairs.append(
            {"name": name, "text": text, "a": _data(first / f"{name}.gif"),
             "b": _data(second / f"{name}.gif"), "check": False}
        )  # fmt: skip
    order = np.random.default_rng(seed).permutation(len(pairs))
    shown = [pairs[i] for i in order]
    for at in range(CHECK_EVERY - 1, len(shown) + CHECK_EVERY, CHECK_EVERY):
        source = shown[min(at, len(shown) - 1)]
        still = {**source, "name": f"check-{at}", "b": _still(first, source["name"]), "check": True}
        shown.insert(min(at, len(shown)), still)
        if at >= len(shown):
            break
    data = {"systems": [first.name, second.name], "pairs": shown}
    text = _PAGE.replace("@TITLE@", escape("Which motion fits the sentence better?"))
    packed = json.dumps(data).replace("<", "\\u003c")
    write_atomic(out, text.replace("@DATA@", packed).encode())
    return len(pairs)


def _data(path: Path) -> str:
    return "data:image/gif;base64," + base64.b64encode(path.read_bytes()).decode()


def _still(folder: Path, name: str) -> str:
    """The first picture of a GIF, which does not move."""
    import io

    from PIL import Image

    with Image.open(folder / f"{name}.gif") as picture:
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "GIF")
    return "data:image/gif;base64," + base64.b64encode(buffer.getvalue()).decode()


def analyse(people: list[dict[str, Any]], seed: int = 0, draws: int = 2000) -> dict[str, Any]:
    """Preferences of people who passed their attention checks.

    Args:
        people: What the page saved, one for each person:
            `{"systems": [a, b], "answers": [{"name", "chosen": "a" | "b", "check"}]}`.
        seed: Of the bootstrap.
        draws: Resamples of people.

    Returns:
        `rows` (system, share, interval, strength) as text, `share` of the first system, `interval`,
        `people`, `answers`, and how many were `dropped`.

    Raises:
        ValueError: The answers belong to different systems, or nobody is left.
    """
    systems = people[0]["systems"] if people else []
    if any(p["systems"] != systems for p in people) or len(systems) != 2:
        raise ValueError("answers belong to different systems; analyse one study at a time")
    kept = [p for p in people if _attentive(p)]
    wins = [[a["chosen"] == "a" for a in p["answers"] if not a["check"]] for p in kept]
    wins = [w for w in wins if w]
    if not wins:
        raise ValueError("nobody is left who answered and passed the attention checks")
    share = float(np.mean(np.concatenate(wins)))
    rng = np.random.default_rng(seed)
    again = [
        np.mean(np.concatenate([wins[i] for i in rng.integers(0, len(wins), len(wins))]))
        for _ in range(draws)
    ]
    low, high = (float(v) for v in np.percentile(again, [2.5, 97.5]))
    count = sum(map(len, wins))
    # half an answer for each side keeps the strength finite when all agree
    odds = float(np.log((share * count + 0.5) / ((1 - share) * count + 0.5)))

    def row(name: str, s: float, a: float, b: float, strength: float) -> list[str]:
        return [name, f"{100 * s:.0f} %", f"{100 * a:.0f} to {100 * b:.0f} %", f"{strength:+.2f}"]

    return {
        "rows": [
            row(systems[0], share, low, high, odds / 2),
            row(systems[1], 1 - share, 1 - high, 1 - low, -odds / 2),
        ],
        "share": share,
        "interval": [low, high],
        "people": len(kept),
        "answers": count,
        "dropped": len(people) - len(kept),
    }


def _attentive(person: dict[str, Any]) -> bool:
    checks = [a["chosen"] == "a" for a in person["answers"] if a["check"]]
    return not checks or float(np.mean(checks)) >= PASS


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>@TITLE@</title>
<style>
body{margin:0 auto;max-width:60rem;padding:2rem 1rem;background:#fbfaf7;color:#23201b;
font:16px/1.5 ui-sans-serif,system-ui,sans-serif;text-align:center}
h1{font:600 1.5rem/1.3 ui-serif,Georgia,serif}
.pair{display:flex;gap:1rem;justify-content:center;flex-wrap:wrap;margin:1rem 0}
button{font:inherit;border:2px solid #e4dfd5;border-radius:10px;background:#fff;padding:.5rem;
cursor:pointer}
button:hover,button:focus-visible{border-color:#0b6e63}
img{display:block;max-width:min(26rem,90vw)}
.soft{color:#6d675d}
</style>
<p class="soft" id="count"></p><h1 id="text"></h1>
<p class="soft" id="ask">Which motion fits the sentence better? Click it (or press 1 or 2).</p>
<div class="pair" id="pair"></div>
<script type="application/json" id="data">@DATA@</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const order = data.pairs.map((_, i) => i);
for (let i = order.length - 1; i > 0; i--) {
  const j = Math.floor(Math.random() * (i + 1));
  [order[i], order[j]] = [order[j], order[i]];
}
const answers = [];
let at = 0;
const pair = document.getElementById("pair");
function next() {
  pair.textContent = "";
  if (at >= order.length) return finish();
  const item = data.pairs[order[at]];
  document.getElementById("count").textContent = `${at + 1} of ${order.length}`;
  document.getElementById("text").textContent = item.text;
  const sides = Math.random() < 0.5 ? ["a", "b"] : ["b", "a"];
  const begun = performance.now();
  for (const side of sides) {
    const button = document.createElement("button");
    const picture = document.createElement("img");
    picture.src = item[side];
    picture.alt = "a motion";
    button.append(picture);
    button.onclick = () => {
      answers.push({ name: item.name, chosen: side, check: item.check, left: sides[0],
                     seconds: Math.round((performance.now() - begun) / 100) / 10 });
      at += 1;
      next();
    };
    pair.append(button);
  }
}
function finish() {
  document.getElementById("count").textContent = "";
  document.getElementById("ask").textContent = "";
  document.getElementById("text").textContent = "Thank you. Please save your answers.";
  const text = JSON.stringify({ systems: data.systems, answers }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `answers-${Date.now()}.json`;
  link.textContent = "Save answers";
  pair.append(link);
}
addEventListener("keydown", (event) => {
  const button = pair.children[Number(event.key) - 1];
  if (button) button.click();
});
next();
</script></html>
"""
