"""How the adapters may break: what they hand to the core, and when."""

from __future__ import annotations

from tests.prove.mutation import Mutation, scenarios

_WSGI, _ASGI = "adapters/coatcheck_wsgi/middleware.py", "adapters/coatcheck_asgi/middleware.py"
_FLASK, _FLASK_SESSION = (
    "adapters/coatcheck_flask/interface.py",
    "adapters/coatcheck_flask/session.py",
)
_RESPONSE, _STREAMING = "src/coatcheck/response.py", "src/coatcheck/streaming.py"
_TESTS, _CORE = "tests/adapters", "tests/core"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "wsgi: the headers leave before the commit",
        _WSGI,
        "        self._headers = [*headers]\n        return self._write_now\n",
        "        self._headers, self._started = [*headers], True\n"
        "        self._write = self._start_response(status, headers)\n"
        "        return self._write_now\n",
        scenarios("wsgi-memory", "a_first_write_creates_one_record_and_sends_one_cookie"),
    ),
    Mutation(
        "wsgi: nothing is saved at the end of a stream",
        _STREAMING,
        "        except StopIteration:\n            self._commit()\n",
        "        except StopIteration:\n",
        scenarios("wsgi-memory", "a_value_that_does_not_encode_cuts_the_stream_short"),
    ),
    Mutation(
        "wsgi: a stream with a length is saved after its last byte",
        _STREAMING,
        "if self._left <= 0:",
        "if self._left < 0:",
        scenarios("wsgi-memory", "a_stream_with_a_length_is_not_completed_where_the_save_fails"),
    ),
    Mutation(
        "wsgi: a broken store is no 503",
        _WSGI,
        " or not isinstance(error, StoreError):",
        " or isinstance(error, StoreError):",
        scenarios("wsgi-memory", "sec_43_an_outage_signs_nobody_out"),
    ),
    Mutation(
        "wsgi: a response of 500 keeps changes",
        _WSGI,
        'self._status[:1] == "5"',
        'self._status[:1] == "6"',
        scenarios("wsgi-memory", "sec_42_an_error_response_keeps_nothing"),
    ),
    Mutation(
        "wsgi: an exception keeps changes",
        _WSGI,
        "        self._gave_up = True\n        self.finish()\n",
        "        self.finish()\n",
        scenarios("wsgi-memory", "sec_42_an_error_response_keeps_nothing"),
    ),
    Mutation(
        "wsgi: a session that nobody looks at is loaded",
        _WSGI,
        "environ[self.key] = session\n",
        "environ[self.key] = session\n        bool(session)\n",
        scenarios("wsgi-memory", "a_page_without_a_session_costs_nothing"),
    ),
    Mutation(
        "wsgi: excluded paths have a session",
        _WSGI,
        "if self._excludes is not None and",
        "if self._excludes is None and",
        scenarios("wsgi-memory", "excluded_paths_have_no_session"),
    ),
    Mutation(
        "flask: a broken store is no 503",
        _FLASK,
        "                    _make_unavailable(response, error)\n                    return\n",
        "                    raise\n",
        scenarios("flask-memory", "a_change_that_is_answered_with_503_is_not_made_later"),
    ),
    Mutation(
        "flask: a response of 500 keeps changes",
        _FLASK,
        "failed = response.status_code >= 500",
        "failed = response.status_code >= 600",
        scenarios("flask-memory", "sec_42_an_error_response_keeps_nothing"),
    ),
    Mutation(
        "flask: nothing is saved at the end of a stream",
        _FLASK,
        "if made or not response.is_streamed:",
        "if body is not None:",
        scenarios(
            "flask-memory",
            "a_value_that_does_not_encode_cuts_the_stream_short",
            "a_long_stream_keeps_its_session_alive",
        ),
    ),
    Mutation(
        "flask: what a teardown changes is lost",
        _FLASK,
        "response.call_on_close(partial(commit_at_the_end, lifecycle, session, failed=failed))",
        "pass",
        (f"{_TESTS}/test_flask.py::test_a_change_at_teardown_is_saved_or_said",),
    ),
    Mutation(
        "flask: permanent is for this request only",
        _FLASK_SESSION,
        "visit.amend(changes)",
        "visit.settle()",
        (f"{_TESTS}/test_flask.py::test_permanent_true_lasts",),
    ),
    Mutation(
        "asgi: a State made of the default one is taken for it",
        _ASGI,
        "type(self.lifecycle.runtime.state) is CookieState",
        "isinstance(self.lifecycle.runtime.state, CookieState)",
        ("tests/adapters/test_asgi_visitors.py::test_a_state_that_looks_elsewhere",),
    ),
    Mutation(
        "asgi: cookies are known by the lower-case name alone",
        _ASGI,
        "[name.lower() for name, _ in headers if",
        "[name for name, _ in headers if",
        ("tests/adapters/test_asgi_visitors.py::test_a_page_may_still_begin_a_session",),
    ),
    Mutation(
        "asgi: the headers leave before the commit",
        _ASGI,
        "await self._lifecycle.commit(visit, failed=self._failed)\n        except",
        "pass\n        except",
        scenarios("asgi-memory", "a_first_write_creates_one_record_and_sends_one_cookie"),
    ),
    Mutation(
        "asgi: nothing is saved before a stream ends",
        _ASGI,
        "is turned away\n                if not self._lifecycle.idle(visit):",
        "is turned away\n                if kind is None:",
        scenarios("asgi-memory", "a_value_that_does_not_encode_cuts_the_stream_short"),
    ),
    Mutation(
        "asgi: a stream with a length is saved after its last byte",
        _ASGI,
        "return self._left == 0",
        "return self._left < 0",
        scenarios("asgi-memory", "a_stream_with_a_length_is_not_completed_where_the_save_fails"),
    ),
    Mutation(
        "asgi: nothing is saved when the application returns",
        _ASGI,
        "                    await self._lifecycle.commit_late(visit, failed=self._failed)\n",
        "                    pass\n",
        (
            f"{_TESTS}/test_websocket.py::test_what_changes_on_the_way_is_saved_at_the_end",
            *scenarios("asgi-memory", "a_client_that_goes_away_takes_nothing_along"),
        ),
    ),
    Mutation(
        "asgi: a cancelled request saves nothing at its end",
        "src/coatcheck/drivers.py",
        "with anyio.move_on_after(seconds, shield=True):",
        "with anyio.move_on_after(seconds, shield=False):",
        ("tests/core/test_drivers.py::test_the_cancellation_of_a_scope_waits",),
    ),
    Mutation(
        "asgi: a cancelled task saves nothing at its end",
        "src/coatcheck/drivers.py",
        "            cancelled = error\n",
        "            task.cancel()\n            raise error\n",
        ("tests/core/test_drivers.py::test_the_tasks_own_cancellation_waits",),
    ),
    Mutation(
        "asgi: a broken store is no 503",
        _ASGI,
        "            if not self._started:\n                await self._refuse(error)\n",
        "            if not self._started:\n                raise\n",
        scenarios("asgi-memory", "sec_43_an_outage_signs_nobody_out"),
    ),
    Mutation(
        "asgi: a response of 500 keeps changes",
        _ASGI,
        'message.get("status", 101) >= 500',
        'message.get("status", 101) >= 600',
        scenarios("asgi-memory", "sec_42_an_error_response_keeps_nothing"),
    ),
    Mutation(
        "asgi: the new ID of a WebSocket stays here",
        _ASGI,
        '{"http.response.start", "websocket.accept", ',
        '{"http.response.start", ',
        (f"{_TESTS}/test_websocket.py::test_a_new_session_s_cookie_goes_out_with_the_accept",),
    ),
    Mutation(
        "asgi: messages do not keep a session alive",
        _ASGI,
        'if message["type"] == "websocket.receive":',
        'if message["type"] == "websocket.connect":',
        (f"{_TESTS}/test_websocket.py::test_messages_keep_the_session_alive",),
    ),
    Mutation(
        "nesting: an inner adapter begins a session of its own",
        "src/coatcheck/nesting.py",
        "outer = carrier.get(key)\n",
        "outer = carrier.get('')\n",
        (
            f"{_TESTS}/test_nesting.py::test_wsgi_in_wsgi",
            f"{_TESTS}/test_nesting.py::test_flask_in_wsgi",
        ),
    ),
    Mutation(
        "wsgi: environ and session hold each other for ever",
        _WSGI,
        "            let_go(self.session)\n        elif",
        "            pass\n        elif",
        (f"{_TESTS}/test_let_go.py::test_a_wsgi_response_leaves_nothing",),
    ),
    Mutation(
        "wsgi: a session may begin behind a list that has been returned",
        _WSGI,
        "        elif lifecycle is not None:\n            headers_left(self.session)\n",
        "",
        (f"{_TESTS}/test_wsgi.py::test_after_a_list_was_returned_a_new_session_cannot_begin",),
    ),
    Mutation(
        "asgi: a session may begin when the application has returned",
        "src/coatcheck/face.py",
        "    headers_left(session)\n    visit =",
        "    visit =",
        (f"{_TESTS}/test_let_go.py::test_who_answers_after_returning_can_begin_no_session",),
    ),
    Mutation(
        "wsgi: what is looked at while it is sent is held for ever",
        _STREAMING,
        "        let_go(session)\n",
        "",
        (f"{_TESTS}/test_let_go.py::test_a_wsgi_response_leaves_nothing",),
    ),
    Mutation(
        "asgi: scope and session hold each other for ever",
        _ASGI,
        "            let_go(session, scope)\n",
        "            pass\n",
        (f"{_TESTS}/test_let_go.py::test_an_asgi_response_leaves_nothing",),
    ),
    Mutation(
        "response: Vary is missing",
        _RESPONSE,
        'headers.add("Vary", runtime.vary)',
        "pass",
        (
            f"{_CORE}/test_response.py::test_the_cookie_to_the_byte",
            f"{_CORE}/test_response.py::test_vary_is_completed",
        ),
    ),
    Mutation(
        "response: a page for a user may be cached for all",
        _RESPONSE,
        "personal = visit.seen_user is not None or (",
        "personal = False and (",
        (f"{_CORE}/test_response.py::test_a_users_page_is_private",),
    ),
    Mutation(
        "response: public stays public",
        _RESPONSE,
        '["private", *kept]',
        "directives",
        (f"{_CORE}/test_response.py::test_public_becomes_private_and_is_told",),
    ),
)
