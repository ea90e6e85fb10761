"""`python -m mcpweb`."""

from mcpweb.cli import main

main()
