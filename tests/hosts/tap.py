"""Checks, printed as TAP."""
import sys
import time
import traceback


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def ok(self, good: bool, name: str, detail: object = "") -> bool:
        self.n += 1
        self.bad += not good
        print(f"{'' if good else 'not '}ok {self.n} - {name}", flush=True)
        if not good and detail != "":
            print("".join(f"# {line}\n" for line in str(detail).splitlines()[:40]), end="", flush=True)
        return good

    def skip(self, name: str, reason: str) -> None:
        self.n += 1
        print(f"ok {self.n} - {name} # SKIP {reason}", flush=True)

    def run(self, name: str, check, *args) -> bool:
        """One check: `check` raises where something is wrong."""
        began = time.monotonic()
        try:
            check(*args)
        except Exception:
            return self.ok(False, name, traceback.format_exc(limit=-6))
        return self.ok(True, f"{name} ({time.monotonic() - began:.1f} s)")

    def end(self) -> None:
        print(f"1..{self.n}")
        sys.exit(1 if self.bad or self.n == 0 else 0)
