"""Compares the metrics that dashboard and alerts name with those of a running server.

    python monitoring.py METRICS FOLDER RULES

METRICS has the answer of `/metrics`, FOLDER the monitoring's files. Writes the
dashboard's expressions as rules to RULES, for promtool to check.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import yaml

METRIC = re.compile(r"\bstockade_\w+")


def main() -> None:
    """Fail with each metric that no server exports."""
    metrics, folder, rules = map(Path, sys.argv[1:])
    exported = set(re.findall(r"^(stockade_\w+)", metrics.read_text(), re.MULTILINE))
    dashboard = json.loads((folder / "dashboard.json").read_text())
    alerts = yaml.safe_load((folder / "alerts.yaml").read_text())
    drawn = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    alerting = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    named = {name for expression in drawn + alerting for name in METRIC.findall(expression)}
    if len(drawn) < 10 or len(alerting) < 10 or len(exported) < 20:
        sys.exit("too few expressions or metrics: have their files another form?")
    missing = sorted(named - exported)
    if missing:
        sys.exit(f"no server exports {', '.join(missing)}")
    recorded = [
        {"record": f"dashboard:{number}", "expr": expression}
        for number, expression in enumerate(drawn)
    ]
    rules.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    print(f"{len(drawn) + len(alerting)} expressions name {len(named)} metrics, all exported")


if __name__ == "__main__":
    main()
