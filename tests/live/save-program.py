#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests/live/save.sh saves: threads that calculate, sleep and wait while the first checks its memory and counts in a
file. save-program.py DIRECTORY [WHAT...]: further things to have, most of which cannot be saved."""

import array
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib

directory, wanted = sys.argv[1], sys.argv[2:]
memory = bytearray(os.urandom(1 << 20)) * 8
checksum = zlib.crc32(memory)
kept = []  # what is to stay open
hits = 0


def on_signal(_number, _frame):
    global hits
    hits += 1


signal.signal(signal.SIGUSR1, on_signal)
reader, writer = os.pipe()


def calculate():
    x = 0.1
    while True:
        y = x * 3.0
        if abs(y / 3.0 - x) > 1e-12:
            os._exit(3)
        time.sleep(0)


def wait_shortly():
    while True:
        select.select([reader], [], [], 0.002)


for function in calculate, wait_shortly:
    threading.Thread(target=function, daemon=True).start()

if "netlink" in wanted:
    kept.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
if "rights" in wanted:
    a, b = socket.socketpair()
    process = os.pidfd_open(os.getpid())
    a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [process]))])
    os.close(process)
    kept.append((a, b))
if "backlog" in wanted:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("\0save-test")
    listening.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect("\0save-test")
    client.send(b"x")  # which nobody can read before it is accepted
    kept.append((listening, client))
if "forks" in wanted:
    def storm():
        while True:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)

    threading.Thread(target=storm, daemon=True).start()
if "spawns" in wanted:
    def spawn():
        while True:
            subprocess.run(["/bin/true"], check=True)

    for _ in range(2):
        threading.Thread(target=spawn, daemon=True).start()
if "signals" in wanted and os.fork() == 0:
    while True:
        os.kill(os.getppid(), signal.SIGUSR1)
        time.sleep(0.0005)

count = 0
while True:
    if zlib.crc32(memory) != checksum:
        os._exit(4)
    count += 1
    with open(directory + "/new", "w", encoding="ascii") as f:
        f.write(str(count))
    os.rename(directory + "/new", directory + "/count")
    time.sleep(0.01)
