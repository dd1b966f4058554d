"""A real VMM as a process of the lab's guest, with our debugger at its gdbstub.

Standard library only: the guest runs it.
"""
