"""The encryption keys of tests: one that seals, one from before, and the vault of the first."""

from models.rows import EndpointRow, changed
from payments.access.vault import Vault
from payments.webhooks.sealed import open_secret

# Of no use anywhere else; the bytes of each are its letter.
KEY = "bek_" + "Sk" * 21 + "S"
OLD_KEY = "bek_" + "T0" * 21 + "T"
VAULT = Vault([KEY])


def opened(row: EndpointRow, vault: Vault = VAULT) -> EndpointRow:
    """The endpoint with its secrets as its receiver has them."""
    return changed(row, secrets=[open_secret(vault, row.id, kept) for kept in row.secrets])
