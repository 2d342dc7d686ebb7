"""Reports on a release for people, each one page that needs no other file: what may be published, and all of it."""
