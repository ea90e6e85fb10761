"""One file that holds an installation, and bringing an installation back from it."""
