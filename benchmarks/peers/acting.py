"""SAC of Stable-Baselines3 in a process of its own: python -m peers.acting '{"env": ..., "frames": ..., "seed": ...}'.

With its own settings, which are those of its zoo for MuJoCo but for "learning_starts" (rl-zoo3, hyperparams/sac.yml).
The last line that is printed is JSON: the mean "return" of the best actions in so many "episodes", which begin
elsewhere than those that were learned from, and the "training_seconds".
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def work(order: dict[str, Any]) -> dict[str, Any]:
    """Train as ordered, and play."""
    import torch
    from stable_baselines3 import SAC
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(order["threads"])
    seed = order["seed"]
    world = make_vec_env(order["env"], n_envs=1, seed=seed)
    model = SAC("MlpPolicy", world, learning_starts=10_000, seed=seed, device="cpu")
    began = time.perf_counter()
    model.learn(order["frames"])
    seconds = time.perf_counter() - began
    judged = make_vec_env(order["env"], n_envs=1, seed=seed + 1000)
    gain, deviation = evaluate_policy(model, judged, n_eval_episodes=order["episodes"], warn=False)
    return {
        "seed": seed,
        "return": round(float(gain), 2),  # type: ignore[arg-type]
        "deviation_of_episodes": round(float(deviation), 2),  # type: ignore[arg-type]
        "training_seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    print("\n" + json.dumps(work(json.loads(sys.argv[1]))))
