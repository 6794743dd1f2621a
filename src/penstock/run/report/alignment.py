"""What was heard when: transcripts laid over the spectrograms of their sounds."""

from __future__ import annotations

from penstock.run.report.findings import Mistake, Piece
from penstock.run.report.markup import Html, Section, element, join, percent, picture, show
from penstock.run.report.records import RunRecord

SHOWN = 12


def alignment(run: RunRecord) -> Section | None:
    """Some sounds with mistakes, the worst first, and some without."""
    items = run.evaluation.mistakes if run.evaluation is not None else []
    heard = [item for item in items if item.alignment is not None]
    if not heard:
        return None
    wrong = [item for item in heard if item.residual]
    right = [item for item in heard if not item.residual]
    kept = wrong[: SHOWN - len(right)] + right
    note = (
        "Each picture is a spectrogram: time runs to the right, low is below, dark is loud. Over it stands what the "
        "model heard, when it heard it; paler is less sure. The worst mistakes come first, then sounds without any."
    )
    body = [element("p", note, class_="note"), *(_heard(item) for item in kept)]
    return Section("alignment", "Heard and written", join(body))


def _heard(item: Mistake) -> Html:
    drawn = picture(item.picture, f"Spectrogram of {show(item.truth)}")
    pieces = element("div", *(_piece(piece) for piece in item.alignment or ()), class_="pieces", aria_hidden="true")
    edits = int(item.residual or 0)
    verdict = f"{edits} wrong character{'s' * (edits != 1)}" if edits else "no mistake"
    lines = [
        element("span", "written ", element("b", show(item.predicted))),
        element("span", "true ", element("b", show(item.truth))),
        element("span", verdict),
        element("small", item.place or ""),
    ]
    shown = [drawn] if drawn is not None else []
    return element(
        "figure", element("div", pieces, *shown, class_="sound"), element("figcaption", *lines), class_="heard"
    )


def _piece(piece: Piece) -> Html:
    middle, sure = (piece.begin + piece.end) / 2, 0.35 + 0.65 * piece.probability
    text = piece.text if piece.text.strip() else "␣"
    place = f"left:{100 * middle:.2f}%;opacity:{sure:.2f}"
    return element("span", text, style=place, title=percent(piece.probability))
