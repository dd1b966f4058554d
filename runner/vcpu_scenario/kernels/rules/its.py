"""The ITS and its LPIs."""

from __future__ import annotations

from typing import Final

from vcpu_scenario.kernels.rules.rule import Commit, Rule, recorded, source

ITS: Final[tuple[Rule, ...]] = (
    Rule(
        "its_tables_checked",
        (">=5.19",),
        "an event whose entry lies outside guest memory is not mapped, and of tables that cannot "
        "be restored as a whole nothing stays",
        recorded("Debian's 5.10.223 against 6.1.192"),
        (
            Commit(
                "cafe7e544d49",
                "KVM: arm64: vgic: Check that new ITEs could be saved in guest memory",
                "5.19",
            ),
            Commit("8c5e74c90bb5", "KVM: arm64: vgic: Undo work in failed ITS restores", "5.19"),
        ),
    ),
    Rule(
        "its_targets_by_number",
        (">=6.7",),
        "a MAPC that unmaps does so whatever vCPU it names; before, only if there was one of that "
        "number",
        recorded("Debian's 6.1.192 against 6.12.118"),
        (
            Commit(
                "d455d366c451",
                "KVM: arm64: vgic-its: Treat the collection target address as a vcpu_id",
                "6.7",
            ),
        ),
    ),
    Rule(
        "vgic_lpis_by_number",
        (">=6.10",),
        "KVM meets LPIs in the order of their numbers, before as they were mapped, and a vCPU that "
        "enables LPIs has those of all queued that are pending",
        source("its_sync_lpi_pending_table in the trees of 5.14 and 7.1"),
        (
            Commit(
                "720f73b750e6",
                "KVM: arm64: vgic-its: Walk LPI xarray in its_sync_lpi_pending_table()",
                "6.10",
            ),
        ),
    ),
    Rule(
        "vgic_lpis_dropped",
        ("6.1", "6.12", ">=7.2"),
        "LPIs that are pending where GICR_CTLR.EnableLPIs becomes 0 are so no more (in late 6.1.y, "
        "6.12.y and 7.2.y); before, what looked at one again brought it to that vCPU all the same",
        recorded(
            "Debian's 5.10.223, 6.16.12 and 6.17.13 against 6.1.192, 6.12.118 and 7.2.13; nothing "
            "between 6.17 and 7.2 was looked at"
        ),
    ),
    Rule(
        "its_movall_moves_every",
        (">=6.10 <6.12", ">=6.13 <7.2"),
        "MOVALL moves the LPIs of every vCPU, not only those of the one that it names first (late "
        "6.12.y and 7.2.y have the repair)",
        recorded(
            "Debian's 6.16.12 and 6.17.13 against 6.1.192, 6.12.118 and 7.2.13; nothing between "
            "6.17 and 7.2 was looked at"
        ),
        (
            Commit(
                "11f4f8f3e6e0",
                "KVM: arm64: vgic-its: Walk LPI xarray in vgic_its_cmd_handle_movall()",
                "6.10",
            ),
        ),
    ),
    Rule(
        "its_saves_what_it_can",
        ("6.12", ">=7.2"),
        "tables are saved without a device that its table has no room for, once EINVAL, and an "
        "event of no collection as an empty entry; a GITS_BASER of another value forgets what the "
        "table had, before only one without the valid bit (in late 6.12.y and 7.2.y)",
        recorded(
            "Debian's 5.10.223, 6.16.12 and 6.17.13 against 6.12.118 and 7.2.13; nothing between "
            "6.17 and 7.2 was looked at"
        ),
    ),
    Rule(
        "its_caches_apart",
        (">=6.10",),
        "each ITS has a cache of its translations, without a limit; before, there was one for all, "
        "of 16 for each vCPU",
        source("vgic_its_cache_translation in the trees of 5.14 and 7.1"),
        (
            Commit(
                "8201d1028caa",
                "KVM: arm64: vgic-its: Maintain a translation cache per ITS",
                "6.10",
            ),
        ),
    ),
    Rule(
        "its_clears_entries",
        ("6.1", ">=6.12"),
        "DISCARD, and a MAPD that unmaps, clear the entry in guest memory (in late 6.1.y, and "
        "6.12.y)",
        recorded("Debian's 5.10.223 against 6.1.192"),
        (
            Commit(
                "7602ffd1d5e8",
                "KVM: arm64: vgic-its: Clear ITE when DISCARD frees an ITE",
                "6.12",
            ),
        ),
    ),
    Rule(
        "its_control_checked",
        (">=6.17",),
        "KVM_DEV_ARM_VGIC_GRP_CTRL of an ITS with an attribute that there is not is ENXIO; before, "
        "nothing was done",
        recorded("Debian's 6.16 against 6.17"),
        (
            Commit(
                "4530256f3699",
                "KVM: arm64: vgic-its: Return -ENXIO to invalid KVM_DEV_ARM_VGIC_GRP_CTRL attrs",
                "6.17",
            ),
        ),
    ),
)
