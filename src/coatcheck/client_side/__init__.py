"""Sessions that stay with the client, whole and encrypted: `EncryptedCookieStore`."""

from coatcheck.client_side.store import EncryptedCookieStore as EncryptedCookieStore
