"""All N x E influences, searched in tiles that never leave the device whole."""
