#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a program in a sandbox that is saved and restored at each of its emulated calls but the first:
save-steps.py CALLS DIRECTORY ARGUMENT..., at so many of them, with an empty directory for the images and arguments for
`sentryctl run`. The program's output is ours; at last "# saved and restored N times" on standard error, and before "# refused: "
with the reason when a save was, which is then the last. Exits as the program does. No daemon may be there: this one pauses each sandbox at its second call, and a
restored one makes that call again at which it was saved."""

import os
import shutil
import subprocess
import sys
import time

NAME = "steps"
sentryctl, calls, directory, arguments = os.environ["SENTRYCTL"], int(sys.argv[1]), sys.argv[2], sys.argv[3:]


def start(*what):
    return subprocess.Popen([sentryctl, *what], stdin=subprocess.DEVNULL, env=dict(os.environ, SENTRYD_PAUSE_AT="2"))


def ask(*what):
    return subprocess.run([sentryctl, *what], capture_output=True, text=True, timeout=60)


def pauses(process):
    while process.poll() is None:
        if ask("show", "--value", "-p", "State", NAME).stdout == "paused\n":
            return True
        time.sleep(0.002)
    return False


process = start("run", "--name", NAME, *arguments)
done = 0
while pauses(process):
    if done == calls:
        ask("resume", NAME)
        process.wait()
        break
    image = f"{directory}/{done}"
    save = ask("save", NAME, image)
    if save.returncode != 0:
        print(f"# refused: {save.stderr}", file=sys.stderr)
        ask("resume", NAME)
        process.wait()
        break
    process.wait()
    if done > 0:
        shutil.rmtree(f"{directory}/{done - 1}")
    done += 1
    process = start("restore", "--name", NAME, image)
print(f"# saved and restored {done} times", file=sys.stderr)
sys.exit(process.returncode)
