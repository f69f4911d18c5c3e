"""Loads, stores, prefetches, cache policies and atomics."""

from __future__ import annotations

from .row import Row

MEMORY: tuple[Row, ...] = (
    Row("ld.param[.{v2,v4}].<mem>", "T*V", "mem"),
    Row("ld[.{weak,volatile}][.<space>][.{v2,v4}].<mem>", "T*V", "mem", effect="read"),
    Row("ld.{relaxed,acquire}.<scope>[.<aspace>][.{v2,v4}].<mem>", "T*V", "mem", effect="read"),
    Row("ld.global[.{ca,cg,cs,lu,cv}][.{v2,v4}].<mem>", "T*V", "mem", effect="read"),
    Row("ld.global[.{ca,cg,cs}].nc[<prefetch>][.{v2,v4}].<mem>", "T*V", "mem", effect="read"),
    Row("ld.global[.nc][<l1>][<prefetch>][.{v2,v4}].<mem>", "T*V", "mem", effect="read"),
    Row("ld.global[.nc][<l1>]<hint>[<prefetch>][.{v2,v4}].<mem>", "T*V", "mem b64!", effect="read", sm=80, ptx=74),
    Row("ld.const[.{v2,v4}].<mem>", "T*V", "mem"),
    Row("st[.{weak,volatile}][.<space>][.{v2,v4}].<mem>", "", "mem T*V", effect="write"),
    Row("st.{relaxed,release}.<scope>[.<aspace>][.{v2,v4}].<mem>", "", "mem T*V", effect="write"),
    Row("st.global[.{wb,cg,cs,wt}][.{v2,v4}].<mem>", "", "mem T*V", effect="write"),
    Row("st.global[<l1>][.{v2,v4}].<mem>", "", "mem T*V", effect="write"),
    Row("st.global[<l1>]<hint>[.{v2,v4}].<mem>", "", "mem T*V b64!", effect="write", sm=80, ptx=74),
    Row("prefetch.{global,local}.{L1,L2}", "", "mem", effect="read"),
    Row("prefetch[.param].tensormap", "", "mem", effect="read", sm=90, ptx=80),
    Row("prefetch.global.L2::{evict_last,evict_normal}", "", "mem", effect="read", sm=80, ptx=74),
    Row(
        "createpolicy.fractional.L2::{evict_last,evict_normal,evict_first,evict_unchanged}"
        "[.L2::{evict_first,evict_unchanged}].b64",
        "b64",
        "f32?",
        sm=80,
        ptx=74,
    ),
    Row("atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].{and,or,xor}.{b32,b64}", "T", "mem T", effect="write"),
    Row(
        "atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].add.{u32,s32,u64,f32,f64}", "T", "mem T", effect="write"
    ),
    Row("atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].{inc,dec}.u32", "T", "mem T", effect="write"),
    Row(
        "atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].{min,max}.{u32,s32,u64,s64}",
        "T",
        "mem T",
        effect="write",
    ),
    Row(
        "atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].add.noftz.{f16,f16x2}",
        "T",
        "mem T!",
        effect="write",
        sm=70,
    ),
    Row(
        "atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].add.noftz.{bf16,bf16x2}",
        "T",
        "mem T!",
        effect="write",
        sm=90,
        ptx=78,
    ),
    Row("atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].exch.{b32,b64}", "T", "mem T", effect="write"),
    Row("atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].cas.{b16,b32,b64}", "T", "mem T T", effect="write"),
    Row("red[.{relaxed,release}][.<scope>][.<aspace>].{and,or,xor}.{b32,b64}", "", "mem T", effect="write"),
    Row("red[.{relaxed,release}][.<scope>][.<aspace>].add.{u32,s32,u64,f32,f64}", "", "mem T", effect="write"),
    Row("red[.{relaxed,release}][.<scope>][.<aspace>].{inc,dec}.u32", "", "mem T", effect="write"),
    Row("red[.{relaxed,release}][.<scope>][.<aspace>].{min,max}.{u32,s32,u64,s64}", "", "mem T", effect="write"),
    Row("red[.{relaxed,release}][.<scope>][.<aspace>].add.noftz.{f16,f16x2}", "", "mem T!", effect="write", sm=70),
    Row("red[.{relaxed,release}][.<scope>][.<aspace>].add.noftz.{bf16,bf16x2}", "", "mem T!", effect="write", sm=90, ptx=78),
    Row("red[.{relaxed,release}][.<scope>].global.add.{v2,v4}.f32", "", "mem T*V!", effect="write", sm=90, ptx=81),
)
