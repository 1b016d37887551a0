"""Settings of gunicorn that older versions do not know as arguments."""

from __future__ import annotations

control_socket_disable = True
"""It would lie in the home folder of whoever runs the tests."""
graceful_timeout = 10
"""Seconds. A worker that is told to stop while it starts does not hear it, and is killed then."""
