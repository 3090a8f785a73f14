"""The steps, one a file, named by the revision each leads to."""
