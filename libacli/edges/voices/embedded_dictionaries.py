"""The embedded voice's dictionaries, loaded when this is imported: 100 MB, and most of what it takes to load.

Where rooms are processes, the one that they are forked from imports it: they share what it has loaded.
"""

from __future__ import annotations

from hibari.g2p import G2P

DICTIONARIES = G2P(british=False)
"""How words are pronounced. Its net for unknown words, which has threads, is loaded when one is met."""
