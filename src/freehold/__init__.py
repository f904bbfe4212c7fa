"""Freehold: a cloud and edge operating system made of a Master, Nodes and the protocol between them."""

__version__ = "0.2.0"
