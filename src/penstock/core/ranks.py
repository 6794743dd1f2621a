"""The processes that train together, and the few things that they tell one another."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, final

from penstock.core.errors import PenstockError, RecipeError, WorkerError, described, told_elsewhere
from penstock.core.machine import Place

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

STEP_MINUTES = 5
"""How long a rank waits in a step for another that neither answers nor has died."""
TALK_HOURS = 12
"""The same elsewhere: one may download, evaluate or write for long."""
LAST_WORDS_SECONDS = 2.0
"""How long the reason is waited for once a rank has gone."""


class Lost(PenstockError):
    """A rank has gone without a word, or does not answer."""

    code = WorkerError.code


@final
class Ranks:
    """One of `size` processes that make the same steps, each on its part of every batch. Alone, nothing is exchanged.

    Every method is to be called by all ranks in the same order. Whatever they tell one another raises Lost where one of
    them has gone. No pickle travels: numbers are JSON, tensors are in the form of safetensors files.
    """

    def __init__(self, where: Place = Place(), store: Any = None) -> None:  # noqa: B008 - a tuple
        self.rank, self.size, self.local_rank, self.local_size = where
        self._store = store
        self._agreed: Exception | None = None
        self._groups: dict[str, Any] = {}
        self._closed = False
        if self.size > 1:
            self._open()

    def __repr__(self) -> str:
        return "ALONE" if self.size == 1 else f"<rank {self.rank} of {self.size}>"

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and speaks."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Which of a batch's `count` examples are this rank's.

        The shares are nearly equal and have two examples or more, for batch normalisation has nothing to say about one;
        where there are too few, the last ranks get none.
        """
        parts = max(min(self.size, count // 2), 1)
        if self.rank >= parts:
            return slice(count, count)
        each, more = divmod(count, parts)
        start = self.rank * each + min(self.rank, more)
        return slice(start, start + each + (self.rank < more))

    def sum(self, tensor: Tensor) -> None:
        """Add a contiguous tensor up over all ranks, in place: by gloo on the processor, by nccl on a GPU."""
        if self.size > 1:
            import torch.distributed as dist

            with self._connected():
                dist.all_reduce(tensor, group=self._group(tensor))

    def any(self, flag: bool, *, in_step: bool = False) -> bool:
        """Whether it is so on one rank at least; `in_step`: a silent rank is given up as soon as in `sum`."""
        if self.size == 1:
            return flag
        import torch
        import torch.distributed as dist

        count = torch.tensor([float(flag)])
        with self._connected():
            dist.all_reduce(count, group=self._group(count) if in_step else None)
        return bool(count.item())

    def gather(self, value: Any) -> list[Any]:
        """The JSON value of every rank, by rank."""
        if self.size == 1:
            return [value]
        return [json.loads(content) for content in self._gather(json.dumps(value).encode())]

    def gather_tensors(self, tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """The named tensors of every rank, by rank; on the processor."""
        if self.size == 1:
            return [tensors]
        from penstock.core.tensors import from_bytes, to_bytes

        return [from_bytes(content) for content in self._gather(to_bytes(tensors))]

    def from_first(self, value: T) -> T:
        """The JSON value of the first rank."""
        found: T = self.gather(value)[0]
        return found

    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Give every tensor the content that it has on the first rank; shapes and types are the same everywhere."""
        if self.size > 1:
            import torch
            import torch.distributed as dist

            from penstock.core.tensors import from_bytes, to_bytes

            named = {str(at): tensor for at, tensor in enumerate(tensors)}
            content = torch.frombuffer(bytearray(to_bytes(named)), dtype=torch.uint8)  # alike in length on all ranks
            with self._connected():
                dist.broadcast(content, src=0)
            with torch.no_grad():
                for name, value in from_bytes(content.numpy().tobytes()).items():
                    named[name].copy_(value)

    def attempt(self, work: Callable[[], T], *, in_step: bool = False) -> T:
        """What `work` returns; where it fails on some ranks, all raise the error of the first of these."""
        if self.size == 1:
            return work()
        failure: Exception | None = None
        try:
            result = work()
        except Lost:
            raise
        except Exception as error:
            if error is self._agreed:
                raise
            failure = error
        if self.any(failure is not None, in_step=in_step):
            self.agree(failure)
        return result

    def agree(self, failure: Exception | None) -> None:
        """Raise the own failure, or that of the first rank that has one."""
        failures = self.gather(None if failure is None else described(failure, self.rank))
        found = next((said for said in failures if said is not None), None)
        if found is not None:
            self._agreed = failure or told_elsewhere(found)
            raise self._agreed

    def agreed(self, error: Exception) -> bool:
        """Whether the others know of this error: otherwise nothing can be done together any more."""
        return self.size == 1 or error is self._agreed

    def settle(self, error: Exception) -> Exception:
        """What to raise for an error that ends this rank: the error itself where it is the first of the run's to be
        heard, else the first one, marked as told elsewhere."""
        if self.size == 1 or (isinstance(error, PenstockError) and error.told):
            return error
        with contextlib.suppress(RuntimeError):  # the store may have gone together with its host
            if isinstance(error, Lost):
                limit = time.monotonic() + LAST_WORDS_SECONDS
                while not self._store.check(["end"]) and time.monotonic() < limit:
                    time.sleep(0.02)
            said = self._store.compare_set("end", "", json.dumps(described(error, self.rank)))
            first = json.loads(said)
            if first["rank"] != self.rank:
                return told_elsewhere(first)
        return error

    def close(self) -> None:
        """Take leave; the others notice. Nothing happens the second time."""
        if self.size > 1 and not self._closed:
            import torch.distributed as dist

            self._closed = True
            self._groups.clear()
            dist.destroy_process_group()

    def _open(self) -> None:
        import torch.distributed as dist

        if dist.is_initialized():
            raise RecipeError("ranks", "torch.distributed is in use already", "leave it to penstock")
        with self._connected():
            dist.init_process_group(
                "gloo",
                store=self._store,
                rank=self.rank,
                world_size=self.size,
                timeout=timedelta(hours=TALK_HOURS),
            )

    def _group(self, tensor: Tensor) -> Any:
        """The connections for the sums of a step, which are made at the first."""
        kind = tensor.device.type
        if kind not in self._groups:
            import torch
            import torch.distributed as dist

            if tensor.is_cuda:
                torch.cuda.set_device(tensor.device)
            backend = "nccl" if tensor.is_cuda else "gloo"
            self._groups[kind] = dist.new_group(backend=backend, timeout=timedelta(minutes=STEP_MINUTES))
        return self._groups[kind]

    def _gather(self, content: bytes) -> list[bytes]:
        import torch
        import torch.distributed as dist

        length = torch.tensor([len(content)])
        lengths = [torch.empty_like(length) for _ in range(self.size)]
        with self._connected():
            dist.all_gather(lengths, length)
        sizes = [int(size) for size in lengths]
        own = torch.zeros(max(sizes), dtype=torch.uint8)
        own[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        parts = [torch.empty_like(own) for _ in range(self.size)]
        with self._connected():
            dist.all_gather(parts, own)
        return [part[:size].numpy().tobytes() for part, size in zip(parts, sizes, strict=True)]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """What torch.distributed raises where a connection breaks, or nobody answers in time, as one line."""
        try:
            yield
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0][:200]
            problem = f"another process of this run has gone, or does not answer ({reason})"
            raise Lost(f"rank {self.rank}", problem, "see what it said, then resume with as many processes") from None


ALONE = Ranks()
"""One process by itself."""
