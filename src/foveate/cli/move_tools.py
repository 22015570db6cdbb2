"""The tools of `foveate move`: lint, physics, view, bench, study.

The one thing to know: each takes the words after its name and the options of the verb, and raises
`BadInput` for whatever the user can mend.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .console import BadInput, Progress, print_json, table
from .move_files import check_view, how, line_of, outputs, read_plan, size_of, write

MOST = 40  # findings on a terminal


def _clip(words: list[str], tool: str) -> tuple[Any, Path]:
    """The one clip that a tool was given."""
    from ..motion import load

    if len(words) != 1:
        raise BadInput(f"{tool} takes one file; {len(words)} were given")
    path = Path(words[0])
    try:
        return load(path), path
    except (ValueError, OSError) as error:
        raise BadInput(line_of(error)) from None


def lint(words: list[str], args: argparse.Namespace) -> int:
    """Print findings; 1 if there are errors."""
    from ..motion import lint as look
    from ..motion import repair
    from ..motion.check import CODES

    if args.codes:
        print(table(["code", "means"], [[code, text] for code, text in CODES.items()]))
        return 0
    if not words:
        raise BadInput("lint needs a file; try foveate move lint clip.bvh")
    if args.repair:
        outputs([args.repair])
        check_view(args.view)
    if Path(words[0]).suffix.lower() == ".json":
        if len(words) != 1:
            raise BadInput(f"lint takes one file; {len(words)} were given")
        thing, name = read_plan(words[0]), Path(words[0]).name
    else:
        thing, path = _clip(words, "lint")
        name = path.name
    findings = look(thing)
    after = None
    if args.repair:
        mended = repair(thing, findings)
        _write_repaired(mended, Path(args.repair), args)
        after = look(mended)
    if args.json:
        print_json(
            {
                "file": name,
                "findings": [f.to_json() for f in findings],
                "repaired": None
                if after is None
                else {"file": args.repair, "findings": [f.to_json() for f in after]},
            }
        )
    else:
        print(_findings(name, findings))
        if after is not None:
            print()
            print(_findings(args.repair, after))
    left = findings if after is None else after
    return int(any(f.severity == "error" for f in left))


def _write_repaired(thing: Any, out: Path, args: argparse.Namespace) -> None:
    from ..motion import KeyframePlan
    from ..motion.clip import write_atomic

    if not isinstance(thing, KeyframePlan):
        write(thing, out, args, size_of(args.size))
    elif out.suffix.lower() != ".json":
        raise BadInput(f'--repair is "{out.name}"; a repaired plan is a .json')
    else:
        write_atomic(out, (json.dumps(thing.to_json(), indent=2) + "\n").encode())


def _findings(name: str, findings: list[Any]) -> str:
    if not findings:
        return f"{name}: nothing found"
    count = {s: sum(f.severity == s for f in findings) for s in ("error", "warn", "info")}
    names = {"error": "error", "warn": "warning", "info": "remark"}
    words = [f"{n} {names[s]}{'s' * (n != 1)}" for s, n in count.items() if n]
    rows = [[f.severity, f.code, f.where, f.message, f.fix] for f in findings[:MOST]]
    head = ["", "code", "where", "what", "repair"]
    more = f"\n… and {len(findings) - MOST} more; --json shows all" if len(findings) > MOST else ""
    return f"{name}: {', '.join(words)}\n{table(head, rows)}{more}"


def physics(words: list[str], args: argparse.Namespace) -> int:
    """Let a simulated body perform a clip."""
    from ..motion import repair, track

    outs, size = outputs(args.out or ["performed.npz"]), size_of(args.size)
    check_view(args.view)
    clip, path = _clip(words, "physics")
    with Progress(2, path.name, quiet=args.json) as progress:
        progress.step("repairing", advance=0)
        clip = repair(clip)
        progress.step("physics")
        try:
            done = track(clip, args.physics)
        except (ValueError, RuntimeError) as error:
            raise BadInput(f"{path.name}: {line_of(error)}") from None
    for out in outs:
        write(done, out, args, size)
    facts = done.report
    if args.json:
        print_json({"files": [str(out) for out in outs], "report": facts.to_json()})
    else:
        print(f"{', '.join(map(str, outs))}: {done.duration:.1f} s, {how(facts, done)}")
    return int(bool(facts.fell))


def view(words: list[str], args: argparse.Namespace) -> int:
    """Write the viewer page of a clip."""
    from ..motion.viewer import write_page

    clip, path = _clip(words, "view")
    (out,) = outputs(args.out or [path.with_suffix(".html").name])[:1]
    if out.suffix.lower() != ".html":
        raise BadInput(f'view writes a page; "{out.name}" does not end in .html')
    plan = None
    if path.suffix.lower() == ".npz":
        from ..motion.exchange.npz import plan_of

        plan = plan_of(path)
    write_page(clip, out, plan=plan)
    if args.json:
        print_json({"file": str(out), "seconds": clip.duration, "frames": len(clip)})
    else:
        print(f"{out}: open it in a browser; it needs no network")
    return 0


def bench(words: list[str], args: argparse.Namespace) -> int:
    """Run the benchmark; results that a folder already has are not made again."""
    from ..motion.clip import write_atomic
    from ..motion.evaluate import Outcome, prompts
    from ..motion.evaluate.bench import HEADER, cells, markdown, one, summary
    from ..motion.render import contact_sheet, png

    try:
        chosen = [p for word in (words or [None]) for p in prompts(word)]
        designer, recorded = _bench_designer(args)
    except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:
        raise BadInput(line_of(error)) from None
    if recorded is not None:
        chosen = [p for p in chosen if p.name in recorded.split(", ")]
        if not chosen:
            raise BadInput(f"none of these sentences is recorded; recorded are {recorded}")
    folder = _folder(args.out)
    done: dict[str, Any] = {}
    setting = {
        "physics": args.physics, "seed": args.seed, "fps": args.fps, "designer": args.designer
    }  # fmt: skip
    results = folder / "results.json" if folder else None
    if results and results.is_file():
        held = json.loads(results.read_text())
        if held.get("setting") == setting:
            done = {o["name"]: Outcome(**o) for o in held["outcomes"]}
    found = []
    with Progress(len(chosen), "bench", quiet=args.json) as progress:
        for prompt in chosen:
            progress.step(prompt.text[:60], advance=0)
            if prompt.name not in done:
                outcome, clip = one(
                    prompt, designer, physics=args.physics, seed=args.seed, fps=args.fps
                )
                done[prompt.name] = outcome
                if folder and clip is not None:
                    sheet = contact_sheet(clip, columns=8, tile=(150, 180))
                    write_atomic(folder / f"{prompt.name}.png", png(sheet))
                if results:
                    held = {"setting": setting, "outcomes": [o.to_json() for o in done.values()]}
                    write_atomic(results, json.dumps(held, indent=1).encode())
            found.append(done[prompt.name])
            progress.step()
    if folder:
        from ..motion.evaluate.gallery import write_gallery

        write_atomic(folder / "table.md", markdown(found).encode())
        write_gallery(found, folder)
    if args.json:
        print_json({"summary": summary(found), "outcomes": [o.to_json() for o in found]})
        return 0
    print(table(HEADER, [cells(row) for row in summary(found)]))
    for o in found:
        if o.status != "done":
            print(f"{o.name}: {o.status}: {o.note}")
        elif not o.shown:
            missed = "; ".join(f"{text} ({said})" for text, ok, said in o.rules if not ok)
            print(f"{o.name}: {missed}")
    return 0


def _bench_designer(args: argparse.Namespace) -> tuple[Any, Any]:
    """Who plans the sentences, and the names of those that are recorded (None: all)."""
    from ..motion.evaluate import models
    from ..motion.evaluate.bench import offline

    if args.designer in ("offline", "auto"):
        if args.record:
            raise ValueError("--record keeps conversations with a model; name one by --designer")
        return offline, None
    kind, _, rest = args.designer.partition(":")
    if kind == "replay":
        names = models.recordings(rest)
        return models.replaying(rest, args.feedback), ", ".join(names)
    if args.record:
        Path(args.record).mkdir(exist_ok=True)
    return models.asking(args.designer, args.record, args.feedback, args.calls), None


def _folder(names: list[str] | None) -> Path | None:
    if not names:
        return None
    folder = Path(names[0])
    if folder.exists() and not folder.is_dir():
        raise BadInput(f'"{folder}" is a file; bench writes a folder')
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise BadInput(f'cannot make folder "{folder}": {error.strerror}') from None
    return folder


def study(words: list[str], args: argparse.Namespace) -> int:
    """A page for comparing two folders of GIFs, or the analysis of what people chose."""
    from ..motion.evaluate.study import analyse, page_of

    if words and all(Path(w).suffix.lower() == ".json" for w in words):
        try:
            answers = [json.loads(Path(w).read_text()) for w in words]
            result = analyse(answers, seed=args.seed)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"cannot read the answers: {line_of(error)}") from None
        if args.json:
            print_json(result)
        else:
            print(table(["system", "preferred", "95 % interval", "strength"], result["rows"]))
            print(f"{result['people']} people, {result['answers']} answers, ", end="")
            print(f"{result['dropped']} people left out who failed the attention checks")
        return 0
    if len(words) != 2:
        raise BadInput("study takes two folders of GIFs with equal names, or answers (.json)")
    (out,) = outputs(args.out or ["study.html"])[:1]
    if out.suffix.lower() != ".html":
        raise BadInput(f'study writes a page; "{out.name}" does not end in .html')
    try:
        count = page_of(Path(words[0]), Path(words[1]), out, seed=args.seed)
    except (ValueError, OSError) as error:
        raise BadInput(line_of(error)) from None
    print(f"{out}: {count} pairs; collect the answers it saves, then foveate move study *.json")
    return 0
