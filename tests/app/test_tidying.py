"""What a server lets go of once a visitor has left."""

from __future__ import annotations

import threading

from matplotlib import font_manager

from nlviz.app import tidying


def test_fonts_of_threads_that_have_ended_are_let_go_of():
    def draw() -> None:
        font_manager.get_font(font_manager.findfont("DejaVu Sans"))

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert font_manager._get_font.cache_info().currsize > 0
    tidying.tidy()
    assert font_manager._get_font.cache_info().currsize == 0
