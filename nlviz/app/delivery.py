"""Whatever a run has drawn reaches the page, and a click its run, also where runs come at once.

Streamlit 1.67 loses some of it in four cases, all likelier the busier the machine is:

- A fragment is drawn again before its last drawing was sent. The queue then drops the fragment's
  own messages and keeps those of fragments inside it, which the page cannot place: it throws
  "Cannot set a node at a delta path".
- A fragment is asked for just as a run ends. It gets a thread of its own, and what the thread
  before has yet to hand over, the end of its page perhaps, is ignored.
- A click waits for the run of the whole page to end, and another such run takes that one's place:
  whatever waited goes with it.
- A file that was made at the click on its download is removed at the end of the second run after,
  of whichever visitor's, and the browser may not have fetched it by then.

All are mended from outside, as a server cannot be given a queue or a session of another kind.
"""

from __future__ import annotations

import time

import streamlit as st
from streamlit import config
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileKind
from streamlit.runtime.scriptrunner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequestType

_KNOWN = "1.67."  # another version of Streamlit has other insides, and is left as it is
_MARK = "nlviz_mended"
_FETCHED = 60.0  # seconds by which a browser has asked for the file of a click


def mend() -> None:
    """Let Streamlit lose nothing; doing it again changes nothing."""
    if st.__version__.startswith(_KNOWN) and not getattr(AppSession, _MARK, False):
        setattr(AppSession, _MARK, True)
        _keep_what_is_queued()
        _hear_the_last_run_out()
        _take_along_what_waits()
        _keep_what_is_fetched()


def _keep_what_is_queued() -> None:
    """Where a fragment is drawn again, what was queued before goes to the page first.

    Messages in their order are always right; dropping some of them only saves sending them.
    """
    clear = AppSession._clear_queue

    def kept(session: AppSession, fragment_ids_this_run: list[str] | None = None) -> None:
        clear(session, None if fragment_ids_this_run is None else [])  # of no fragment

    AppSession._clear_queue = kept  # type: ignore[assignment, method-assign]


def _hear_the_last_run_out() -> None:
    """A run that has ended is followed by another only when its last messages were taken in.

    They wait in the event loop by then, so it is enough to stand in line behind them.
    """
    create = AppSession._create_scriptrunner

    def created(session: AppSession, initial_rerun_data: RerunData) -> None:
        if session._scriptrunner is None:
            create(session, initial_rerun_data)
            return

        def later() -> None:
            if session._state == AppSessionState.SHUTDOWN_REQUESTED:
                return
            runner = session._scriptrunner
            if runner is None or not runner.request_rerun(initial_rerun_data):
                create(session, initial_rerun_data)

        session._event_loop.call_soon(later)

    AppSession._create_scriptrunner = created  # type: ignore[assignment, method-assign]


def _take_along_what_waits() -> None:
    """A run of the whole page that takes another's place is told of the clicks that waited."""
    from streamlit.runtime.scriptrunner_utils.script_requests import _coalesce_widget_states

    request = AppSession.request_rerun

    def requested(session: AppSession, client_state: ClientState | None) -> None:
        runner = session._scriptrunner if config.get_option("runner.fastReruns") else None
        if client_state is not None and not client_state.fragment_id and runner is not None:
            together = _coalesce_widget_states(_taken(runner), client_state.widget_states)
            if together is not None:
                client_state.widget_states.CopyFrom(together)
        request(session, client_state)

    AppSession.request_rerun = requested  # type: ignore[assignment, method-assign]


def _taken(runner: ScriptRunner) -> WidgetStates | None:
    """What controls said that no run has heard yet; the runner begins no other run."""
    waiting = runner._requests
    with waiting._lock:
        if waiting._state != ScriptRequestType.RERUN:
            return None
        waiting._state = ScriptRequestType.STOP
        return waiting._rerun_data.widget_states


def _keep_what_is_fetched() -> None:
    """A file that no page refers to, as one that was made at a click, stays for a while."""
    inactive = MediaFileManager._get_inactive_file_ids

    def old(manager: MediaFileManager) -> set[str]:
        now, found = time.monotonic(), set()
        for each in inactive(manager):
            file = manager._file_metadata[each]
            since = vars(file).setdefault(_MARK, now)
            if file.kind != MediaFileKind.DOWNLOADABLE or now - since > _FETCHED:
                found.add(each)
        return found

    MediaFileManager._get_inactive_file_ids = old  # type: ignore[assignment, method-assign]
