"""Every benchmark, one after the other: ``python -m benchmarks``."""

import subprocess
import sys

for name in (
    "busy_cores",
    "capture",
    "plain_way",
    "hover",
    "regions",
    "components",
    "answers",
    "click",
    "tabs",
    "start",
):
    print(f"\n## benchmarks.{name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
