"""Shipped models: one folder each, with model.safetensors, manifest.json and MODEL_CARD.md."""
