"""Requests to one session in every order of their store calls, on any store, and what must hold.

    python -m tests.schedules --store sqlite:////tmp/s.db --runs 10000 --seed 7
    python -m tests.schedules --replay "anonymous login-A,logout,write-k1 0,1,1,0,2"

Pairs are tried in all orders, triples in random ones. `tests.core.schedules` steps the requests and
`tests.core.operations` says what must be true of the store; here are the browser that sent them,
the stores, and the choice of what is tried.
"""
