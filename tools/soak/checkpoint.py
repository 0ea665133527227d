"""Writes a checkpoint of MEGABYTES to FILE and brings it to the disk, again every SECONDS, until it is killed.

usage: checkpoint.py FILE MEGABYTES SECONDS
"""

import os
import sys
import time

part = os.urandom(1 << 20)
while True:
    fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for _ in range(int(sys.argv[2])):
        os.write(fd, part)
    os.fsync(fd)
    os.close(fd)
    time.sleep(float(sys.argv[3]))
