"""Threads, a file, random content and a clock, which go on under other kernels."""

import hashlib
import os
import threading
import time
import zlib

start = time.monotonic()
finished = []
stop = threading.Event()


def work(number):
    digest = hashlib.sha256()
    while not stop.is_set():
        digest.update(b"x" * 1000)
        time.sleep(0.002)
    finished.append(number)


threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
content = os.urandom(300_000)
checksum = zlib.crc32(content)
lines = open("lines", "a")
lines.write("before\n")
lines.flush()
open("ready", "w").close()
while not os.path.exists("go"):
    time.sleep(0.02)
stop.set()
for thread in threads:
    thread.join()
lines.write("after\n")
lines.close()
assert sorted(finished) == [0, 1, 2]
assert zlib.crc32(content) == checksum
assert open("lines").read() == "before\nafter\n"
assert 0 < time.monotonic() - start < 3600
import decimal  # noqa: E402  from the disk of the other machine

assert decimal.Decimal("0.1") * 3 == decimal.Decimal("0.3")
print("kept")
