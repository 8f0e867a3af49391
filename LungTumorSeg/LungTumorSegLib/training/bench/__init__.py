"""Compare networks and settings by cross-validation. ``config`` and ``tables`` import without torch."""
