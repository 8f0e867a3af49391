"""Average the weights of several models of one network into a new model.

    python Testing/tools/average_models.py OUT MODEL MODEL ...

Models are ids or folders; the new model gets the manifest of the first one. Only average weights from one training, or
from trainings that continued each other. The average is often more accurate than each model (Wortsman et al. 2022,
"Model soups", ICML).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from LungTumorSegLib.networks.stored import load_model, save_model


def main() -> None:
    """Read the models, average their weights and write the new model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    options = parser.parse_args()
    models = [load_model(name) for name in options.models]
    states = [model.network.state_dict() for model in models]
    mean = {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(kept.dtype)
        for name, kept in states[0].items()
    }
    models[0].network.load_state_dict(mean)
    save_model(models[0].network, models[0].manifest, options.out)


if __name__ == "__main__":
    main()
