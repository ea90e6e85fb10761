"""Tests of mcpweb; the folders mirror the package."""
