# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A program for units to run: prints what a service can see of how it was started, tells the service manager that it is
# ready in the way that its first argument says, and waits for signals.

import os
import signal
import socket
import struct
import sys
import time


def notify(text):
    path = os.environ["NOTIFY_SOCKET"]
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect("\0" + path[1:] if path[0] == "@" else path)
    s.send(text.encode())


def message(serial, member, signature, *args):
    """A call to the message bus, with strings (s) and numbers (u)."""
    body = b""
    for kind, value in zip(signature, args):
        body += bytes(-len(body) % 4)
        body += struct.pack("<I", value) if kind == "u" else struct.pack("<I", len(value)) + value.encode() + b"\0"

    def field(code, kind, value):
        text = bytes([len(value)]) if kind == "g" else struct.pack("<I", len(value))
        return bytes([code, 1]) + kind.encode() + b"\0" + text + value.encode() + b"\0"

    fields = b""
    for f in (field(1, "o", "/org/freedesktop/DBus"), field(2, "s", "org.freedesktop.DBus"), field(3, "s", member),
              field(6, "s", "org.freedesktop.DBus"), field(8, "g", signature) if signature else b""):
        fields += bytes(-len(fields) % 8) * bool(f) + f
    header = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), serial, len(fields)) + fields
    return header + bytes(-len(header) % 8) + body


def own_name(name):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/dbus/system_bus_socket")
    s.send(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
    assert s.recv(1000).startswith(b"OK")
    s.send(b"BEGIN\r\n" + message(1, "Hello", "") + message(2, "RequestName", "su", name, 4))
    return s


def show():
    own = str(os.getpid())
    with open("/proc/self/cmdline") as f:
        print("arguments", f.read().split("\0")[:-1])
    print("parent", os.getppid() == 1)
    print("ids", os.getresuid(), os.getresgid(), sorted(os.getgroups()), os.umask(0o22))
    print("directory", os.getcwd())
    print("pids", os.environ.get("LISTEN_PID", own) == own, os.environ.get("WATCHDOG_PID", own) == own)
    for name in "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_USEC", "RUNTIME_DIRECTORY", "GREETING":
        print(name, os.environ.get(name))
    if "RUNTIME_DIRECTORY" in os.environ:
        with open(os.environ["RUNTIME_DIRECTORY"] + "/file", "w") as f:
            print("runtime directory", f.write("x"))
    if "CREDENTIALS_DIRECTORY" in os.environ:
        with open(os.environ["CREDENTIALS_DIRECTORY"] + "/secret") as f:
            print("credential", f.read())
    print("descriptors", sorted(int(fd) for fd in os.listdir("/proc/self/fd") if fd != "3" or "LISTEN_FDS" in os.environ)[:3])
    sys.stdout.flush()


def on_signal(number, frame):
    print("signal", signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM:
        sys.exit(0)


kind = sys.argv[1]
for number in signal.SIGHUP, signal.SIGTERM:
    signal.signal(number, on_signal)
if kind == "forking":
    if os.fork() > 0:
        os.wait()  # until the daemon has a parent of its own
        sys.exit(0)
    os.setsid()
    if os.fork() > 0:
        sys.exit(0)
    while os.getppid() != 1:
        time.sleep(0.001)
    with open("/run/harden-forking.pid", "w") as f:
        f.write("%d\n" % os.getpid())
show()
if kind == "notify":
    notify("READY=1\nSTATUS=probing")
    notify("WATCHDOG=1")
elif kind == "dbus":
    connection = own_name("org.freedesktop.hostname1")  # one that the bus lets root have
elif kind == "socket":
    listener = socket.socket(fileno=3)
    client, _ = listener.accept()
    client.send(b"hello\n")
    client.close()
elif kind == "oneshot":
    sys.exit(0)
while True:
    signal.pause()
