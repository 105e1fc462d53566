"""What the documents show and the stage does not run as it stands."""

import re

LOOK_S = 3  # how long something that ends with Ctrl-C is watched
# Programs that are noted, not run: what they need.
ELSEWHERE = {
    "docker": "a container engine and images",
    "git": "a repository to change",
    "pip": "a package index",
    "bump-my-version": "a repository to change",
    "sudo": "root",
    "promtool": "Prometheus (it is run where it is installed)",
}
# Commands of x0t that are noted, not run: what they need.
ELSEWHERE_X0T = {
    r"^run\b": "a batman-adv mesh",
    r"--backend (vm|host)\b": "QEMU, or batman-adv in this kernel",
    r"^lab fidelity\b": "QEMU",
    r"^lab score --": "an hour: it is every scenario",
    r"^plan (approve|reject)\b": "a plan that waits for a person",
}
OWN = re.compile(r"^(x0t (demo|lab up)|scripts/start\.sh|\.venv/bin/x0t (demo|lab up))\b(?!.*--seconds)", re.MULTILINE)
ASKS = re.compile(r"\b(x0t|curl|scripts/health-check\.sh)\b")
