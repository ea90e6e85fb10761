"""MCP over Streamable HTTP: the endpoint that clients call, for revisions 2025-03-26 to 2026-07-28.

A POST comes in at `doors`; `endpoint` lets it through `entrance`, and `dialogue` answers its messages: `revisions` says
how each is spoken, `methods` which function answers it, `calling` runs a tool. Nothing is remembered between requests.
"""
