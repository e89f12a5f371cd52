"""What pip-audit found, in words: python scripts/audited.py audit.json. Exit code 1 when something is known.

pip-audit calls a release that it could not ask about no finding; here that is said, and is no pass.
"""

import json
import sys
from pathlib import Path

file = Path(sys.argv[1])
releases = json.loads(file.read_text())["dependencies"] if file.exists() and file.stat().st_size else []
asked = [release for release in releases if "vulns" in release]
known = [(release, flaw) for release in asked for flaw in release["vulns"]]
for release, flaw in known:
    fixed = ", ".join(flaw["fix_versions"]) or "no release"
    print(f"audit: {release['name']} {release['version']}: {flaw['id']}, fixed in {fixed}")
if not releases:
    print("audit: NOT DONE: nobody could be asked")
elif len(asked) < len(releases):
    print(
        f"audit: NOT DONE for {len(releases) - len(asked)} of {len(releases)} releases: nobody could be asked"
    )
elif not known:
    print(f"audit: nothing is known against {len(asked)} releases")
sys.exit(bool(known))
