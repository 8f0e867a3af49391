"""The shipped models: one folder per model, with model.safetensors, manifest.json and MODEL_CARD.md."""
