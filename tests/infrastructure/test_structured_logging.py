"""Log events: stable names, on stderr, for people or for programs."""

import json

from market_backbone.infrastructure.structured_logging import StructlogLogger


def test_console_lines_read_as_one_line_with_details(capsys):
    logger = StructlogLogger("INFO", "console")
    logger.info("request_served", rows=3)
    logger.warning("plugin_skipped", name="x")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("info request_served rows=3")
    assert lines[1].endswith("warning plugin_skipped name=x")


def test_json_lines_are_for_programs_and_the_level_filters(capsys):
    logger = StructlogLogger("WARNING", "json")
    logger.info("request_served", rows=3)
    logger.warning("callback_failed", error="no")
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["event"], event["level"], event["error"]) == ("callback_failed", "warning", "no")
