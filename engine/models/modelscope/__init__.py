"""Models and data of ModelScope: which files a revision has, whole and verified on this disk, never code."""
