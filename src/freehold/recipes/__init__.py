"""Buildout recipes for release authors who configure by a profile: `freehold:service`, `freehold:file`,
`freehold:promise`, `freehold:publish`. See `docs/authors/reference.md`.
"""
