"""The cases of the store contract, by subject. What may not enter here: a particular store."""
