"""The named sets of text, sound and series."""

from __future__ import annotations

from penstock.data.download import RemoteFile, kept_as_it_is
from penstock.data.named_set import NamedSet
from penstock.data.spoken import FOLDER

SEQUENCES: dict[str, NamedSet] = {
    "tones": NamedSet(
        name="tones",
        task="classify",
        kind="audio",
        summary="generated vowels in the four tones of Mandarin, many voices",
        rows=1_200,
        licence="generated",
        home="Penstock itself",
        target="tone",
    ),
    "morse": NamedSet(
        name="morse",
        task="transcribe",
        kind="audio",
        summary="generated messages in Morse code by uneven hands, in noise of 10 dB less than the tone",
        rows=4_000,
        licence="generated",
        home="Penstock itself",
        target="message",
    ),
    "free-spoken-digit-dataset": NamedSet(
        name="free-spoken-digit-dataset",
        task="classify",
        kind="audio",
        summary="spoken digits, 6 speakers, 8 kHz, 2,700 to train and 300 to test",
        rows=3_000,
        licence="CC BY-SA 4.0",
        home="https://github.com/Jakobovski/free-spoken-digit-dataset",
        target="digit",
        by_hand=FOLDER,
    ),
    "tides": NamedSet(
        name="tides",
        task="forecast",
        kind="series",
        summary="a year at a tide gauge, an hour a row: level and air pressure, generated from astronomy and weather",
        rows=8784,
        licence="none needed: generated",
        home="comes along",
        target="level",
    ),
    "python-topics": NamedSet(
        name="python-topics",
        task="classify",
        kind="text",
        summary="paragraphs from the standard library of this Python, 7 subjects: what is it about?",
        rows=7_000,
        licence="PSF",
        home="https://docs.python.org/3/library/",
        target="topic",
    ),
    "python-roles": NamedSet(
        name="python-roles",
        task="tag",
        kind="words",
        summary="statements from the standard library of this Python, and the part that each name plays",
        rows=6_000,
        licence="PSF",
        home="https://docs.python.org/3/library/",
        target="tags",
    ),
    "pydoc": NamedSet(
        name="pydoc",
        task="language",
        kind="text",
        summary="the language reference that ships with Python: English prose about programs",
        rows=465_000,
        licence="PSF",
        home="https://docs.python.org/3/reference/",
        target=None,
        runs_on=True,
    ),
    "tinyshakespeare": NamedSet(
        name="tinyshakespeare",
        task="language",
        kind="text",
        summary="plays of Shakespeare, the last tenth to test",
        rows=1_115_394,
        licence="public domain",
        home="https://github.com/karpathy/char-rnn",
        target=None,
        files=(
            kept_as_it_is(
                "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                1_115_394,
            ),
        ),
        runs_on=True,
    ),
    "tang-quatrains": NamedSet(
        name="tang-quatrains",
        task="language",
        kind="text",
        summary="Tang quatrains in traditional characters, one a line, of lines of five or seven",
        rows=14_030,
        licence="public domain; the collection MIT",
        home="https://github.com/chinese-poetry/chinese-poetry",
        target=None,
        files=(
            RemoteFile(
                "",
                "6f09cbb7884be7281735c0c2fc0401fe6048f9f24aa29f94829b4578b7d18ee3",
                1_271_246,
                arrives_as="quatrains.txt",
                save_as="quatrains.txt",
            ),
        ),
    ),
}
