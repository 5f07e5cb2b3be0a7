#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sends a signal to the sentry-imager that one of these processes starts, at a moment that differs from time to time:
save-killer.py SIGNAL SECONDS PID..., the time up to which the moment is. Exits with 0 when one got it."""

import os
import random
import signal
import sys
import time

signo, longest, parents = getattr(signal, "SIG" + sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
end = time.monotonic() + 20


def children():
    for parent in parents:
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as f:
                    yield from f.read().split()
        except OSError:
            pass


print("ready", flush=True)
while time.monotonic() < end:
    for pid in children():
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                if f.read().strip() != "sentry-imager":
                    continue
            time.sleep(random.random() * longest)
            os.kill(int(pid), signo)
            print(pid)
            sys.exit(0)
        except OSError:
            pass
sys.exit(1)
