"""Several objects and points in the Tracking tab: what the library gives, in the pins' colours."""

from __future__ import annotations

import csv
import io
import json
import struct
import zipfile

import av
import cv2
import numpy as np
import pytest
from PIL import Image

import nlviz
from nlviz.app.choice import Choice, ClipPart, bundled
from nlviz.app.shown import Shown
from nlviz.app.tabs import tracking_several, tracking_start
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.tracking_several import objects_work, points_work
from nlviz.app.tabs.tracking_start import _all_of, _choose_object, _of_pins
from nlviz.app.weight import buffers
from nlviz.heat.guided import SHARPENED
from nlviz.media.mask_objects import MaskObjects
from nlviz.progress import silent
from nlviz.tracking import Protocol, propagation
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pins
from tests.support import make


@pytest.fixture
def context() -> TabContext:
    analysis = make.analysis()
    choice = Choice(bundled()[0], ClipPart(frames=4), "nl-lite0", 320)
    pins = Pins().add(nlviz.Point(5, 9.0, 9.0)).add(nlviz.Point(0, 12.0, 12.0))
    pins = pins.add(nlviz.Region.box(0, 30, 20, 60, 40))
    shown = Shown(choice, analysis, (), ("clip",))
    return TabContext(shown, dict.fromkeys(pins.shown, ()), Options(block="fine"))


def carrier(progress):
    return make.analysis(), "fine"


def frames_of(film):
    """How many frames an MP4 file has."""
    with av.open(io.BytesIO(film)) as file:
        return len(list(file.decode(video=0)))


