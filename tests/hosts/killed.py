#!/usr/bin/env python3
"""kill -9 of mailserverd at any moment, under mixed load: what was acknowledged is there, whole and once; the rest whole
or absent, and then for good; no UID and no UIDL is given twice, and nothing goes back.  killed.py BUILD

POWER_KILLS says how often.  The model is in ledger.py; the sessions that make the load stop when the server does."""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import load
from host import ALL, USERS, Host
from hosts import mailserverd
from ledger import Ledger
from tap import Tap


class Killed:
    def __init__(self, built: Path, seed: int):
        self.rng = random.Random(seed)
        self.mail = Path(tempfile.mkdtemp(prefix="killed-"))
        self.argv = mailserverd(built, self.mail)
        self.ledgers = {user: Ledger(user) for user in USERS}
        self.acknowledged = self.kills = 0

    def remove(self) -> None:
        shutil.rmtree(self.mail, ignore_errors=True)

    def start(self) -> Host:
        return Host(self.argv, ALL)

    def kill(self, host: Host) -> None:
        host.process.send_signal(signal.SIGKILL)
        host.process.wait()
        host.process.stdout.close()
        self.kills += 1

    def under_load(self) -> None:
        host = self.start()
        everybody = load.sessions(host.ports, self.ledgers, self.rng)
        threads = [threading.Thread(target=one.run) for one in everybody]
        for thread in threads:
            thread.start()
        time.sleep(self.rng.uniform(0.02, 0.6))
        self.kill(host)
        for thread in threads:
            thread.join()
        self.acknowledged += sum(one.acknowledged for one in everybody)
        for one in everybody:
            assert one.wrong is None, f"{type(one).__name__}: {one.wrong}\n{host.said()[-2000:]}"

    def at_start(self) -> None:
        """Killed while it opens what the last one left."""
        process = subprocess.Popen([str(a) for a in self.argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(self.rng.uniform(0, 0.03))
        process.kill()
        process.wait()
        self.kills += 1

    def check(self) -> None:
        host = self.start()
        try:
            for ledger in self.ledgers.values():
                ledger.compare(host.ports)
        finally:
            assert host.end() == 0, host.said()

    def round(self) -> None:
        if self.rng.random() < 0.2:
            self.at_start()
        self.under_load()
        self.check()

    def from_the_log_alone(self) -> None:
        for path in (self.mail / "data/store").glob("index.db*"):
            path.unlink()
        self.check()

    def goes_back(self) -> str:
        """What is said of a directory that is as it was before the last load: nothing, if nobody looks."""
        shutil.copytree(self.mail / "data/store", self.mail / "before")
        self.under_load()
        shutil.rmtree(self.mail / "data/store")
        (self.mail / "before").rename(self.mail / "data/store")
        try:
            self.check()
        except AssertionError as e:
            return str(e)
        return ""


def main(built: Path) -> None:
    tap = Tap()
    kills, seed = int(os.environ.get("POWER_KILLS", 10)), int(os.environ.get("MAILSRV_SEED", 1))
    test = Killed(built, seed)
    try:
        while test.kills < kills and tap.run(f"kill {test.kills + 1}", test.round):
            pass
        if tap.bad == 0:
            tap.run("the index made anew from the log", test.from_the_log_alone)
            print(f"# {test.kills} kills, {test.acknowledged} changes acknowledged", flush=True)
            tap.ok(test.acknowledged > 10 * test.kills, "much was acknowledged", test.acknowledged)
            said = test.goes_back()
            tap.ok(said != "", "a directory that went back is found out", "nobody found it")
            print(f"# {said}", flush=True)
    finally:
        test.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
