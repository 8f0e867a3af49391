"""Write the JSON Schemas of training configurations to the folder of the shipped ones, where editors find them."""

from __future__ import annotations

import json
from pathlib import Path

from LungTumorSegLib.training import config
from LungTumorSegLib.training.second_look.config import LookTrainingConfig
from LungTumorSegLib.training.settings import config_schema

if __name__ == "__main__":
    folder = Path(config.__file__).parent / "configs"
    for name, kind in (("training", config.TrainingConfig), ("second_look", LookTrainingConfig)):
        schema = json.dumps(config_schema(kind), indent=2)
        (folder / f"{name}.schema.json").write_text(schema + "\n", encoding="utf-8")
