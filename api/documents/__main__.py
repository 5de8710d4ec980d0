"""`python -m api.documents`: write the documents that are made from the code."""

from api.documents import files

files.write()
