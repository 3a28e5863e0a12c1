"""From outcomes to memorization, influence and what else they say; trains nothing."""
