"""The page of the documentation that shows the two-party table.

python -m tests.two_parties.page        writes docs/explanation/two-parties.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.two_parties.table import AFTERWARDS, OVERLAPPING, RELATIVES
from tests.two_parties.words import ACTS, BOTH, Act, Cell, Start, When

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "two-parties.md"

_INTRODUCTION: Final = """\
# Two parties to one session

<!-- Made from tests/two_parties: `make two-parties` writes this page, and nobody else does. -->

Two tabs, a double click, a script beside a page, an administrator: two parties act on one session
at once. This page says for each pair what stands in the end, and which cookie the responses carry.
Each line of its tables is a test, on every built-in store; the page is made from these tests. *Why*
it is so stands in [Concurrency](concurrency.md).

**A** is the party that commits first. **B** has loaded the same session before that, and commits
after it. Where it matters, a second table says what happens if B begins only when A is through.

In short:

- Changes of different keys are both kept. Of one key the later change stands.
- Whatever ends a session ends it for all. What comes later is dropped, and brings nothing back.
- A sign-in or a new ID puts an end to what is in flight under the old ID. Only another sign-in of
  the same user joins it, and only what ends the session follows it.
- A sign-in never fails because somebody else was faster. At worst it is a session of its own.
- `clear()` also drops what others were about to save.
- A response whose request lost carries no cookie, so it cannot undo what won.

## The words

Both have loaded a session in which something was stored. It is Ann's or anonymous; where a line
does not say which, it holds for both.

"""
_MORE_WORDS: Final = """\
- **told: `gone`** and the like: B's response goes out as if nothing had happened, and the event
  `ChangesDropped` with this `reason` names what was dropped. Had B called `save()`, that would have
  raised `SessionEnded`. Only B is ever told: all that A did was saved, whatever became of it then.
- **new ID**, **deletion**: the response carries a session cookie, or one that deletes it. Where
  both responses carry one, the browser keeps what arrives last.

With `max_sessions_per_user=1` the same comes of parties that overlap, but where B would join A's
session: with `evict="oldest"` B's sign-in takes its place, with all that it holds.

A request that begins when A is through, and with the cookie that A's response carried, is no party
to any of this: it sees what stands.
"""
_HEADER: Final = "|---|---|---|"
_COOKIES: Final = {
    "none": "carries no cookie",
    "new ID": "carries a new ID",
    "deletion": "carries the deletion",
}
_AFTER: Final = {
    (When.SOON,): "less than 5 s after A, with the old ID",
    (When.LATER,): "5 s after A or later, with the old ID",
    (When.SOON, When.LATER): "after A, with the old ID",
}


def page() -> str:
    """Return the page as Markdown."""
    words = [f"- **{act.does}**: {act.means}.\n" for act in ACTS]
    return "".join([_INTRODUCTION, *words, _MORE_WORDS, *_sections(), *_relatives()])


def _sections() -> Iterator[str]:
    """Yield a section for each row, and one for rows that say the same."""
    alike: dict[str, list[Act]] = {}
    for act in ACTS:
        alike.setdefault(_tables(act), []).append(act)
    for tables, acts in alike.items():
        title = _either([_subject("A", act) for act in acts])
        yield f"\n## {title[0].upper()}{title[1:]}\n\n"
        answering = [act for act in acts if act.request is not None]
        for cookie in dict.fromkeys(cell.cookies[0] for cell in _cells(OVERLAPPING, answering)):
            yield f"A's response {_COOKIES[cookie.value]}.\n\n"
        yield tables


def _tables(first: Act) -> str:
    parts = [_table(_cells(OVERLAPPING, [first]))]
    for whens, begins in _AFTER.items():
        cells = [cell for cell in _cells(AFTERWARDS, [first]) if cell.whens == whens]
        if cells:
            parts.append(f"\nIf B begins {begins}:\n\n{_table(cells)}")
    return "".join(parts)


def _cells(table: Iterable[Cell], firsts: Iterable[Act]) -> list[Cell]:
    acts = list(firsts)
    cells = [cell for cell in table if cell.first in acts]
    return sorted(cells, key=lambda cell: ACTS.index(cell.second))


def _table(cells: Iterable[Cell]) -> str:
    rows = [
        f"| {cell.second.does}{_whose(cell)} | {_outcome(cell)} | {cell.cookies[1].value} |"
        for cell in cells
    ]
    return "\n".join(["| B | what comes of it | B's cookie |", _HEADER, *rows, ""])


def _relatives() -> Iterator[str]:
    yield "\n## Close relatives\n\n| A, then B | what comes of it | cookies |\n"
    yield f"{_HEADER}\n"
    for cell in RELATIVES:
        parties = f"{_subject('A', cell.first)}, {_subject('B', cell.second)}{_whose(cell)}"
        cookies = [cookie.value for cookie in cell.cookies if cookie.value != "no response"]
        yield f"| {parties} | {_outcome(cell)} | {', '.join(cookies)} |\n"


def _subject(party: str, act: Act) -> str:
    return act.does if act.request is None else f"{party} {act.does}"


def _whose(cell: Cell) -> str:
    if cell.starts == BOTH:
        return ""
    return " (anonymous)" if cell.starts == (Start.ANONYMOUS,) else " (Ann's)"


def _outcome(cell: Cell) -> str:
    told = [f"Told: `{cell.outcome.told.reason}`."] if cell.outcome.told is not None else []
    overwritten = ["Told: `KeyOverwritten`."] if cell.outcome.overwritten is not None else []
    return " ".join([cell.outcome.words, *told, *overwritten])


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])}, or {names[-1]}"


def main(path: Path = PAGE) -> None:
    """Write the page."""
    path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
