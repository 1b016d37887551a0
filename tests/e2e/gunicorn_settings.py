"""Settings of gunicorn that older versions do not know as arguments."""

from __future__ import annotations

control_socket_disable = True
"""It would lie in the home folder of whoever runs the tests."""
