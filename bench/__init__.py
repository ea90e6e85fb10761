"""`python -m bench`: what a call costs, beside the plainest programs that do the same; see `report` for the targets."""
