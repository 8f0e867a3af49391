"""Read and write the files of a result, and replace them as a complete set."""
