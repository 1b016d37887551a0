"""Sessions without a web that answer with results, in the manner of Concierge::Sessions."""

from coatcheck.service.result import Result as Result
from coatcheck.service.service import ServiceOptions as ServiceOptions
from coatcheck.service.service import SessionService as SessionService
from coatcheck.service.session import ServiceSession as ServiceSession
