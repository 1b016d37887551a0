"""Sessions in files, one each, for programs on one machine."""

from coatcheck.store.file.store import FileStore as FileStore
