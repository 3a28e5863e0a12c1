"""The one exception that means "the user can mend this"."""


class InputError(ValueError):
    """What was asked for cannot be done; the message names the value and the way out."""
