"""Prints what a LittleFS image holds, as the C implementation reads it.

Usage: open_image.py IMAGE OFFSET BLOCKS

OFFSET is where the file system begins in the image, in bytes; BLOCKS how many blocks of 4096 bytes it has.
Prints `path size adler32` of each file, by path. Needs littlefs-python.

Usage: open_image.py --make IMAGE OFFSET BLOCKS

Makes a file system in an erased image, with files of all kinds, and prints the same of it.
"""

import sys
import zlib

from littlefs import LittleFS, UserContext

BLOCK_BYTES = 4096
SIZES = [0, 1, 40, 400, 512, 513, 4095, 4096, 4097, 20000]


def content(length, seed):
    return bytes((index * 31 + seed * 17 + index // 251) % 256 for index in range(length))


def main(arguments):
    make = arguments[:1] == ["--make"]
    path, offset, blocks = arguments[-3], int(arguments[-2], 0), int(arguments[-1], 0)
    context = UserContext(BLOCK_BYTES * blocks)
    if not make:
        with open(path, "rb") as file:
            file.seek(offset)
            context.buffer[:] = file.read(BLOCK_BYTES * blocks)
    files = LittleFS(
        context=context,
        block_size=BLOCK_BYTES,
        block_count=blocks,
        read_size=512,
        prog_size=16,
        cache_size=512,
        lookahead_size=64,
        mount=False,
    )
    if make:
        files.format()
    files.mount()
    if make:
        files.makedirs("/segments/deeper")
        for number, size in enumerate(SIZES):
            with files.open(f"/segments/{number:016x}", "wb") as file:
                file.write(content(size, number))
        for number in range(200):
            with files.open(f"/segments/deeper/{number:016x}", "wb") as file:
                file.write(content(30, number))
        files.rename("/segments/0000000000000003", "/settings")
        files.remove("/segments/0000000000000004")
    for folder, _, names in sorted(files.walk("/")):
        for name in sorted(names):
            full = f"{folder.rstrip('/')}/{name}"
            with files.open(full, "rb") as file:
                data = file.read()
            print(full, len(data), f"{zlib.adler32(data):08x}")
    if make:
        with open(path, "wb") as file:
            file.write(b"\xff" * offset + bytes(context.buffer))


if __name__ == "__main__":
    main(sys.argv[1:])
