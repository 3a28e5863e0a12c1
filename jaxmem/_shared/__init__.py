"""What every floor uses; knows nothing of memorization."""
