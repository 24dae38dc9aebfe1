"""Containers without a container runtime: what a manifest says is run in namespaces of this kernel.

Root is needed, and Linux: https://man7.org/linux/man-pages/man7/namespaces.7.html
"""
