"""Write the JSON Schema of training configurations to the folder of the shipped ones, where editors find it."""

from __future__ import annotations

import json
from pathlib import Path

from LungTumorSegLib.training import config

if __name__ == "__main__":
    schema = Path(config.__file__).parent / "configs" / "training.schema.json"
    schema.write_text(json.dumps(config.config_schema(), indent=2) + "\n", encoding="utf-8")
