"""Restarts a board and copies what it prints: monitor.py PORT BAUD."""

import sys
import time

import serial

# Named before the port is opened: raised lines would hold the chip in reset, or in its bootloader.
board = serial.Serial(baudrate=int(sys.argv[2]), timeout=0.1)
board.port, board.dtr, board.rts = sys.argv[1], False, False
try:
    board.open()
    try:
        # The reset line of the boards' USB bridges and of the chips' own USB. It is pulled while we listen
        # already, because a meter names its Wi-Fi right after the start.
        board.rts = True
        time.sleep(0.2)
        board.rts = False
    except OSError:
        print("this port cannot restart the board: press RESET on it", file=sys.stderr)
    while True:
        sys.stdout.buffer.write(board.read(board.in_waiting or 1))
        sys.stdout.buffer.flush()
except KeyboardInterrupt:
    pass
except (OSError, serial.SerialException) as error:
    sys.exit(f"the port does not answer (any more): {error}")
