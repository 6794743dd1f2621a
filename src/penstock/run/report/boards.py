"""How a board game was learned: games against others, and what is held of the moves that begin one."""

from __future__ import annotations

from penstock.run.report.acting import frames_and
from penstock.run.report.markup import Column, Html, Section, bar, element, join, number, percent, table
from penstock.run.report.named_curves import COLOURS, named_curves
from penstock.run.report.played import BoardGames, Opened
from penstock.run.report.plots import Line
from penstock.run.report.records import RunRecord
from penstock.run.report.svg import FIRST

CELL = 44
"""Units of a point of the board."""
_CURVES = (
    ("validation", "episode_length", "Length of games", "in moves, on validation"),
    ("train", "policy_loss", "Policy loss", "cross-entropy against what the search looked into"),
    ("train", "value_loss", "Value loss", "squared error against how the game ended"),
    ("train", "entropy", "Entropy", "of the policy, in nats: how much it leaves open"),
)


def games(run: RunRecord) -> Section | None:
    """Points against each opponent over the positions that were played, and those of the test by who began."""
    board = _board(run)
    if board is None:
        return None
    drawn = [_points(run, board), *(_curve(run, *one) for one in _CURVES)]
    found = [plot for plot in drawn if plot is not None]
    columns = [Column("Opponent"), *(Column(name, True) for name in ("Begins", "Won", "Drawn", "Lost", "Moves"))]
    rows = []
    for match in board.matches:
        total = max(match.wins + match.draws + match.losses, 1)
        shares = [bar(part / total, f"{part:,}") for part in (match.wins, match.draws, match.losses)]
        who = "the model" if match.first else _plain(match.opponent)
        rows.append([_plain(match.opponent), who, *shares, number(match.length, 3)])
    note = (
        "Opponents: one that does anything; one that wins or prevents a win where it can with the next move; one that "
        "searches as long as the model, with no network to guide it; and, for small games, perfect play."
    )
    parts = [element("p", note, class_="note"), table("Games of the test", columns, rows)]
    if found:
        parts += [element("h3", "While it learned"), element("div", *found, class_="figures")]
    return Section("games", "Games", join(parts))


def opening(run: RunRecord) -> Section | None:
    """The moves that are best, one after the other, and how the visits of the search are spread there."""
    board = _board(run)
    if board is None or not board.opening:
        return None
    shown = [_opened(at, one) for at, one in enumerate(board.opening)]
    note = (
        "The darker a point, the more the search looked into a stone there; the numbers are the shares of its visits. "
        "Where stones fall, a whole column stands for a move. Full stones are those of the player who began."
    )
    body = [element("p", note, class_="note"), element("div", *shown, class_="figures")]
    return Section("opening", "Opening", join(body))


def _points(run: RunRecord, board: BoardGames) -> Html | None:
    """A game won counts 1, one drawn a half; against the three strongest opponents."""
    lines = {}
    for name, colour in zip(board.opponents[-3:], COLOURS, strict=False):
        x, wins = frames_and(run, "validation", f"wins_{name}")
        _, draws = frames_and(run, "validation", f"draws_{name}")
        if x and len(wins) == len(draws):
            points = [won + drawn / 2 for won, drawn in zip(wins, draws, strict=True)]
            lines[_plain(name)] = Line(x, points, colour)
    note = "a game, on validation, against each opponent: won 1, drawn 1/2"
    return named_curves("board-points", "Points", lines, "positions", note=note)


def _curve(run: RunRecord, split: str, key: str, title: str, note: str) -> Html | None:
    x, y = frames_and(run, split, key)
    lines = {title: Line(x, y, FIRST)} if x else {}
    return named_curves(f"board-{key.replace('_', '-')}", title, lines, "positions", note=note)


def _opened(at: int, one: Opened) -> Html:
    """One board with its shares, and what it is held to be worth."""
    said = ["the empty board", "after the best move", "after the best answer"][min(at, 2)]
    worth = f"value {number(one.expected, 2, zeros=True)}, after the search {number(one.value, 2, zeros=True)}"
    left = (
        [f"{percent(share)} pass"] if len(one.visits) == _size(one) + 1 and (share := one.visits[-1]) >= 0.005 else []
    )
    caption = element("figcaption", element("strong", said), element("small", "; ".join([worth, *left])))
    return element("figure", caption, _picture(one, said))


def _picture(one: Opened, said: str) -> Html:
    height, width = len(one.board), len(one.board[0])
    falling = len(one.visits) == width and height > 1
    parts: list[Html] = []
    for row, line in enumerate(one.board):
        for column, stone in enumerate(line):
            share = one.visits[column if falling else row * width + column]
            x, y = column * CELL, row * CELL
            parts.append(_rect(x, y, share))
            if stone:
                parts.append(_stone(x, y, stone))
            elif share >= 0.005 and not falling:
                parts.append(_text(x, y, f"{100 * share:.0f}"))
    if falling:
        parts += [_text(column * CELL, height * CELL, f"{100 * share:.0f}") for column, share in enumerate(one.visits)]
    deep = (height + falling) * CELL
    best = max(range(len(one.visits)), key=one.visits.__getitem__)
    label = f"Board, {said}; of the visits {percent(one.visits[best])} went to move {best + 1}."
    return element(
        "svg",
        *parts,
        viewBox=f"-1 -1 {width * CELL + 2} {deep + 2}",
        style=f"width:{width * CELL}px;max-width:100%",
        role="img",
        aria_label=label,
    )


def _rect(x: int, y: int, share: float) -> Html:
    return element(
        "rect",
        x=x,
        y=y,
        width=CELL,
        height=CELL,
        fill="var(--first)",
        fill_opacity=f"{0.75 * share**0.5:.2f}",
        stroke="currentColor",
        stroke_opacity="0.3",
    )


def _stone(x: int, y: int, who: int) -> Html:
    fill = "currentColor" if who > 0 else "var(--card)"
    middle = CELL // 2
    return element("circle", cx=x + middle, cy=y + middle, r=17, fill=fill, stroke="currentColor")


def _text(x: int, y: int, words: str) -> Html:
    return element("text", words, x=x + CELL // 2, y=y + 26, font_size=13, fill="currentColor", text_anchor="middle")


def _size(one: Opened) -> int:
    return sum(len(line) for line in one.board)


def _plain(name: str) -> str:
    return name.replace("_", "-")


def _board(run: RunRecord) -> BoardGames | None:
    return run.evaluation.board if run.evaluation is not None else None
