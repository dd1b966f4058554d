"""One ITS: its registers and its tables, as KVM keeps them (``struct vgic_its``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from errno import EBUSY
from typing import Final

from vcpu_scenario.machine.emulated.vgic import lpis
from vcpu_scenario.machine.emulated.vgic.distributor import GuestMemory
from vcpu_scenario.machine.emulated.vgic.features import VgicFeatures
from vcpu_scenario.machine.emulated.vgic.irq import VgicIrq
from vcpu_scenario.machine.emulated.vgic.its.tables import VALID, Collection, Device, Event
from vcpu_scenario.machine.emulated.vgic.lpis import Lpis
from vcpu_scenario.machine.emulated.vgic.mmio import Refused
from vcpu_scenario.machine.errors import NotModelled

_INITIAL_BASER: Final = 3 << 59 | 7 << 48 | 1 << 10 | 2 << 8
"""Inner shareable, inner cacheable with read-allocate, entries of 8 bytes, pages of 64 KiB."""
DEVICES: Final = 1 << 56
COLLECTIONS: Final = 4 << 56
"""``GITS_BASER.Type``."""
_CACHED_PER_VCPU: Final = 16
_MOST_STEPS: Final = 1 << 19
"""Commands, LPIs and entries of tables that one access of a guest's or one ioctl looks at: more
would take longer than a run may."""
_MOST_EVENTS: Final = 1 << 17


class Its:
    """``initialised`` gives the LPIs of the VM, None before its vGIC is initialised."""

    def __init__(
        self, memory: GuestMemory, features: VgicFeatures, initialised: Callable[[], Lpis | None]
    ) -> None:
        self.memory: Final = memory
        self.features: Final = features
        self._initialised: Final = initialised
        self.base: int | None = None
        """Where it lies, once the VMM has said so."""
        self.enabled = False
        self.cbaser = self.cwriter = self.creadr = 0
        self.device_table = _INITIAL_BASER | DEVICES
        self.collection_table = _INITIAL_BASER | COLLECTIONS
        self.devices: dict[int, Device] = {}
        self.collections: dict[int, Collection] = {}
        self._steps = self._events = 0

    @property
    def lpis(self) -> Lpis:
        found = self._initialised()
        if found is None:
            raise NotModelled("an ITS that is used before its vGIC is initialised")
        return found

    def begin(self) -> None:
        """Something that may go through many commands or entries, for which it may :meth:`spend`
        steps."""
        self._steps = 0

    def spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MOST_STEPS:
            raise NotModelled(f"an ITS that has more than {_MOST_STEPS:,} steps to do at once")

    def has_vcpu(self, number: int) -> bool:
        """Of the vCPUs, which KVM once counted as they were created, now by their numbers."""
        interfaces = self.lpis.interfaces
        if any(one.index != one.number for one in interfaces):
            raise NotModelled("a target of LPIs where vCPUs were created out of order")
        return number < len(interfaces)

    def remember(self, device: Device, event: Event) -> None:
        self._events += event.id not in device.events
        if self._events > _MOST_EVENTS:
            raise NotModelled(f"an ITS with more than {_MOST_EVENTS:,} events")
        device.events[event.id] = event

    def event(self, device: int, event: int) -> Event | None:
        """``find_ite``."""
        known = self.devices.get(device)
        return None if known is None else known.events.get(event)

    def is_mapped(self, collection: int) -> bool:
        known = self.collections.get(collection)
        return known is not None and known.target is not None

    def trigger(self, device: int, event: int) -> bool:
        """``vgic_its_trigger_msi``: whether the event is mapped. Raises :class:`Refused` where the
        ITS or the vCPU takes none."""
        if not self.enabled:
            raise Refused(EBUSY)
        known = self.event(device, event)
        if known is None or known.target is None:
            return False
        if not self.lpis.interfaces[known.target].lpis_enabled:
            raise Refused(EBUSY)
        self._keep(device, event, known.irq)
        lpis.raise_(self.lpis, known.irq)
        return True

    # -- the cache of translations, which some changes of the tables do not reach ----------------

    def _keep(self, device: int, event: int, irq: VgicIrq) -> None:
        """``vgic_its_cache_translation``."""
        cache = self.lpis.translations
        cache.pop(self._key(device, event), None)
        cache[self._key(device, event)] = irq
        most = _CACHED_PER_VCPU * len(self.lpis.interfaces)
        if not self.features.its_caches_apart and len(cache) > most:
            del cache[next(iter(cache))]

    @property
    def _place(self) -> int:
        """What tells its translations from another ITS's: itself, once it was where it lies."""
        return id(self) if self.features.its_caches_apart else self.base or 0

    def _key(self, device: int, event: int) -> tuple[int, int, int]:
        return (self._place, device, event)

    def raise_cached(self, device: int, event: int) -> bool:
        """``vgic_its_inject_cached_translation``: whether there is a translation in the cache."""
        found = self._initialised()
        irq = None if found is None else found.translations.get(self._key(device, event))
        if irq is None:
            return False
        self._keep(device, event, irq)
        lpis.raise_(self.lpis, irq)
        return True

    def invalidate(self) -> None:
        """``vgic_its_invalidate_cache``."""
        found = self._initialised()
        cache = {} if found is None else found.translations
        for key in tuple(cache):
            if key[0] == self._place or not self.features.its_caches_apart:
                del cache[key]

    # -- what goes away ---------------------------------------------------------------------------

    def forget_event(self, device: Device, event: int) -> None:
        """``its_free_ite``."""
        self._events -= 1
        lpis.remove(self.lpis, device.events.pop(event).irq)

    def forget_device(self, device: Device) -> None:
        """``vgic_its_free_device``."""
        for event in tuple(device.events):
            self.forget_event(device, event)
        self.invalidate()
        del self.devices[device.id]

    def forget_devices(self) -> None:
        for device in tuple(self.devices.values()):
            self.forget_device(device)

    def forget_collection(self, collection: int) -> None:
        """``vgic_its_free_collection``: its events stay, and go nowhere."""
        gone = self.collections.pop(collection, None)
        for event in self._every_event() if gone is not None else ():
            if event.collection is gone:
                event.collection = None

    def forget_collections(self) -> None:
        self.collections.clear()
        for event in self._every_event():
            event.collection = None

    def _every_event(self) -> Iterator[Event]:
        return (event for device in self.devices.values() for event in device.events.values())

    def reset(self) -> None:
        """``vgic_its_reset``."""
        self.device_table &= ~VALID
        self.collection_table &= ~VALID
        self.cbaser = self.cwriter = self.creadr = 0
        self.enabled = False
        self.forget_devices()
        self.forget_collections()
