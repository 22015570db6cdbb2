"""Links from verbs the lexicon lacks to its senses, distilled from a WordNet 3.0 database.

The one thing to know: this is run when `synonyms.txt` and `spelled.txt` (words that must not be
taken for misspellings) are made anew, not by users:

    python -m foveate.motion.lang.wordnet /usr/share/wordnet

A verb is linked to the sense of a synonym, or else of a hypernym up to two levels up, within its
first three meanings; meanings of feeling, thinking and the like are passed over.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from .lexicon import senses, vocabulary
from .tokens import repair
from .words import DIRECTIONS, FUNCTION_WORDS, LIGHT_VERBS, SUBJECTS

FILES = {"29", "33", "34", "35", "38"}
"""body, competition, consumption, contact, motion."""
TOO_WIDE = {
    "move",
    "travel",
    "go",
    "come",
    "touch",
    "put",
    "hold",
    "stay",
    "place",
    "set",
    "turn",
    "bring",
    "leave",
    "open",
    "close",
    "pass",
    "present",
    "release",
    "remove",
    "adjust",
    "talk",
    "speak",
    "consider",
    "reflect",
    "call",
    "read",
    "write",
    "plant",
    "serve",
    "act",
    "get",
    "take",
    "grasp",
    "explain",
    "direct",
    "argue",
    "approve",
    "reject",
    "deny",
    "agree",
    "confirm",
    "refuse",
    "see",
    "check",
    "examine",
    "observe",
    "view",
    "feed",
    "cover",
    "protect",
    "attack",
    "strike",
    "deposit",
    "change",
    "lift",
    "raise",
    "lower",
    "hit",
    "cut",
    "press",
    "work",
    "play",
    "hand",
    "offer",
    "deliver",
    "seize",
    "collect",
    "search",
    "inspect",
    "signal",
    "say",
    "advance",
    "proceed",
    "reverse",
    "return",
    "stop",
    "rest",
    "wait",
    "pause",
    "remain",
    "rise",
    "mount",
    "fight",
    "tell",
    "discuss",
    "model",
    "pose",
    "finish",
    "train",
    "exercise",
    "party",
    "seat",
    "clean",
    "rotate",
    "circle",
    "charge",
    "lead",
    "head",
    "fold",
    "spread",
    "give",
    "transfer",
    "shift",
    "trip",
    "trap",
    "count",
    "thank",
    "pocket",
}
"""Words too wide to stand for what lies below them (every motion is a kind of `move`)."""
NOTICE = """\
# {what} Made by `python -m foveate.motion.lang.wordnet`.
#
# {links} distilled from WordNet 3.0. WordNet 3.0 Copyright 2006 by Princeton University. All rights
# reserved. Permission to use, copy, modify and distribute this software and database and its
# documentation for any purpose and without fee or royalty is hereby granted, provided that you
# agree to comply with the following copyright notice and statements, including the disclaimer, and
# that the same appear on ALL copies of the software, database and documentation, including
# modifications that you make for internal use or for distribution. THIS SOFTWARE AND DATABASE IS
# PROVIDED "AS IS" AND PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR WARRANTIES, EXPRESS OR
# IMPLIED. BY WAY OF EXAMPLE, BUT NOT LIMITATION, PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR
# WARRANTIES OF MERCHANTABILITY OR FITNESS FOR ANY PARTICULAR PURPOSE OR THAT THE USE OF THE
# LICENSED SOFTWARE, DATABASE OR DOCUMENTATION WILL NOT INFRINGE ANY THIRD PARTY PATENTS,
# COPYRIGHTS, TRADEMARKS OR OTHER RIGHTS. The name of Princeton University or Princeton may not be
# used in advertising or publicity pertaining to distribution of the software and/or database.
# Title to copyright in this software, database and any associated documentation shall at all times
# remain with Princeton University and LICENSEE agrees to preserve same.
"""


def distill(folder: Path) -> dict[str, list[str]]:
    """Verb → senses, from the files `data.verb` and `index.verb` of a WordNet folder."""
    known = _known()
    synsets: dict[str, tuple[str, list[str], list[str]]] = {}
    for line in (folder / "data.verb").read_text().splitlines():
        if line.startswith("  "):
            continue
        words = line.split("|")[0].split()
        count = int(words[3], 16)
        lemmas = [w.lower() for w in words[4 : 4 + 2 * count : 2]]
        rest = words[5 + 2 * count :]
        above = [rest[i + 1] for i in range(len(rest) - 1) if rest[i] == "@"]
        synsets[words[0]] = (words[1], lemmas, above)
    found: dict[str, list[str]] = {}
    skip = FUNCTION_WORDS | LIGHT_VERBS | SUBJECTS | set(DIRECTIONS)
    for line in (folder / "index.verb").read_text().splitlines():
        if line.startswith("  "):
            continue
        words = line.split()
        verb = words[0]
        if verb in known or verb in skip or not verb.isalpha() or len(verb) < 3:
            continue
        meanings = words[-int(words[2]) :][:3]
        scored = sorted(_paths(meanings, synsets, known))
        names = list(dict.fromkeys(name for _, _, name in scored))[:3]
        if names:
            found[verb] = names
    return found


def _paths(
    meanings: list[str], synsets: dict[str, tuple[str, list[str], list[str]]], known: dict[str, str]
) -> list[tuple[float, int, str]]:
    """(cost, rank, sense) for every sense that the meanings lead to."""
    found = []
    for rank, start in enumerate(meanings):
        if synsets[start][0] not in FILES:
            continue
        level = [start]
        for depth in range(3):
            for offset in level:
                for lemma in synsets[offset][1]:
                    if lemma in known and not (depth and lemma in TOO_WIDE):
                        wide = 1.5 if lemma in TOO_WIDE else 0.0
                        found.append((rank + 1.2 * depth + wide, rank, known[lemma]))
            level = [above for offset in level for above in synsets[offset][2]]
    return found


def _known() -> dict[str, str]:
    """Verb → sense, from the forms of the lexicon that are a single word."""
    known: dict[str, str] = {}
    for sense in senses().values():
        if sense.primitive in ("animal", "mime_wall"):  # named by nouns, "to cat" is another thing
            continue
        for form in sense.forms:
            if " " not in form and form.isalpha():
                known.setdefault(form, sense.name)
    return known


def look_alikes(folder: Path) -> list[str]:
    """English words without a meaning here that spelling repair would turn into one of ours."""
    known = vocabulary()
    near = {part for word in known if len(word) > 3 for part in _shortened(word)}
    words = set()
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"index.{kind}").read_text().splitlines():
            word = line.split(" ", 1)[0]
            stems = (word, *(word.removesuffix(e) for e in ("ing", "ed", "es", "s")))
            # two words one edit apart share what is left when a letter is taken from each
            if word.isalpha() and word not in known and any(near & _shortened(w) for w in stems):
                words.add(word)
    return sorted(word for word in words if repair(word, known) is not None)


def _shortened(word: str) -> set[str]:
    """The word, and the word without each of its letters."""
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _write(name: str, what: str, links: str, lines: list[str]) -> None:
    path = Path(__file__).with_name(name)
    head = NOTICE.replace("{what}", what).replace("{links}", links)
    path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} lines in {name}")


def main(folder: str) -> None:
    """Write `synonyms.txt` and `spelled.txt` beside this file."""
    links = distill(Path(folder))
    lines = [f"{verb}: {' '.join(names)}" for verb, names in sorted(links.items())]
    _write("synonyms.txt", "Verb: senses it may mean, likeliest first.", "Links", lines)
    vocabulary.cache_clear()
    words = textwrap.wrap(" ".join(look_alikes(Path(folder))), 98, break_on_hyphens=False)
    _write("spelled.txt", "Words that only look like misspellings.", "Words", words)


if __name__ == "__main__":
    main(*sys.argv[1:])
