"""What a row of the instruction table is, and the names that its patterns use.

A row is `Row(pattern, results, operands, key=, sm=, ptx=, effect=)`.

pattern: opcode text where `{a,b}` is a choice, `[x]` is optional and `<name>` a list from MACROS.
results / operands: space-separated kinds (forms.py resolves them for a concrete opcode):
    b16 b32 b64 f32 f64 pred  a register of that kind, or an immediate (operands)
    T, T0, T1       the kind of the last, first, second type modifier (`.s32` → b32, `.bf16x2` → b32, `.u8` → b32)
    W               T of twice the width (mul.wide)
    S               the kind of the first operand (shfl keeps f32 as f32)
    T*V             a vector as long as the `.v2/.v4` modifier says, a single T without one
    b32*4, b32*X    a vector in braces: fixed length, or as long as `.x1/.x2/.x4` says
    A               (wgmma) accumulator array, N/2 registers for f32 and s32; the result is tied to it
    mem             an address; `mem2` a TMA address [map, {coordinates}]
    imm             an immediate only
    _               a result that is dropped: printed as `_`
    P               a predicate, where a `.and/.or/.xor` modifier asks for one
    x!  x?          register only (no immediate) / optional
    a|b             (results) two results of one destination, `d|p`
key: the semantics key (dialects/ptx/semantics.py for elementwise ones); default the base opcode.
effect: "pure" (no effect, may be dropped), "read", "write" (memory), "sync" (threads, barriers, fences).
ptx/sm: the first that has the form (PTX ISA "PTX ISA Notes"/"Target ISA Notes"); arch=True: needs the `a` target.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    pattern: str
    results: str = ""
    operands: str = ""
    key: str = ""
    sm: int = 50
    ptx: int = 70
    effect: str = "pure"
    arch: bool = False


MACROS: dict[str, str] = {
    "int": "{u16,s16,u32,s32,u64,s64}",
    "int8": "{u8,s8,u16,s16,u32,s32,u64,s64}",
    "bits": "{b16,b32,b64}",
    "any": "{b16,b32,b64,u16,s16,u32,s32,u64,s64,f32,f64}",
    "mem": "{b8,b16,b32,b64,u8,s8,u16,s16,u32,s32,u64,s64,f32,f64}",
    "rnd": "{rn,rz,rm,rp}",
    "rndi": "{rni,rzi,rmi,rpi}",
    "half": "{f16,f16x2,bf16,bf16x2}",
    "cmp": "{eq,ne,lt,le,gt,ge}",
    "cmpu": "{eq,ne,lt,le,gt,ge,lo,ls,hi,hs}",
    "cmpf": "{eq,ne,lt,le,gt,ge,equ,neu,ltu,leu,gtu,geu,num,nan}",
    "unsigned": "{u16,u32,u64}",
    "signed": "{s16,s32,s64}",
    "bool": "{and,or,xor}",
    "scope": "{cta,cluster,gpu,sys}",
    "cta": "shared[::cta]",
    "space": "{global,shared,shared::cta,shared::cluster,local}",
    "aspace": "{global,shared,shared::cta,shared::cluster}",
    "l1": ".L1::{evict_normal,evict_unchanged,evict_first,evict_last,no_allocate}",
    "hint": ".L2::cache_hint",
    "prefetch": ".L2::{64B,128B,256B}",
    "complete": "mbarrier::complete_tx::bytes",
    "dims": "{1d,2d,3d,4d,5d}",
    "n": "{8,16,24,32,40,48,56,64,72,80,88,96,104,112,120,128,136,144,152,160,168,176,184,192,200,208,216,224,232,240,248,256}",
    "n16": "{8,16,24,32,48,64,80,96,112,128,144,160,176,192,208,224,240,256}",
    "fp8": "{e4m3,e5m2}",
    "fp8x2": "{e4m3x2,e5m2x2}",
}

NEEDS: dict[str, tuple[int, int]] = {
    "shared::cta": (50, 78),
    "shared::cluster": (90, 78),
    "cluster": (90, 78),
    "satfinite": (80, 81),
    "relu": (80, 70),
    "L2::64B": (75, 74),
    "L2::128B": (75, 74),
    "L2::256B": (80, 74),
    "cache_hint": (80, 74),
    **{f"L1::{how}": (70, 74) for how in ("evict_normal", "evict_unchanged", "evict_first", "evict_last", "no_allocate")},
}
"""Modifier → the first (sm, PTX version) that has it, whatever the instruction."""
