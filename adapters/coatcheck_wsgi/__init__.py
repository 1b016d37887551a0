"""Sessions for WSGI applications: `from coatcheck_wsgi import SessionMiddleware`."""

from coatcheck_wsgi.middleware import SessionMiddleware as SessionMiddleware
from coatcheck_wsgi.middleware import get_session as get_session
