"""What a release author imports in `instance.py`. See `docs/authors.md`."""

from freehold.release.plan import Context, File, Plan, Process, Release, ReleaseError, Type, make_plan

__all__ = ["Context", "File", "Plan", "Process", "Release", "ReleaseError", "Type", "make_plan"]
