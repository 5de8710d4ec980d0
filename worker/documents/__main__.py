"""`python -m worker.documents`: write the documents that are made from the code."""

from worker.documents import files

files.write()
