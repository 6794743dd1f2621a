"""Groups of alike pictures, of which players are told where there are no classes.

N pictures, C channels, H W height width, K groups, F numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import torch
from torch import Tensor
from torch.nn import functional

from penstock.data.fitted import damaged, read

if TYPE_CHECKING:
    from penstock.kinds.image import ImageKind
    from penstock.kinds.pictures import ImageMaterial

SIDE = 14
"""Squares a side, at most, of which the means are compared."""
GOLDEN = (5**0.5 - 1) / 2


@final
@dataclass(frozen=True)
class Groups:
    """The middle of each group, in coarse pixels (K, F), and its share of the pictures it was found in, (K,)."""

    middles: Tensor
    shares: Tensor

    @classmethod
    def fit(cls, coarse: Tensor, count: int, *, seed: int) -> Self:
        """Of pictures (N, F), by k-means in small batches: Sculley 2010, "Web-scale k-means clustering"."""
        from sklearn.cluster import MiniBatchKMeans
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):  # as many threads as there are would be as many ways to round
            found = MiniBatchKMeans(count, random_state=seed % (1 << 32), n_init=3, batch_size=4096).fit(coarse.numpy())
        groups = cls(torch.from_numpy(found.cluster_centers_).float(), torch.zeros(count))
        shares = torch.bincount(groups.encode(coarse), minlength=count).double() / len(coarse)
        return cls(groups.middles, shares.float())

    @property
    def names(self) -> list[str]:
        """Numbers from 1 on."""
        return [str(k + 1) for k in range(len(self.shares))]

    def encode(self, coarse: Tensor) -> Tensor:
        """The nearest group (N,) int64 of pictures (N, F)."""
        return torch.cat([torch.cdist(part, self.middles).argmin(1) for part in torch.split(coarse, 4096)])

    def drawn(self, count: int) -> Tensor:
        """So many groups (count,) int64 in proportion to their shares, however few: the golden section spreads them."""
        places = (torch.arange(count, dtype=torch.float64) * GOLDEN + 0.5) % 1
        found = torch.searchsorted(self.shares.double().cumsum(0), places, right=True)
        return found.clamp(max=len(self.shares) - 1)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"middles": self.middles.tolist(), "shares": self.shares.tolist()}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The reverse of `to_json`. Raises CheckpointError where `value` is nothing of the sort."""
        found = read(value, middles=list, shares=list)
        try:
            middles, shares = torch.tensor(found["middles"]), torch.tensor(found["shares"])
        except (TypeError, ValueError) as error:
            raise damaged("the groups are no numbers") from error
        if middles.dim() != 2 or shares.shape != middles.shape[:1] or len(shares) < 2 or not shares.is_floating_point():
            raise damaged("the groups are not one row of numbers each")
        return cls(middles.float(), shares)


def coarse_pixels(material: ImageMaterial, kind: ImageKind) -> Tensor:
    """All pictures (N, C, H, W), as means over squares: (N, F)."""
    from penstock.data.sources import InOrder

    examples, everything = material.examples(kind, {}), torch.arange(len(material.labels))
    source = InOrder(examples, everything, batch_size=512, transform=kind.transform(training=False))
    size = (min(SIDE, kind.shape[1]), min(SIDE, kind.shape[2]))
    return torch.cat([functional.adaptive_avg_pool2d(batch["image"], size).flatten(1) for batch in source])
