"""How the session ID travels between client and server."""

from coatcheck.state.bearer import BearerState as BearerState
from coatcheck.state.callback import CallbackState as CallbackState
from coatcheck.state.cookie import CookieState as CookieState
from coatcheck.state.first_of import FirstOf as FirstOf
from coatcheck.state.header import HeaderState as HeaderState
from coatcheck.state.protocol import State as State
