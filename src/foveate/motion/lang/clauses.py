"""Splitting a text into clauses, each with one action, and how they follow each other.

The one thing to know: a clause starts `then` (after the one before) or `while` (together with it).
`before`, `after` and `until` are turned into one of the two by putting clauses in order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .lexicon import BEFORE_NOUNS, Match, action_words, matches
from .openings import inflected, is_noun, names_action, places_part
from .tokens import Token
from .words import (
    AMOUNT,
    DIRECTIONS,
    LIGHT_VERBS,
    OBJECTS,
    PARTS,
    STYLES,
    SUBJECTS,
    TEMPO,
    TIMES,
)

THEN = {"then", "afterwards", "afterward", "finally", "next", "later", "lastly", "subsequently"}
FIRST = ("before", "after", "while")
WHILE = {"while", "whilst", "simultaneously", "meanwhile", "as"}


@dataclass
class Clause:
    """Words about one action.

    Attributes:
        tokens: The words, connectors removed.
        relation: "then" or "while".
        joined_by: The word that led to it ("", "and", "then", ",", "while", "with", "to", "ing").
    """

    tokens: list[Token]
    relation: str = "then"
    joined_by: str = ""


def split(tokens: Sequence[Token]) -> list[Clause]:
    """The clauses of a text in order of time."""
    parts = _at_connectors(list(tokens))
    parts = _in_order_of_time(parts)
    found: list[Clause] = []
    for part in parts:
        found.extend(_at_further_actions(part))
    return [c for c in found if any(t.text[0].isalnum() for t in c.tokens)]


def _at_connectors(tokens: list[Token]) -> list[Clause]:
    """Cut where a connector stands, or a comma or `and` before an action."""
    done: list[Clause] = []
    now = Clause([])
    i = 0

    def cut(relation: str, word: str) -> None:
        nonlocal now
        if now.tokens:
            done.append(now)
            now = Clause([], relation, word)
        else:
            now.joined_by = f"{now.joined_by} {word}".strip()
            if relation != "then" or word not in (",", "and"):
                now.relation = relation

    while i < len(tokens):
        token = tokens[i]
        word = token.text
        following = tokens[i + 1 :]
        if word in ".;!?:":
            cut("then", ";")
        elif word == "at" and _spells(following, "same time"):
            i += 2
            cut("while", "while")
        elif (word == "after" and _spells(following, "that")) or (
            word == "followed" and _spells(following, "by")
        ):
            i += 1
            cut("then", "then")
        elif word in ("before", "after", "until") and _has_action(following):
            cut("then", word)
        elif word in THEN and not (word == "next" and _spells(following, "to")):
            cut("then", "then")
        elif (word == "as" and _starts_action(following, strict=False)) or (
            word in WHILE and word != "as" and not _is_noun_here(tokens, i)
        ):
            cut("while", "while")
        elif word in ("he", "she", "they") and now.joined_by in FIRST and _has_action(now.tokens):
            cut("then", ",")  # "before he leaves he turns off the light"
        elif word in (",", "and", "but", "or"):
            if word == "," and following and following[0].text in ("and", "then", "but"):
                pass  # the next connector decides
            elif _starts_action(following) or _is_ellipsis(following) or names_action(following):
                cut("then", word)
            elif word == "and" and places_part(following):
                cut("while", word)
            elif word == ",":
                pass
            else:
                now.tokens.append(token)
                token.used = True
        else:
            now.tokens.append(token)
            i += 1
            continue
        token.used = True
        i += 1
    if now.tokens:
        done.append(now)
    return done


def _in_order_of_time(parts: list[Clause]) -> list[Clause]:
    """`A before B` is A, B; `before B, A` and `A after B` change places."""
    found: list[Clause] = []
    i = 0
    while i < len(parts):
        part = parts[i]
        kind = part.joined_by.split(" ")[-1] if part.joined_by else ""
        if kind == "after" and found:
            part.relation = "then"
            found.insert(len(found) - 1, part)
        elif kind == "before" and not found and i + 1 < len(parts):
            parts[i + 1].relation = part.relation = "then"
            found.append(parts[i + 1])
            while i + 2 < len(parts) and parts[i + 2].joined_by == "and":  # all of it comes before
                found.append(parts[i + 2])
                i += 1
            found.append(part)
            i += 1
        elif kind == "while" and not found and i + 1 < len(parts):
            # "while walking, he waves": the first is the carrier, the second joins it
            part.relation, parts[i + 1].relation = "then", "while"
            found.extend((part, parts[i + 1]))
            i += 1
        else:
            found.append(part)
        i += 1
    return found


def _at_further_actions(clause: Clause) -> list[Clause]:
    """Cut a clause that speaks of more than one action without a connector between them."""
    chosen: list[tuple[int, set[int]]] = []
    for match in _verbs_first(clause.tokens):
        covered = set(match.positions)
        if any(covered & taken or min(taken) < match.head < max(taken) for _, taken in chosen):
            continue
        if not chosen or _is_second_action(clause.tokens, match.head, match.score):
            chosen.append((match.head, covered))
    heads = sorted(head for head, _ in chosen)
    if len(heads) < 2:
        return [clause]
    found = []
    starts = [0, *(_start_of(clause.tokens, head) for head in heads[1:]), len(clause.tokens)]
    for n in range(len(heads)):
        tokens = clause.tokens[starts[n] : starts[n + 1]]
        if n == 0:
            found.append(Clause(tokens, clause.relation, clause.joined_by))
            continue
        word = clause.tokens[starts[n]].text
        relation = "then" if word == "to" else "while"
        found.append(Clause(tokens, relation, word if word in ("with", "to") else "ing"))
    return found


def _verbs_first(tokens: Sequence[Token]) -> list[Match]:
    """Matches, those that begin with a part (`head down`) after those that begin with a verb."""
    found = matches(tokens)
    first = min((m.head for m in found if tokens[m.head].form != "ing"), default=len(tokens))

    def later(match: Match) -> tuple[bool, bool]:
        token = tokens[match.head]
        part = any(x in PARTS for x in token.lemmas)
        return part, token.form == "ing" and match.head > first

    return sorted(found, key=later)


def _start_of(tokens: Sequence[Token], head: int) -> int:
    """Where the words of a further action begin: at its `with` or `to`, if it has one."""
    for i in range(head - 1, max(-1, head - 4), -1):
        if tokens[i].text in ("with", "to"):
            return i
    return head


def _is_second_action(tokens: Sequence[Token], head: int, score: float) -> bool:
    token = tokens[head]
    before = [t.text for t in tokens[max(0, head - 3) : head]]
    is_part = any(lemma in PARTS for lemma in token.lemmas)
    if is_part:
        return "with" in before and score > 2
    if "with" in before[-2:]:
        return True
    if token.form == "ing":
        return not any(LIGHT_VERBS & set(t.lemmas) for t in tokens[max(0, head - 1) : head])
    return before[-1:] == ["to"]


def _has_action(tokens: Sequence[Token]) -> bool:
    """Whether an action comes before the next full stop."""
    for token in tokens:
        if token.text in ".;":
            return False
        if any(lemma in action_words() for lemma in token.lemmas):
            return True
    return False


def _starts_action(tokens: Sequence[Token], strict: bool = True) -> bool:
    """Whether these words open with an action: a verb, perhaps after a subject or adverbs."""
    for i, token in enumerate(tokens[:5]):
        words = {token.text, *token.lemmas}
        if words & SUBJECTS and i < 2:
            continue
        verbal = any(
            (lemma in action_words() or lemma in LIGHT_VERBS) and lemma not in DIRECTIONS
            for lemma in token.lemmas
        )
        thing = any(lemma in PARTS or lemma in OBJECTS for lemma in token.lemmas)
        if verbal and i == 0 and thing and inflected(token):
            return True  # ", drinks and goes"
        if verbal and not (thing and is_noun(tokens, i)):
            return not thing or not strict or token.text not in PARTS
        if token.text in TEMPO or token.text in STYLES or token.text in TIMES:
            continue
        if token.text in ("quickly", "immediately", "also", "the", "a", "is", "are", "to", "then"):
            if token.text in ("the", "a") and not (
                i + 1 < len(tokens) and tokens[i + 1].text in SUBJECTS
            ):
                return False
            continue
        return token.text.endswith("ly") and i < 2 and _starts_action(tokens[i + 1 :])
    return False


def _is_ellipsis(tokens: Sequence[Token]) -> bool:
    """`…, then the left`, `and back down`, `and again`: an action that is not named again."""
    words = [t.text for t in tokens[:3]]
    if words[:1] in (["again"], ["repeat"], ["repeats"], ["vice"]):
        return True
    return bool(words[:1] == ["back"] and words[1:2] and words[1] in ("up", "down", "again", "to"))


def _is_noun_here(tokens: Sequence[Token], i: int) -> bool:
    """`for a while` is a time, not a connector."""
    return i > 0 and tokens[i - 1].text in BEFORE_NOUNS


def _spells(tokens: Sequence[Token], words: str) -> bool:
    wanted = words.split()
    return [t.text for t in tokens[: len(wanted)] if t.text != "the"] == wanted or [
        t.text for t in tokens[: len(wanted) + 1] if t.text != "the"
    ] == wanted


MANNER_WORDS = frozenset(TEMPO) | frozenset(AMOUNT) | frozenset(STYLES)
