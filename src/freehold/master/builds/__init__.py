"""The Master's cache: finished builds and downloads of the builders it trusts, for its other nodes."""
