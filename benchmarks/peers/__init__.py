"""Penstock and its peers on the same work, each through its own public interface.

Every contestant is one file with one function,

    train(task, laps, **settings) -> outputs

which builds the task's network with the task's initial weights, trains it with Adam (rate 1e-3; for the pair beta1 0.5)
on the task's batches of examples in an order of its own shuffling, calls `laps.lap()` at the end of every epoch, and
gives the trained network's outputs on the training examples in their order, from which the final loss is computed in
one place for all. `worker.py` runs one contestant in a process of its own; `../race.py` runs them all by turns.

The peers live in an environment of their own, so that nothing of theirs is installed beside Penstock:

    make bench-peers                                   .venv-peers, with the versions of requirements-peers.txt
    python benchmarks/race.py --peers PYTHON           another environment's interpreter

Configurations are those of the libraries' own introductions, less what costs time and is no part of training: no
logging, no checkpoints, no progress bars, no validation. Settings that a peer's documentation recommends for speed
(`steps_per_execution`, `bf16-mixed`) are rows of their own.
"""
