"""The files of a result: written, read, exchanged as a whole."""
