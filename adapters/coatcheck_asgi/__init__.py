"""Sessions for ASGI applications: `from coatcheck_asgi import SessionMiddleware`."""

from coatcheck_asgi.middleware import SessionMiddleware as SessionMiddleware
from coatcheck_asgi.middleware import get_session as get_session
