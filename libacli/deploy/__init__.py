"""Files that run liba on other machines: containers, Kubernetes, systemd, LiveKit Cloud.

A target's module makes its files out of a `Plan` and the templates beside it; it touches nothing else.
"""
