"""What nginx needs to stand in front: its configuration, and the files that it serves itself."""
