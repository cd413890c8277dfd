"""The printed page of an allocation: a reader of QR codes finds the receipt on it, and no arm."""

import io
from collections.abc import Callable

import zxingcpp
from PIL import Image

from alloc_service.log.note import Verifier
from alloc_service.log.receipt import check_receipt
from alloc_service.services import lookups
from tests.browser.person import Person
from tests.support.shell import TRIAL, House

PRINTED_AT = 300 / 96  # dots of paper for a pixel of the page


def test_the_code_on_the_printed_page_is_the_receipt(
    house: House, open_browser: Callable[..., Person]
) -> None:
    doc = open_browser(device_scale_factor=PRINTED_AT)
    doc.sign_in()
    doc.enrol("P-001")
    arm = doc.request()
    assert not doc.page.locator(".onpaper").is_visible()
    doc.page.emulate_media(media="print")
    doc.page.wait_for_function("document.querySelector('.onpaper img').complete")

    printed = Image.open(io.BytesIO(doc.page.locator(".onpaper").screenshot()))
    (code,) = zxingcpp.read_barcodes(printed)

    with house.opened() as deps:
        key = Verifier.parse(lookups.read_log_key(deps, TRIAL))
    found = check_receipt(code.text, key)
    assert found.leaf.hex() in doc.page.content()
    assert arm not in code.text
