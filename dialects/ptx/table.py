"""The instruction table: one row per legal instruction form. Verifier, builder, printer, parser and
emulator all read it; nothing else knows what PTX accepts.

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
    "n": "{8,16,24,32,40,48,56,64,72,80,88,96,104,112,120,128,136,144,152,160,168,176,184,192,200,"
         "208,216,224,232,240,248,256}",
    "n16": "{8,16,24,32,48,64,80,96,112,128,144,160,176,192,208,224,240,256}",
    "fp8": "{e4m3,e5m2}",
    "fp8x2": "{e4m3x2,e5m2x2}",
}

INTEGER: tuple[Row, ...] = (
    Row("{add,sub}.<int>", "T", "T T"),
    Row("{add,sub}.sat.s32", "T", "T T"),
    Row("mul.{lo,hi}.<int>", "T", "T T"),
    Row("mul.wide.{u16,s16,u32,s32}", "W", "T T"),
    Row("mad.{lo,hi}.<int>", "T", "T T T"),
    Row("mad.wide.{u16,s16,u32,s32}", "W", "T T W"),
    Row("{div,rem}.<int>", "T", "T T"),
    Row("{abs,neg}.{s16,s32,s64}", "T", "T"),
    Row("{min,max}.<int>", "T", "T T"),
    Row("popc.{b32,b64}", "b32", "T"),
    Row("clz.{b32,b64}", "b32", "T"),
    Row("bfind[.shiftamt].{u32,s32,u64,s64}", "b32", "T"),
    Row("brev.{b32,b64}", "T", "T"),
    Row("bfe.{u32,s32,u64,s64}", "T", "T b32 b32"),
    Row("bfi.{b32,b64}", "T", "T T b32 b32"),
    Row("dp4a.{s32,u32}.{s32,u32}", "b32", "b32 b32 b32", sm=61),
    Row("{and,or,xor}.{b16,b32,b64,pred}", "T", "T T"),
    Row("{not,cnot}.<bits>", "T", "T"),
    Row("not.pred", "T", "T"),
    Row("shl.<bits>", "T", "T b32"),
    Row("shr.{b16,b32,b64,u16,s16,u32,s32,u64,s64}", "T", "T b32"),
    Row("shf.{l,r}.{wrap,clamp}.b32", "b32", "b32 b32 b32"),
    Row("lop3.b32", "T", "T T T imm"),
    Row("prmt.b32[.{f4e,b4e,rc8,ecl,ecr,rc16}]", "b32", "b32 b32 b32"),
)

FLOAT: tuple[Row, ...] = (
    Row("{add,sub,mul}[.<rnd>][.ftz][.sat].f32", "T", "T T"),
    Row("{add,sub,mul}[.<rnd>].f64", "T", "T T"),
    Row("{add,sub,mul}[.rn][.ftz][.sat].{f16,f16x2}", "T", "T! T!", sm=53),
    Row("{add,sub,mul}[.rn].{bf16,bf16x2}", "T", "T! T!", sm=90, ptx=78),
    Row("fma.<rnd>[.ftz][.sat].f32", "T", "T T T"),
    Row("fma.<rnd>.f64", "T", "T T T"),
    Row("fma.rn[.ftz][.sat].{f16,f16x2}", "T", "T! T! T!", sm=53),
    Row("fma.rn[.relu].{f16,f16x2,bf16,bf16x2}", "T", "T! T! T!", sm=80),
    Row("div{.full,.approx,.rn,.rz,.rm,.rp}[.ftz].f32", "T", "T T"),
    Row("div.<rnd>.f64", "T", "T T"),
    Row("{abs,neg}[.ftz].f32", "T", "T"),
    Row("{abs,neg}.f64", "T", "T"),
    Row("{abs,neg}[.ftz].{f16,f16x2}", "T", "T!", sm=53),
    Row("{abs,neg}.{bf16,bf16x2}", "T", "T!", sm=80),
    Row("{min,max}[.ftz][.NaN].f32", "T", "T T"),
    Row("{min,max}.f64", "T", "T T"),
    Row("{min,max}[.ftz][.NaN].{f16,f16x2}", "T", "T! T!", sm=80),
    Row("{min,max}[.NaN].{bf16,bf16x2}", "T", "T! T!", sm=80),
    Row("copysign.{f32,f64}", "T", "T T"),
    Row("testp.{finite,infinite,number,notanumber,normal,subnormal}.{f32,f64}", "pred", "T"),
    Row("{sqrt,rcp}.{approx,rn,rz,rm,rp}[.ftz].f32", "T", "T"),
    Row("{sqrt,rcp}.<rnd>.f64", "T", "T"),
    Row("{rsqrt,ex2,lg2,sin,cos}.approx[.ftz].f32", "T", "T"),
    Row("tanh.approx.f32", "T", "T", sm=75),
    Row("{ex2,tanh}.approx.{f16,f16x2}", "T", "T!", sm=75),
    Row("ex2.approx.ftz.{bf16,bf16x2}", "T", "T!", sm=90, ptx=78),
    Row("tanh.approx.{bf16,bf16x2}", "T", "T!", sm=90, ptx=78),
)

COMPARE: tuple[Row, ...] = (
    Row("setp.{eq,ne}[.<bool>].<bits>", "pred", "T T P"),
    Row("setp.<cmp>[.<bool>].<signed>", "pred", "T T P"),
    Row("setp.<cmpu>[.<bool>].<unsigned>", "pred", "T T P"),
    Row("setp.<cmpf>[.<bool>][.ftz].f32", "pred", "T T P"),
    Row("setp.<cmpf>[.<bool>].f64", "pred", "T T P"),
    Row("setp.<cmpf>[.ftz].f16", "pred", "T! T!", sm=53),
    Row("setp.<cmpf>.bf16", "pred", "T! T!", sm=90, ptx=78),
    Row("setp.<cmpf>[.ftz].f16x2", "pred|pred", "T! T!", sm=53),
    Row("set.{eq,ne}.{u32,s32,f32}.<bits>", "T0", "T T"),
    Row("set.<cmp>.{u32,s32,f32}.<signed>", "T0", "T T"),
    Row("set.<cmpu>.{u32,s32,f32}.<unsigned>", "T0", "T T"),
    Row("set.<cmpf>[.ftz].{u32,s32,f32}.f32", "T0", "T T"),
    Row("selp.<any>", "T", "T T pred"),
)

CONVERT: tuple[Row, ...] = (
    Row("cvt.<int8>.<int8>", "T0", "T"),
    Row("cvt.sat.{u8,s8,u16,s16}.{u32,s32,u64,s64}", "T0", "T"),
    Row("cvt.<rnd>.{f16,f32,f64}.<int8>", "T0", "T"),
    Row("cvt.<rndi>[.sat].<int8>.{f16,f32,f64}", "T0", "T"),
    Row("cvt.<rndi>.ftz[.sat].<int8>.f32", "T0", "T"),
    Row("cvt.<rnd>.bf16.<int>", "T0", "T", sm=90, ptx=78),
    Row("cvt.<rndi>.<int>.bf16", "T0", "T!", sm=90, ptx=78),
    Row("cvt[.<rndi>][.ftz][.sat].f32.f32", "T0", "T"),
    Row("cvt[.ftz][.sat].f32.f16", "T0", "T"),
    Row("cvt.<rnd>[.ftz][.sat].f16.{f32,f64}", "T0", "T"),
    Row("cvt.<rnd>[.ftz][.sat].f32.f64", "T0", "T"),
    Row("cvt.f64.{f16,f32,f64}", "T0", "T"),
    Row("cvt.{rn,rz}[.relu][.satfinite].bf16.f32", "T0", "T", sm=80),
    Row("cvt.{rn,rz}[.relu][.satfinite].{f16x2,bf16x2}.f32", "T0", "T T", sm=80),
    Row("cvt.f32.bf16", "T0", "T!", sm=80, ptx=71),
    Row("cvt.ftz.f32.bf16", "T0", "T!", sm=90, ptx=78),
    Row("cvt.rna[.satfinite].tf32.f32", "b32", "T", sm=80),
    Row("cvt.{rn,rz}.tf32.f32", "b32", "T", sm=90, ptx=78),
    Row("cvt.rn.satfinite[.relu].<fp8x2>.f32", "b16", "T T", sm=89, ptx=81),
    Row("cvt.rn.satfinite[.relu].<fp8x2>.f16x2", "b16", "T!", sm=89, ptx=81),
    Row("cvt.rn[.relu].f16x2.<fp8x2>", "b32", "b16!", sm=89, ptx=81),
    Row("cvt.pack.sat.{s16,u16}.s32", "b32", "b32 b32", key="cvt.pack", sm=72),
    Row("cvt.pack.sat.{s8,u8}.s32.b32", "b32", "b32 b32 b32", key="cvt.pack", sm=72),
    Row("mov.<any>", "T", "T"),  # also of special registers, symbols, and {…} both ways for .b32/.b64
    Row("mov.pred", "T", "T"),
    Row("cvta[.to].{global,shared,local,const}.u64", "T", "T"),
    Row("cvta[.to].param.u64", "T", "T", sm=70, ptx=77),
    Row("mapa[.shared::cluster].{u32,u64}", "T", "T b32", sm=90, ptx=78),
)

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
    Row("createpolicy.fractional.L2::{evict_last,evict_normal,evict_first,evict_unchanged}"
        "[.L2::{evict_first,evict_unchanged}].b64", "b64", "f32?", sm=80, ptx=74),
    Row("atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].{and,or,xor}.{b32,b64}", "T", "mem T", effect="write"),
    Row("atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].add.{u32,s32,u64,f32,f64}", "T", "mem T", effect="write"),
    Row("atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].{inc,dec}.u32", "T", "mem T", effect="write"),
    Row("atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].{min,max}.{u32,s32,u64,s64}", "T", "mem T", effect="write"),
    Row("atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].add.noftz.{f16,f16x2}", "T", "mem T!", effect="write", sm=70),
    Row("atom[.{relaxed,acquire,release,acq_rel}][.<scope>][.<aspace>].add.noftz.{bf16,bf16x2}", "T", "mem T!", effect="write", sm=90, ptx=78),
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

ASYNC: tuple[Row, ...] = (
    Row("cp.async.{ca,cg}.<cta>.global[<prefetch>]", "", "mem mem imm b32?", key="cp.async", effect="write", sm=80),
    Row("cp.async.{ca,cg}.<cta>.global<hint>[<prefetch>]", "", "mem mem imm b64!", key="cp.async",
        effect="write", sm=80, ptx=74),
    Row("cp.async.commit_group", key="cp.async.commit_group", effect="sync", sm=80),
    Row("cp.async.wait_group", "", "imm", key="cp.async.wait_group", effect="sync", sm=80),
    Row("cp.async.wait_all", key="cp.async.wait_all", effect="sync", sm=80),
    Row("cp.async.mbarrier.arrive[.noinc][.<cta>].b64", "", "mem", key="cp.async.mbarrier.arrive",
        effect="sync", sm=80),
    Row("cp.async.bulk.shared::cluster.global.<complete>", "", "mem mem b32 mem",
        key="cp.async.bulk.load", effect="write", sm=90, ptx=80),
    Row("cp.async.bulk.shared::cluster.global.<complete><hint>", "", "mem mem b32 mem b64!",
        key="cp.async.bulk.load", effect="write", sm=90, ptx=80),
    Row("cp.async.bulk.shared::cta.global.<complete>", "", "mem mem b32 mem",
        key="cp.async.bulk.load", effect="write", sm=90, ptx=86),
    Row("cp.async.bulk.shared::cta.global.<complete><hint>", "", "mem mem b32 mem b64!",
        key="cp.async.bulk.load", effect="write", sm=90, ptx=86),
    Row("cp.async.bulk.shared::cluster.global.<complete>.multicast::cluster", "", "mem mem b32 mem b16!",
        key="cp.async.bulk.load", effect="write", sm=90, ptx=80),
    Row("cp.async.bulk.shared::cluster.global.<complete>.multicast::cluster<hint>", "", "mem mem b32 mem b16! b64!",
        key="cp.async.bulk.load", effect="write", sm=90, ptx=80),
    Row("cp.async.bulk.shared::cluster.shared::cta.<complete>", "", "mem mem b32 mem",
        key="cp.async.bulk.peer", effect="write", sm=90, ptx=80),
    Row("cp.async.bulk.global.shared::cta.bulk_group", "", "mem mem b32", key="cp.async.bulk.store",
        effect="write", sm=90, ptx=80),
    Row("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.{u32,s32,u64,f32,f64}", "", "mem mem b32",
        key="cp.reduce.async.bulk", effect="write", sm=90, ptx=80),
    Row("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.noftz.{f16,bf16}", "", "mem mem b32",
        key="cp.reduce.async.bulk", effect="write", sm=90, ptx=80),
    Row("cp.async.bulk.prefetch.L2.global", "", "mem b32", key="cp.async.bulk.prefetch", effect="read",
        sm=90, ptx=80),
    Row("cp.async.bulk.commit_group", key="cp.async.bulk.commit_group", effect="sync", sm=90, ptx=80),
    Row("cp.async.bulk.wait_group[.read]", "", "imm", key="cp.async.bulk.wait_group", effect="sync", sm=90, ptx=80),
    Row("cp.async.bulk.tensor.<dims>.shared::cluster.global[.tile].<complete>", "", "mem mem2 mem",
        key="cp.async.bulk.tensor.load", effect="write", sm=90, ptx=80),
    Row("cp.async.bulk.tensor.<dims>.shared::cluster.global[.tile].<complete><hint>", "",
        "mem mem2 mem b64!", key="cp.async.bulk.tensor.load", effect="write", sm=90, ptx=80),
    Row("cp.async.bulk.tensor.<dims>.shared::cluster.global[.tile].<complete>.multicast::cluster", "",
        "mem mem2 mem b16!", key="cp.async.bulk.tensor.load", effect="write", sm=90, ptx=80),
    Row("cp.async.bulk.tensor.<dims>.shared::cluster.global[.tile].<complete>.multicast::cluster<hint>", "",
        "mem mem2 mem b16! b64!", key="cp.async.bulk.tensor.load", effect="write", sm=90, ptx=80),
    Row("cp.async.bulk.tensor.<dims>.global.shared::cta[.tile].bulk_group", "", "mem2 mem",
        key="cp.async.bulk.tensor.store", effect="write", sm=90, ptx=80),
    Row("mbarrier.init[.<cta>].b64", "", "mem b32", key="mbarrier.init", effect="sync", sm=80),
    Row("mbarrier.inval[.<cta>].b64", "", "mem", key="mbarrier.inval", effect="sync", sm=80),
    Row("mbarrier.arrive[.<cta>].b64", "_", "mem", key="mbarrier.arrive", effect="sync", sm=80, ptx=71),
    Row("mbarrier.arrive[.<cta>].b64", "_", "mem b32", key="mbarrier.arrive", effect="sync", sm=90, ptx=78),
    Row("mbarrier.arrive.release.{cta,cluster}[.<cta>].b64", "_", "mem b32?", key="mbarrier.arrive",
        effect="sync", sm=90, ptx=80),
    Row("mbarrier.arrive[.release.cluster].shared::cluster.b64", "_", "mem b32?", key="mbarrier.arrive",
        effect="sync", sm=90, ptx=80),
    Row("mbarrier.arrive.expect_tx[.release.{cta,cluster}][.{shared,shared::cta,shared::cluster}].b64", "_",
        "mem b32", key="mbarrier.arrive.expect_tx", effect="sync", sm=90, ptx=80),
    Row("mbarrier.expect_tx[.relaxed.{cta,cluster}][.{shared,shared::cta,shared::cluster}].b64", "", "mem b32",
        key="mbarrier.expect_tx", effect="sync", sm=90, ptx=80),
    Row("mbarrier.test_wait.parity[.<cta>].b64", "pred", "mem b32", key="mbarrier.test_wait", effect="sync",
        sm=80, ptx=71),
    Row("mbarrier.try_wait.parity[.<cta>].b64", "pred", "mem b32 b32?", key="mbarrier.try_wait", effect="sync",
        sm=90, ptx=78),
    Row("mbarrier.test_wait.parity.acquire.{cta,cluster}[.<cta>].b64", "pred", "mem b32",
        key="mbarrier.test_wait", effect="sync", sm=90, ptx=80),
    Row("mbarrier.try_wait.parity.acquire.{cta,cluster}[.<cta>].b64", "pred", "mem b32 b32?",
        key="mbarrier.try_wait", effect="sync", sm=90, ptx=80),
)

SYNC: tuple[Row, ...] = (
    Row("membar.{cta,gl,sys}", key="fence", effect="sync"),
    Row("fence.{acq_rel,sc}.<scope>", key="fence", effect="sync", sm=70),
    Row("fence.proxy.{alias,async,async.global,async.shared::cta,async.shared::cluster}", key="fence.proxy",
        effect="sync", sm=90, ptx=80),
    Row("fence.mbarrier_init.release.cluster", key="fence", effect="sync", sm=90, ptx=80),
    Row("fence.proxy.tensormap::generic.release.{cta,cluster,gpu,sys}", key="fence.proxy", effect="sync",
        sm=90, ptx=83),
    Row("fence.proxy.tensormap::generic.acquire.{cta,cluster,gpu,sys}", "", "mem imm", key="fence.proxy",
        effect="sync", sm=90, ptx=83),
    Row("bar.sync", "", "b32 b32?", key="bar.sync", effect="sync"),
    Row("bar.arrive", "", "b32 b32", key="bar.arrive", effect="sync"),
    Row("bar.warp.sync", "", "b32", key="bar.warp.sync", effect="sync"),
    Row("bar.red.popc.u32", "b32", "b32 pred", key="bar.red.popc", effect="sync"),
    Row("bar.red.{and,or}.pred", "pred", "b32 pred", key="bar.red", effect="sync"),
    Row("barrier[.cta].sync[.aligned]", "", "b32 b32?", key="bar.sync", effect="sync", ptx=78),
    Row("barrier[.cta].arrive[.aligned]", "", "b32 b32", key="bar.arrive", effect="sync", ptx=78),
    Row("barrier.cluster.arrive[.{release,relaxed}][.aligned]", key="barrier.cluster.arrive", effect="sync",
        sm=90, ptx=80),
    Row("barrier.cluster.wait[.acquire][.aligned]", key="barrier.cluster.wait", effect="sync", sm=90, ptx=80),
    Row("shfl.sync.{up,down,bfly,idx}.b32", "S", "b32! b32 b32 b32", key="shfl", effect="sync"),
    Row("vote.sync.{any,all,uni}.pred", "pred", "pred b32", key="vote", effect="sync"),
    Row("vote.sync.ballot.b32", "b32", "pred b32", key="vote.ballot", effect="sync"),
    Row("match.any.sync.{b32,b64}", "b32", "T b32", key="match.any", effect="sync", sm=70),
    Row("match.all.sync.{b32,b64}", "b32|pred", "T b32", key="match.all", effect="sync", sm=70),
    Row("redux.sync.{add,min,max}.{u32,s32}", "b32", "b32 b32", key="redux", effect="sync", sm=80),
    Row("redux.sync.{and,or,xor}.b32", "b32", "b32 b32", key="redux", effect="sync", sm=80),
    Row("activemask.b32", "b32", "", effect="sync"),
    Row("elect.sync", "b32|pred", "b32", key="elect", effect="sync", sm=90, ptx=80),
    Row("setmaxnreg.{inc,dec}.sync.aligned.u32", "", "imm", key="setmaxnreg", effect="sync", sm=90, ptx=80,
        arch=True),
    Row("griddepcontrol.{wait,launch_dependents}", key="griddepcontrol", effect="sync", sm=90, ptx=78),
    Row("nanosleep.u32", "", "b32", effect="sync", sm=70),
    Row("trap", effect="sync"),
    Row("exit", effect="sync"),
)

MATRIX: tuple[Row, ...] = (
    Row("ldmatrix.sync.aligned.m8n8.{x1,x2,x4}[.trans][.<cta>].b16", "b32*X", "mem", key="ldmatrix",
        effect="read", sm=75),
    Row("stmatrix.sync.aligned.m8n8.{x1,x2,x4}[.trans][.<cta>].b16", "", "mem b32*X!", key="stmatrix",
        effect="write", sm=90, ptx=78),
    Row("movmatrix.sync.aligned.m8n8.trans.b16", "b32", "b32!", key="movmatrix", effect="sync", sm=75, ptx=78),
    Row("mma.sync.aligned.m16n8k16.row.col.f32.{bf16.bf16,f16.f16}.f32", "f32*4", "b32*4! b32*2! f32*4!", sm=80),
    Row("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16", "b32*2", "b32*4! b32*2! b32*2!", sm=80),
    Row("mma.sync.aligned.m16n8k8.row.col.f32.{bf16.bf16,f16.f16}.f32", "f32*4", "b32*2! b32*1! f32*4!", sm=80),
    Row("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", "f32*4", "b32*4! b32*2! f32*4!", sm=80),
    Row("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32", "f32*4", "b32*2! b32*1! f32*4!", sm=80),
    Row("mma.sync.aligned.m16n8k32.row.col[.satfinite].s32.{s8,u8}.{s8,u8}.s32", "b32*4",
        "b32*4! b32*2! b32*4!", sm=80),
    Row("mma.sync.aligned.m16n8k16.row.col[.satfinite].s32.{s8,u8}.{s8,u8}.s32", "b32*4",
        "b32*2! b32*1! b32*4!", sm=80),
    Row("mma.sync.aligned.m16n8k32.row.col.f32.<fp8>.<fp8>.f32", "f32*4", "b32*4! b32*2! f32*4!", sm=89, ptx=84),
    Row("wgmma.fence.sync.aligned", key="wgmma.fence", effect="sync", sm=90, ptx=80, arch=True),
    Row("wgmma.commit_group.sync.aligned", key="wgmma.commit_group", effect="sync", sm=90, ptx=80, arch=True),
    Row("wgmma.wait_group.sync.aligned", "", "imm", key="wgmma.wait_group", effect="sync", sm=90, ptx=80, arch=True),
    # A and B by descriptor: scale-d, scale-a, scale-b, transpose-a, transpose-b
    Row("wgmma.mma_async.sync.aligned.m64n<n>k16.f32.{bf16.bf16,f16.f16}", "A",
        "A b64! b64! pred imm imm imm imm", key="wgmma", effect="sync", sm=90, ptx=80, arch=True),
    # A in registers: scale-d, scale-a, scale-b, transpose-b
    Row("wgmma.mma_async.sync.aligned.m64n<n>k16.f32.{bf16.bf16,f16.f16}", "A",
        "A b32*4! b64! pred imm imm imm", key="wgmma", effect="sync", sm=90, ptx=80, arch=True),
    Row("wgmma.mma_async.sync.aligned.m64n<n>k32.f32.<fp8>.<fp8>", "A",
        "A b64! b64! pred imm imm", key="wgmma", effect="sync", sm=90, ptx=80, arch=True),
    Row("wgmma.mma_async.sync.aligned.m64n<n>k32.f32.<fp8>.<fp8>", "A",
        "A b32*4! b64! pred imm imm", key="wgmma", effect="sync", sm=90, ptx=80, arch=True),
    Row("wgmma.mma_async.sync.aligned.m64n<n16>k32.s32.{s8.s8,u8.u8}", "A",
        "A b64! b64! pred", key="wgmma", effect="sync", sm=90, ptx=80, arch=True),
    Row("wgmma.mma_async.sync.aligned.m64n<n16>k32.s32.{s8.u8,u8.s8}", "A",
        "A b64! b64! pred", key="wgmma", effect="sync", sm=90, ptx=84, arch=True),
    Row("wgmma.mma_async.sync.aligned.m64n<n16>k32.s32.{s8.s8,u8.u8}", "A",
        "A b32*4! b64! pred", key="wgmma", effect="sync", sm=90, ptx=80, arch=True),
    Row("wgmma.mma_async.sync.aligned.m64n<n16>k32.s32.{s8.u8,u8.s8}", "A",
        "A b32*4! b64! pred", key="wgmma", effect="sync", sm=90, ptx=84, arch=True),
)

NEEDS: dict[str, tuple[int, int]] = {
    "shared::cta": (50, 78), "shared::cluster": (90, 78), "cluster": (90, 78), "satfinite": (80, 81),
    "relu": (80, 70), "L2::64B": (75, 74), "L2::128B": (75, 74), "L2::256B": (80, 74), "cache_hint": (80, 74),
    **{f"L1::{how}": (70, 74) for how in ("evict_normal", "evict_unchanged", "evict_first", "evict_last", "no_allocate")},
}
"""Modifier → the first (sm, PTX version) that has it, whatever the instruction."""

TABLE: tuple[Row, ...] = (*INTEGER, *FLOAT, *COMPARE, *CONVERT, *MEMORY, *ASYNC, *SYNC, *MATRIX)
