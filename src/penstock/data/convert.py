"""Published files rewritten as csv with a header row."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from typing import Literal

from penstock.core.errors import DataError

Form = Literal["same", "adult", "california"]
"""How the content of a published file is rewritten."""

ADULT = (
    "age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,race,sex,capital_gain,"
    "capital_loss,hours_per_week,native_country,income"
)
CALIFORNIA = (
    "longitude,latitude,housing_median_age,total_rooms,total_bedrooms,population,households,median_income,"
    "median_house_value"
)

_HOUSES = "CaliforniaHousing/cal_housing.data"
_MOST = 16 << 20  # bytes; the member has two million


def adult(content: bytes) -> bytes:
    """The census rows of the UCI repository: no header, ", " between cells; the test file opens with a comment and ends
    its labels with a full stop.
    """
    lines = (line.strip() for line in content.decode("ascii").splitlines())
    rows = [line.rstrip(".").split(", ") for line in lines if line and not line.startswith("|")]
    return _csv("adult", ADULT, rows)


def california(content: bytes) -> bytes:
    """The houses in the tar archive of the California set: no header, every number with six decimals."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            member = archive.getmember(_HOUSES)
            file = archive.extractfile(member) if member.isreg() and member.size <= _MOST else None
            if file is None:
                raise DataError("california-housing", f"{_HOUSES} in the archive is no plain file", "download it again")
            text = file.read().decode("ascii")
    except (tarfile.TarError, KeyError, EOFError, gzip.BadGzipFile) as error:
        raise DataError("california-housing", f"the archive is damaged ({error})", "download it again") from None
    rows = [[_shortest(cell) for cell in line.split(",")] for line in text.splitlines() if line.strip()]
    return _csv("california-housing", CALIFORNIA, rows)


FORMS: dict[Form, Callable[[bytes], bytes]] = {"same": bytes, "adult": adult, "california": california}


def _shortest(number: str) -> str:
    """A decimal number without needless zeros."""
    return number.strip().rstrip("0").rstrip(".") if "." in number else number.strip()


def _csv(name: str, header: str, rows: list[list[str]]) -> bytes:
    columns = header.count(",") + 1
    odd = next((number for number, row in enumerate(rows, 1) if len(row) != columns), None)
    if odd is not None or not rows:
        problem = f"row {odd} has not {columns} cells" if odd else "the file has no rows"
        raise DataError(name, problem, "download it again")
    return "".join(line + "\n" for line in [header, *(",".join(row) for row in rows)]).encode()
