"""liba: make a digital human in a LiveKit room say exactly this text, now."""

__version__ = "0.1.0"
