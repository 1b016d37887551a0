"""Sessions for Flask applications: `from coatcheck_flask import Coatcheck`."""

from coatcheck_flask.extension import Coatcheck as Coatcheck
from coatcheck_flask.interface import CoatcheckSessionInterface as CoatcheckSessionInterface
from coatcheck_flask.session import FlaskSession as FlaskSession
from coatcheck_flask.session import session as session
