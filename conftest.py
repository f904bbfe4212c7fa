"""Fixtures for every test of the repository, those beside a release included."""

pytest_plugins = ["machines"]
