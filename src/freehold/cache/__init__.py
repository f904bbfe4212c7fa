"""Finished builds and downloads, kept in folders and behind URLs, and believed only from whom one trusts.

A library of both components: nodes take and give, a Master keeps. The files are described in `freehold.protocol.cache`.
"""
