"""Values that strangers send, each of which has once been the end of something."""

# In place of a moment, or of a number of seconds.
MOMENTS = (
    "Mon, 1 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 1 Jan 9999 00:00:00 -9999",
    "Mon, 1 Jan 0001 00:00:00 +9999",
    "Mon, 99 Foo 2026 99:99:99 GMT",
    "Mon, 1 Jan 2026 00:00:00 +99999999999999999999",
    "1e9999999999999999999",
    "inf",
    "nan",
    "-1",
    "٣",
    "\x00",
    ",",
    "GMT",
    "0 0 0 0 0",
    "9" * 5_000 + "x",
)
