"""The devices that the VMM runs, as functions in C."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from vcpu_scenario.case import Case, Device
from vcpu_scenario.export.names import Names
from vcpu_scenario.export.refusal import Unexportable
from vcpu_scenario.export.text import function, identifier, literal

_MOST_REGISTERS: Final = 1 << 20
_MOST_INPUT: Final = 4096


class Model(NamedTuple):
    """A device in C: what is defined for it, and the lines that answer a read and take a write at
    ``offset``. A read that no line answers continues to the next device."""

    definitions: list[str]
    read: list[str]
    write: list[str]


def definitions(case: Case, names: Names) -> list[str]:
    """The function ``handle_mmio`` and what it calls. Raises :class:`Unexportable`."""
    out: list[str] = []
    reads: list[str] = []
    writes: list[str] = []
    for device in case.devices:
        name = identifier(device.name).lower()
        names.define(f"{name.upper()}_BASE", device.base)
        if device.model == "cfi-flash":
            slots = [slot.base for slot in case.slots]
            names.define(f"{name.upper()}_SLOT", slots.index(device.base))
        model = _MODELS[device.model](device, name)
        out += model.definitions
        reads += _within(device, name, model.read)
        writes += _within(device, name, model.write)
    reads.append(f"return {case.default_reply:#x};")
    read, write = _parameters(reads), _parameters(writes)
    out += _device("static uint64_t read_device", read, reads)
    if writes:
        out += _device("static void write_device", (*write, "data"), writes)
    reading = f"set_mmio_data(read_device({_arguments(read)}));"
    if not writes:
        body = ["if (!run->mmio.is_write)", f"\t{reading}"]
    else:
        data = "written_data(run->mmio.len)"
        body = [
            "if (run->mmio.is_write)",
            f"\twrite_device({_arguments(write)}, {data});",
            "else",
            f"\t{reading}",
        ]
    return [*out, *function("static void handle_mmio(void)", body), ""]


def _parameters(body: list[str]) -> tuple[str, ...]:
    by_length = any(re.search(r"\blen\b", line) for line in body)
    return ("addr", "len") if by_length else ("addr",)


_TYPES: Final = {"addr": "uint64_t addr", "len": "uint32_t len", "data": "uint64_t data"}
_ARGUMENTS: Final = {"addr": "run->mmio.phys_addr", "len": "run->mmio.len"}


def _arguments(names: tuple[str, ...]) -> str:
    return ", ".join(_ARGUMENTS[name] for name in names)


def _device(head: str, parameters: tuple[str, ...], body: list[str]) -> list[str]:
    typed = ", ".join(_TYPES[name] for name in parameters)
    unused = [] if any("addr" in line for line in body) else ["(void)addr;"]
    return [*function(f"{head}({typed})", [*_locals(body), *unused, *body]), ""]


def _locals(lines: list[str]) -> list[str]:
    return ["uint64_t offset;", ""] if any("offset" in line for line in lines) else []


def _within(device: Device, name: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    if device.model == "replies-by-address":
        return lines
    brace, end = (" {", ["}"]) if len(lines) > 1 else ("", [])
    return [
        f"offset = addr - {name.upper()}_BASE;",
        f"if (offset < {device.size:#x}){brace}",
        *(f"\t{line}" for line in lines),
        *end,
    ]


# -- the models, as vcpu_scenario.vmm.devices has them --------------------------------------------


def _registers(device: Device, name: str) -> Model:
    if device.size > _MOST_REGISTERS:
        raise Unexportable(
            f"the register file of {device.name}: {device.size:#x} bytes, at most "
            f"{_MOST_REGISTERS:#x}"
        )
    initial = [
        f"[{offset + n:#x}] = {byte:#04x},"
        for offset, value in device.registers
        for n, byte in enumerate(value.to_bytes(max(4, (value.bit_length() + 7) // 8), "little"))
        if byte
    ]
    array = f"{name}_registers"
    declared = [
        f"/* {device.name}: registers that keep what is written to them */",
        *(
            [f"static uint8_t {array}[{device.size:#x} + 8] = {{", *_packed(initial), "};"]
            if initial
            else [f"static uint8_t {array}[{device.size:#x} + 8];"]
        ),
        "",
    ]
    return Model(
        declared,
        [f"return load_le({array} + offset, len);"],
        [f"memcpy({array} + offset, &data, len);", "return;"],
    )


def _packed(items: list[str]) -> Iterator[str]:
    for at in range(0, len(items), 4):
        yield f"\t{' '.join(items[at : at + 4])}"


def _by_address(device: Device, name: str) -> Model:
    base = f"{name.upper()}_BASE"
    cases = [
        line
        for offset, value in dict(device.registers).items()
        for line in (f"case {base} + {offset:#x}:", f"\treturn {value:#x};")
    ]
    return Model([], ["switch (addr) {", *cases, "}"] if cases else [], [])


def _scripted(device: Device, name: str) -> Model:
    declared: list[str] = []
    cases: list[str] = []
    replies = {offset: values for offset, values in device.replies if values}
    for offset, values in replies.items():
        if len(values) == 1:
            cases += [f"case {offset:#x}:", f"\treturn {values[0]:#x};"]
            continue
        declared += [
            f"/* {device.name} + {offset:#x}: what reads get in turn; the last one stays */",
            f"static const uint64_t {name}_{offset:x}_replies[] = {{",
            *(f"\t{value:#x}," for value in values),
            "};",
            f"static unsigned int {name}_{offset:x}_next;",
            "",
        ]
        cases += [
            f"case {offset:#x}:",
            f"\tif ({name}_{offset:x}_next < {len(values) - 1})",
            f"\t\treturn {name}_{offset:x}_replies[{name}_{offset:x}_next++];",
            f"\treturn {name}_{offset:x}_replies[{len(values) - 1}];",
        ]
    for offset, value in dict(device.registers).items():
        if offset not in replies:
            cases += [f"case {offset:#x}:", f"\treturn {value:#x};"]
    switch = ["switch (offset) {", *cases, "}"] if cases else []
    return Model(declared, [*switch, "return 0;"], [])


def _pl011(device: Device, name: str) -> Model:
    if device.registers:
        raise Unexportable(f"registers of {device.name}, a pl011, that have values of their own")
    if len(device.input) + sum(len(text) for _, text in device.typed) > _MOST_INPUT:
        raise Unexportable(f"more than {_MOST_INPUT:,} characters that {device.name} receives")
    uart = pl011(device)
    fields = [f".spi = {device.spi},"] if device.spi is not None else []
    if device.spi is not None and device.input:
        fields.append(".raw = UART_RX,")
    declared = []
    if device.typed:
        rows = (
            f"\t{{ {literal(after)}, {len(after)}, {literal(text)}, {len(text)} }},"
            for after, text in device.typed
        )
        declared += [f"static const struct typed {name}_typed[] = {{", *rows, "\t{ 0 },", "};", ""]
        fields.append(f".typed = {name}_typed,")
    if device.input:
        size = len(device.input)
        fields += [f".input = {literal(device.input)},", f".arrived = {size},"]
    value = [" = {", *(f"\t{line}" for line in fields), "};"] if fields else [";"]
    declared += [f"static struct pl011 {uart}{value[0]}", *value[1:], ""]
    return Model(
        declared,
        [f"return pl011_read(&{uart}, offset);"],
        [f"pl011_write(&{uart}, offset, data);"],
    )


def pl011(device: Device) -> str:
    """The variable of a UART."""
    return f"{identifier(device.name).lower()}_pl011"


def _cfi_flash(device: Device, name: str) -> Model:
    flash = f"{name}_flash"
    declared = [
        f"static struct cfi_flash {flash} = {{",
        f"\t.base = {name.upper()}_BASE,",
        f"\t.size = {device.size:#x},",
        f"\t.slot = {name.upper()}_SLOT,",
        "\t.status = FLASH_READY,",
        "};",
        "",
    ]
    return Model(
        declared,
        [f"return flash_read(&{flash}, offset, len);"],
        [f"flash_write(&{flash}, offset, len, data);"],
    )


_MODELS: Final[Mapping[str, Callable[[Device, str], Model]]] = {
    "registers": _registers,
    "scripted": _scripted,
    "pl011": _pl011,
    "replies-by-address": _by_address,
    "cfi-flash": _cfi_flash,
}
