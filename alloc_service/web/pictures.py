"""A picture made here, as part of a page: drawn without styles, for the page allows none inline.

The drawing's own `style` attributes become the attributes of the same names, and its names are
made the page's own, so that two pictures in one page do not share any.
"""

from xml.etree import ElementTree as ET

from markupsafe import Markup

from alloc_service.stats.plots import Picture

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_DROPPED = {f"{{{_SVG}}}style", f"{{{_SVG}}}metadata"}


def draw_inline(picture: Picture, name: str) -> Markup:
    """Return a picture as an element of a page.

    Args:
        picture: As `stats.plots` draws it.
        name: What no other picture of the page is called.
    """
    root = ET.fromstring(picture.svg)  # noqa: S314  our own drawing
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in _DROPPED]:
            parent.remove(child)
    for element in root.iter():
        _spell_out(element)
        _rename(element, name)
    root.set("role", "img")
    root.set("aria-label", picture.alt)
    root.set("stroke-linejoin", "round")
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("class", "picture")
    ET.register_namespace("", _SVG)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704  drawn here, of numbers


def _spell_out(element: ET.Element) -> None:
    for part in element.attrib.pop("style", "").split(";"):
        key, _, value = part.partition(":")
        if value:
            element.set(key.strip(), value.strip())


def _rename(element: ET.Element, name: str) -> None:
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key == _LINK and value.startswith("#"):
            element.attrib.pop(key)
            element.set("href", f"#{name}-{value[1:]}")
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))
