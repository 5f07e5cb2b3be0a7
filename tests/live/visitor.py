#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# Comes to a manager's socket as no sentry-kernel does. Prints what it gets: "answer ERRNO", "closed", "nothing".
# Usage: visitor.py SOCKET (hello NAME | version | rubbish | short | many N)

import os, socket, struct, sys

FDS_MAX = 248


def connect():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(20)
    s.connect(sys.argv[1])
    return s


def hello(name, version=1):
    return struct.pack(f"=8sII65s7x{8 * FDS_MAX}s", b"SENTRYHI", version, 0, name.encode(), b"")


def show(s):
    try:
        got = s.recv(64)
    except TimeoutError:
        return print("nothing")
    except ConnectionResetError:
        return print("closed")
    if len(got) == 16 and got[:8] == b"SENTRYOK":
        print("answer", struct.unpack("=i", got[12:])[0])
    else:
        print("closed" if not got else got)


what = sys.argv[2]
if what == "many":
    held = []
    for _ in range(int(sys.argv[3])):
        try:
            held.append(connect())
        except OSError:
            break
    print("connected")
    sys.stdout.flush()
    sys.stdin.read()
else:
    with connect() as s:
        fds = [os.open("/dev/null", os.O_RDONLY), os.pidfd_open(os.getpid())]  # a file and a pidfd of its own
        try:
            if what == "hello":
                socket.send_fds(s, [hello(sys.argv[3])], fds)
            elif what == "version":
                socket.send_fds(s, [hello("box", 99)], fds)
            elif what == "rubbish":
                s.sendall(os.urandom(3000))
            else:
                s.sendall(b"SENTRY")
                s.shutdown(socket.SHUT_WR)
        except OSError:  # closed before all was said: show() tells
            pass
        show(s)
