"""A first schema from the columns of some files, without reading a participant."""

from cohorts.drafting.draft import draft_schema, write_draft

__all__ = ["draft_schema", "write_draft"]