def layers(blob):
    """The pictures of a blob, (h, w, 4) blue, green, red and opacity."""
    (length,) = struct.unpack_from("<I", blob)
    header = json.loads(blob[4 : 4 + length])
    start = -(-(4 + length) // 8) * 8
    parts = [blob[start + p["offset"] :][: p["length"]] for p in header["parts"]]
    assert (header["kind"], header["clip"]) == ("mask", "clip")
    return [cv2.imdecode(np.frombuffer(p, np.uint8), cv2.IMREAD_UNCHANGED) for p in parts]


def test_pins_of_one_frame_are_objects_each_in_its_colour(context, monkeypatch):
    said = []
    monkeypatch.setattr(tracking_start.st, "caption", said.append)
    start = _of_pins(context, as_points=False)
    assert "that of the newest pin, 0." in said[0]
    assert start.names == ("Pin 2", "Pin 3")
    found = objects_work(context, start, Protocol(), carrier, edges=False)(silent)
    tracks = nlviz.track_objects(make.analysis(), "fine", start.several(), names=start.names)
    numbers = tracks.objects
    for layer, each in zip(layers(found.over), numbers, strict=True):
        near = cv2.dilate((each > 0).astype(np.uint8), np.ones((5, 5))) > 0  # and the outline
        assert (layer[each > 0, 3] > 0).all()
        assert not layer[~near, 3].any()
        alone = np.pad((each == 2).astype(np.uint8), 9)  # its outline runs along the frame, too
        inner = cv2.erode(alone, np.ones((9, 9)))[9:-9, 9:-9] > 0
        red, green, blue = (int(start.colors[1][i : i + 2], 16) for i in (1, 3, 5))
        assert (layer[inner][:, :3] == (blue, green, red)).all()
    assert found.strip.count("with the objects tinted") == 4
    assert found.told == ""
    assert frames_of(found.film()) == 4
    with zipfile.ZipFile(io.BytesIO(found.masks())) as archive:
        for name, each in zip(archive.namelist(), numbers, strict=True):
            with Image.open(archive.open(name)) as picture:
                np.testing.assert_array_equal(np.asarray(picture), each)
    sharp = objects_work(context, start, Protocol(), carrier, edges=True)(silent)
    assert sharp.over != found.over
    drawn = []
    monkeypatch.setattr("nlviz.film.tracks.caption", lambda p, s, text: drawn.append(text))
    sharp.film()
    assert SHARPENED in drawn[0]


def test_pins_are_followed_as_points_with_their_confidence(context):
    start = _of_pins(context, as_points=True)
    assert start.points == (nlviz.Point(5, 9.0, 9.0), nlviz.Point(0, 12.0, 12.0))
    found = points_work(context, start, Protocol(), carrier)(silent)
    tracks = nlviz.track_points(make.analysis(), "fine", start.points)
    least = tracks.confidence.min(axis=1)
    assert f"Pin 1 {least[0]:.2f}, Pin 2 {least[1]:.2f}" in found.told
    for position, layer in enumerate(layers(found.over)):
        for x, y in tracks.places[:, position]:
            assert layer[round(y) - 6 : round(y) + 7, round(x) - 6 : round(x) + 7, 3].max() == 255
    assert layers(found.over)[0][..., 3].min() == 0
    assert frames_of(found.film()) == 4
    table = list(csv.DictReader(io.StringIO(found.table().decode())))
    x = [float(row["x"]) for row in table]
    assert x == pytest.approx(tracks.places[..., 0].ravel(), abs=0.01)


@pytest.mark.parametrize("as_points", [False, True])
def test_what_the_film_is_drawn_from_is_weighed_and_drawing_can_be_stopped(context, as_points):
    start, analysis = _of_pins(context, as_points=as_points), make.analysis()

    def carry(progress):
        return analysis, "fine"

    if as_points:
        work = points_work(context, start, Protocol(), carry)
    else:
        work = objects_work(context, start, Protocol(), carry, edges=False)
    found = work(silent)
    weighed = buffers(found)
    assert buffers(analysis.clip).keys() <= weighed.keys()
    assert not buffers(analysis.affinities).keys() & weighed.keys()
    inside = [cell.cell_contents for cell in found.film.__closure__]
    assert buffers(inside).keys() <= weighed.keys()
    assert not any(each is analysis for each in inside)
    told = []

    def stopping(fraction, what):
        told.append(fraction)
        if what.startswith("drawing the"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        work(stopping)
    assert told[-1] == pytest.approx(0.7)


def test_all_objects_of_a_folder_are_scored(context):
    labels = np.zeros((4, 48, 64), np.uint16)
    labels[:, 4:25, 6:30], labels[:, 20:44, 34:60] = 1, 3
    masks = MaskObjects("folder", labels, ("1", "2", "<3>"))
    start = _all_of(masks, "key", 0, whole=True)
    assert start.names == ("1", "<3>")  # the second is not on the first frame
    found = objects_work(context, start, Protocol(), carrier, edges=False)(silent)
    tracks = nlviz.track_objects(make.analysis(), "fine", start.several(), names=start.names)
    j = [
        np.mean(
            [
                nlviz.region_similarity(n == k, r == v)
                for n, r in zip(tracks.objects, labels, strict=True)
            ][1:]
        )
        for k, v in ((1, 1), (2, 3))
    ]
    assert f"J {np.mean(j):.3f}, F " in found.told
    assert f"1: {j[0]:.3f}," in found.told


def test_a_folder_whose_first_frame_shows_no_object_is_told(monkeypatch):
    said = []
    monkeypatch.setattr(tracking_start.st, "info", said.append)
    labels = np.zeros((4, 48, 64), np.uint16)
    labels[1:, 4:25, 6:30], labels[1:, 20:44, 34:60] = 1, 2
    assert _all_of(MaskObjects("folder", labels, ("1", "2")), "key", 0, whole=True) is None
    assert said[0].startswith("The mask of the first frame shows no object")


def test_there_is_no_file_of_more_objects_than_it_tells_apart(context, monkeypatch):
    start = _of_pins(context, as_points=False)
    for most in (len(start.names), len(start.names) - 1):
        monkeypatch.setattr(tracking_several, "MOST_OBJECTS", most)
        found = objects_work(context, start, Protocol(), carrier, edges=False)(silent)
        assert (found.masks is None) == (most < len(start.names))


@pytest.mark.parametrize("count", [3, 9])
def test_objects_are_offered_together_only_where_they_fit(monkeypatch, count):
    said, offered = [], []

    def control(label, names, *, default=None, **options):
        offered.append(names)
        assert default in (None, names[0])
        return names[0]

    monkeypatch.setattr(tracking_start.st, "caption", said.append)
    monkeypatch.setattr(tracking_start.st, "selectbox", control)
    monkeypatch.setattr(tracking_start.st, "segmented_control", control)
    names = tuple(str(number) for number in range(1, count + 1))
    masks = MaskObjects("m", np.ones((1, 48, 64), np.uint16), names)
    assert (_choose_object(masks), said) == ("all", [])
    monkeypatch.setattr(propagation, "_MOST", 4 * count * 48 * 64 - 1)
    assert _choose_object(masks) == "1"
    assert said == [f"{count} objects are too many to carry together; choose one."]
    assert offered == [["all", *names], list(names)]
