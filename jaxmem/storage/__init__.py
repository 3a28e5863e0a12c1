"""What a workdir holds: its configuration, the outcomes of its trials, kept models."""
