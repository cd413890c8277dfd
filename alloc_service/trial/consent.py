"""Consent: its version is the trial's, its time is past and before the request.

A time always has a zone. One that is typed without an offset is read in the site's zone; where
that zone's clock skipped it or showed it twice, the offset is asked for.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from alloc_service.errors import (
    ConsentError,
    ConsentInFutureError,
    ConsentNotBeforeRequestError,
    ConsentVersionError,
    NaiveTimeError,
)
from alloc_service.trial.definition import TrialDefinition

_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2})?(?P<zone>Z|[+-]\d{2}:\d{2})?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent: when it was given, with a zone, and to which version of the wording.

    Raises:
        NaiveTimeError: The time has no zone.
    """

    time: datetime
    version: str

    def __post_init__(self) -> None:
        require_zone(self.time, "consent time")


def check_consent(
    consent_time: datetime, request_time: datetime, now: datetime | None = None
) -> None:
    """Refuse a consent that lies in the future or does not come before the request.

    Args:
        consent_time: When the consent was given.
        request_time: When the allocation was requested.
        now: The service's clock; by default the request's time.

    Raises:
        NaiveTimeError: A time has no zone.
        ConsentInFutureError: The consent's time has not come yet.
        ConsentNotBeforeRequestError: It is not before the request's time.
    """
    clock = request_time if now is None else now
    # Compared in UTC: Python compares two times of one zone by their wall clocks.
    given = _in_utc(consent_time, "consent time")
    if given > _in_utc(clock, "clock"):
        raise ConsentInFutureError
    if given >= _in_utc(request_time, "request time"):
        raise ConsentNotBeforeRequestError


def read_consent(definition: TrialDefinition, site: str, time: str, version: str) -> Consent:
    """Read a typed consent.

    Args:
        definition: The trial.
        site: The site's code; a time without an offset is in this site's zone.
        time: `2026-03-02 09:15`, also with T, seconds, and an offset such as +08:00 or Z.
        version: The version of the wording that was signed.

    Raises:
        ConsentError: The time is no real date and time of that form, or is not one moment.
        ConsentVersionError: The version is not the trial's.
        UnknownSiteError: The definition has no such site.
    """
    zone = ZoneInfo(definition.site(site).time_zone)
    check_consent_version(definition, version)
    return Consent(_read_time(time, zone), version)


def find_offsets(definition: TrialDefinition, site: str, time: str) -> tuple[str, ...]:
    """Return the offsets that a typed time can have, where the site's clock does not tell.

    Args:
        definition: The trial.
        site: The site's code.
        time: As for `read_consent`.

    Returns:
        Such as +02:00 and +01:00, before and after the clock was changed; none where the time is
        one moment, or is no time at all.

    Raises:
        UnknownSiteError: The definition has no such site.
    """
    zone = ZoneInfo(definition.site(site).time_zone)
    typed = _parse_time(time) if is_time(time) else None
    if typed is None or typed.tzinfo is not None:
        return ()
    offsets = tuple(write_offset(reading) for reading in _readings(typed, zone))
    return offsets if len(set(offsets)) > 1 else ()


def is_time(text: str) -> bool:
    """Tell whether a text is a date and time in the form that `read_consent` takes."""
    try:
        _parse_time(text)
    except ConsentError:
        return False
    return True


def write_offset(time: datetime) -> str:
    """Return the offset from UTC of a time that has a zone, such as +02:00."""
    return time.isoformat(timespec="seconds")[len("2026-03-02T09:15:00") :]


def check_consent_version(definition: TrialDefinition, version: str) -> None:
    """Refuse a consent to another version of the wording than the trial's.

    Raises:
        ConsentVersionError: It is another one.
    """
    if version != definition.consent.version:
        raise ConsentVersionError(expected=definition.consent.version)


def require_zone(time: datetime, field: str) -> None:
    """Refuse a time without a zone.

    Raises:
        NaiveTimeError: The time has no offset from UTC.
    """
    if time.utcoffset() is None:
        raise NaiveTimeError(field=field)


def _in_utc(time: datetime, field: str) -> datetime:
    require_zone(time, field)
    # At the ends of the calendar a change of zone has no result.
    if not 1900 <= time.year <= 9000:
        raise ConsentError(rule=f"the year of the {field} cannot be right; correct it")
    return time.astimezone(UTC)


def _read_time(text: str, zone: ZoneInfo) -> datetime:
    time = _parse_time(text)
    return time if time.tzinfo else _place(time, zone)


def _parse_time(text: str) -> datetime:
    parts = _TIME.fullmatch(text)
    try:
        return datetime.fromisoformat(text if parts else "")
    except ValueError:
        rule = "write its date and time as 2026-03-02 09:15, with an offset such as +08:00 if known"
        raise ConsentError(rule=rule) from None


def _place(time: datetime, zone: ZoneInfo) -> datetime:
    """Give a local time its zone, where it is one moment there."""
    first, second = _readings(time, zone)
    if first.utcoffset() != second.utcoffset():
        rule = (
            "the clock was changed in that hour at this site; write the time with its offset, "
            "such as 2026-03-02T09:15+08:00"
        )
        raise ConsentError(rule=rule)
    return first


def _readings(time: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return a local time by the clock as it was before a change in that hour, and after it."""
    return time.replace(tzinfo=zone, fold=0), time.replace(tzinfo=zone, fold=1)
