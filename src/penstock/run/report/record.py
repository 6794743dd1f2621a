"""What all records of a run have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Metrics = dict[str, float | None]


class Record(BaseModel):
    """A JSON object of ours; keys that are not named here are somebody else's."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)
