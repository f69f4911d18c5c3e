"""Fences, barriers, exchanges within a warp, and what directs a CTA or thread."""

from __future__ import annotations

from .row import Row

SYNC: tuple[Row, ...] = (
    Row("membar.{cta,gl,sys}", key="fence", effect="sync"),
    Row("fence.{acq_rel,sc}.<scope>", key="fence", effect="sync", sm=70),
    Row(
        "fence.proxy.{alias,async,async.global,async.shared::cta,async.shared::cluster}",
        key="fence.proxy",
        effect="sync",
        sm=90,
        ptx=80,
    ),
    Row("fence.mbarrier_init.release.cluster", key="fence", effect="sync", sm=90, ptx=80),
    Row("fence.proxy.tensormap::generic.release.{cta,cluster,gpu,sys}", key="fence.proxy", effect="sync", sm=90, ptx=83),
    Row(
        "fence.proxy.tensormap::generic.acquire.{cta,cluster,gpu,sys}",
        "",
        "mem imm",
        key="fence.proxy",
        effect="sync",
        sm=90,
        ptx=83,
    ),
    Row("bar.sync", "", "b32 b32?", key="bar.sync", effect="sync"),
    Row("bar.arrive", "", "b32 b32", key="bar.arrive", effect="sync"),
    Row("bar.warp.sync", "", "b32", key="bar.warp.sync", effect="sync"),
    Row("bar.red.popc.u32", "b32", "b32 pred", key="bar.red.popc", effect="sync"),
    Row("bar.red.{and,or}.pred", "pred", "b32 pred", key="bar.red", effect="sync"),
    Row("barrier[.cta].sync[.aligned]", "", "b32 b32?", key="bar.sync", effect="sync", ptx=78),
    Row("barrier[.cta].arrive[.aligned]", "", "b32 b32", key="bar.arrive", effect="sync", ptx=78),
    Row("barrier.cluster.arrive[.{release,relaxed}][.aligned]", key="barrier.cluster.arrive", effect="sync", sm=90, ptx=80),
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
    Row("setmaxnreg.{inc,dec}.sync.aligned.u32", "", "imm", key="setmaxnreg", effect="sync", sm=90, ptx=80, arch=True),
    Row("griddepcontrol.{wait,launch_dependents}", key="griddepcontrol", effect="sync", sm=90, ptx=78),
    Row("nanosleep.u32", "", "b32", effect="sync", sm=70),
    Row("trap", effect="sync"),
    Row("exit", effect="sync"),
)
