"""An emulated ARM64 device behind a real adbd, without root, without Docker, and gone without a trace.

    build.py    packages -> one cached archive per architecture     (recipe, apt, wheels, native)
    lab.py      up, down, status, control: what the command line calls
    guest.py    process 1 of a device, in its own namespaces         (rootfs, phone_files, relay, adbd)

Its latency is that of an emulator: it proves the tool chain and says nothing about any phone.
"""
