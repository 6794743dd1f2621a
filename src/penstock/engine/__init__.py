"""The one loop, and what belongs to it: plan, schedules, checkpoints, precision, averaging, watchers."""
