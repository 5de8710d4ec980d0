"""`python -m worker.contract`: write the documents that are made from the code."""

from worker.contract import documents

documents.write()
