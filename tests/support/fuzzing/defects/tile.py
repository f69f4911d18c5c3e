"""Defects of `tile`."""

from . import planted

LAYOUTS = """
#line = #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>
#pair = #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>
#split = #layout.tv<shape = [64], reg = [[2, [32]]], lane = [[32, [1]]], warp = []>
#one = #layout.tv<shape = [1], reg = [], lane = [[32, [0]]], warp = []>
"""
BASE = f"""{LAYOUTS}
tile.kernel @k(%x: !layout.buffer<["T", 32], f32>, %y: !layout.buffer<[64], f32>, %T: i32) attributes {{effects = ["r", "rw"], grid = ["T", "1", "1"], sizes = ["T"], warps = 1 : i32}} {{
  %i, %j, %k = tile.task
  %c = arith.constant 0 : i32
  %s = tile.alloc : !tile.smem<64xf32>
  %v = tile.view %s at 128 : i64 : !tile.smem<64xf32> -> !tile.smem<32xf32>
  %0 = tile.load %y[%c] {{cache = "nc"}} : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #pair>
  %1 = tile.map %0 : (!tile.frag<64xf32, #pair>) -> !tile.frag<64xf32, #pair> {{
  ^bb0(%a: f32):
    %b = arith.mulf %a, %a : f32
    tile.yield %b : f32
  }}
  %2 = tile.relayout %1 : !tile.frag<64xf32, #pair> -> !tile.frag<64xf32, #split>
  tile.store %2, %y[%c] : !tile.frag<64xf32, #split> -> !layout.buffer<[64], f32>
  %3 = tile.full 0.000000e+00 : f32 : !tile.frag<32xf32, #line>
  %4 = tile.reduce %3 "add" over 0 : i64 : !tile.frag<32xf32, #line> -> !tile.frag<1xf32, #one>
  %5 = tile.extract %4 at [0] : !tile.frag<1xf32, #one> -> f32
  tile.store_scalar %5, %y[%c] : f32 -> !layout.buffer<[64], f32>
  %6 = tile.splat %5 : f32 -> !tile.frag<32xf32, #line>
  %7 = tile.iota 0 : i64 : !tile.frag<32xi32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  %8 = tile.slice %2 {{axis = 0 : i64, start = 0 : i64, size = 32 : i64}} : !tile.frag<64xf32, #split> -> !tile.frag<32xf32, #line>
  tile.return
}}
"""
RING = """
tile.kernel @r(%b0: !layout.buffer<[4096], bf16>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 3 : i32} {
  %0 = arith.constant 0 : i32
  %1 = tile.ring {copies = 1 : i32, consumers = 2 : i32} : !tile.ring<4, 512xbf16>
  tile.roles warps [1, 2] regs [40, 232] {
    %2 = tile.ring_acquire %1[%0] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>
    tile.bulk_load %b0[%0], %1[%0] {bytes = 1024 : i64} : !layout.buffer<[4096], bf16>[i32] -> !tile.ring<4, 512xbf16>
    tile.yield
  }, {
    %3 = tile.ring_wait %1[%0] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>
    tile.ring_release %1[%0] : !tile.ring<4, 512xbf16>
    tile.yield
  }
  tile.return
}
"""
WGMMA = """
#c = #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>
#a = #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>
#p = #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>
tile.kernel @w(%y: !layout.buffer<[64, 8], f32>) attributes {effects = ["w"], grid = ["1", "1", "1"], sizes = [], warps = 4 : i32} {
  %z = arith.constant 0 : i32
  %0 = tile.full 0.000000e+00 : f32 : !tile.frag<64x8xf32, #c>
  %1 = tile.alloc : !tile.smem<8x64xbf16, #p>
  %2 = tile.full 0.000000e+00 : bf16 : !tile.frag<64x64xbf16, #a>
  %3 = tile.wgmma %2, %1, %0 : !tile.frag<64x64xbf16, #a>, !tile.smem<8x64xbf16, #p>, !tile.frag<64x8xf32, #c> -> !tile.inflight<64x8xf32, #c>
  %4 = tile.wgmma_wait %3 {pending = 0 : i64} : !tile.inflight<64x8xf32, #c> -> !tile.frag<64x8xf32, #c>
  tile.store %4, %y[%z, %z] : !tile.frag<64x8xf32, #c> -> !layout.buffer<[64, 8], f32>
  tile.return
}
"""
WAIT = "%4 = tile.wgmma_wait %3 {pending = 0 : i64} : !tile.inflight<64x8xf32, #c> -> !tile.frag<64x8xf32, #c>"
ASYNC = """
tile.kernel @a(%x: !layout.buffer<["T", 256], bf16>, %n: !layout.buffer<[4], i32>, %m: !tile.tmap<16x64xbf16, swizzle = 128>, %T: i32) attributes {cluster = 2 : i32, effects = ["rw", "rw"], grid = ["T", "1", "1"], maps = [#layout.tensor_map<buffer = 0, box = [16, 64], swizzle = 128>], sizes = ["T"], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %s = tile.alloc : !tile.smem<16x64xbf16, #layout.mem<[[16, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %b = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<2>
  %p = tile.peer %b at %c : !tile.mbarriers<2> -> !tile.mbarriers<2>
  tile.mbarrier_expect %b[%c] {bytes = 2048 : i64} : !tile.mbarriers<2>
  tile.tma_copy %m[%c, %c], %s, %b[%c] : !tile.tmap<16x64xbf16, swizzle = 128> -> !tile.smem<16x64xbf16, #layout.mem<[[16, 64]], [[64, 1]], swizzle = [3, 3, 3]>>, !tile.mbarriers<2>
  tile.mbarrier_wait %b[%c] parity %c : !tile.mbarriers<2>
  tile.bulk_store %s, %x[%c] {bytes = 128 : i64} : !tile.smem<16x64xbf16, #layout.mem<[[16, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !layout.buffer<["T", 256], bf16>[i32]
  tile.bulk_wait 0 : i64
  tile.publish "x" on %n[%c] {by = "counter"} : !layout.buffer<[4], i32>
  tile.return
}
"""
DEFECTS = [
    *planted(
        BASE,
        ("an effect too few", 'effects = ["r", "rw"]', 'effects = ["r"]', "2 buffers, 1 effects"),
        ("an unknown effect", 'effects = ["r", "rw"]', 'effects = ["r", "wr"]', "effect 'wr' is none of r, w, rw"),
        ("a store to what is read only", 'effects = ["r", "rw"]', 'effects = ["r", "r"]', "writes to a buffer whose effect is r"),
        ("no warps", "warps = 1 : i32", "warps = 0 : i32", "0 warps; a CTA has 1 to 32"),
        ("fragments of other warps", "warps = 1 : i32", "warps = 2 : i32", "but 2 warps run it"),
        ("a grid of nonsense", 'grid = ["T", "1", "1"]', 'grid = ["T T", "1", "1"]', "no size expression"),
        ("a size too many", 'sizes = ["T"]', 'sizes = ["B", "T"]', "1 i32 arguments, 2 sizes"),
        ("a kernel without warps", ", warps = 1 : i32", "", "warps"),
        ("lanes that are no warp", "lane = [[32, [1]]], warp = []>\n#pair", "lane = [[16, [1]]], warp = []>\n#pair", "a warp has 32", "LLMC0001"),
        ("a layout that leaves its tile", "#layout.tv<shape = [64], reg = [[2, [1]]]", "#layout.tv<shape = [64], reg = [[3, [1]]]", "malformed register layout", "LLMC0001"),
        ("a fragment of another shape than its layout", "!tile.frag<64xf32, #pair> {\n", "!tile.frag<32xf32, #pair> {\n", "syntax error", "LLMC0001"),
        ("an offset too many", "%0 = tile.load %y[%c]", "%0 = tile.load %y[%c, %c]", "2 offsets for a memory of rank 1"),
        ("a load of another element type", "tile.load %y[%c] {cache = \"nc\"} : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #pair>", "tile.load %y[%c] {cache = \"nc\"} : !layout.buffer<[64], f32> -> !tile.frag<64xbf16, #pair>", "operand is used with type", "LLMC0001"),
        ("an unknown cache hint", 'cache = "nc"', 'cache = "warm"', "cache hint 'warm' is none of"),
        ("checks of another rank", '{cache = "nc"}', "{checked = [true, false]}", "checked has 2 flags for rank 1"),
        ("a large tile unchecked", "%y: !layout.buffer<[64], f32>", "%y: !layout.buffer<[63], f32>", "operand is used with type", "LLMC0001"),
        ("a view beyond the end", "at 128 : i64", "at 132 : i64", "the view ends at byte 260 of 256"),
        ("a map that changes the layout", "%1 = tile.map %0 : (!tile.frag<64xf32, #pair>) -> !tile.frag<64xf32, #pair>", "%1 = tile.map %0 : (!tile.frag<64xf32, #pair>) -> !tile.frag<64xf32, #split>", "operand is used with type", "LLMC0001"),
        ("a map whose region takes another type", "^bb0(%a: f32):\n    %b = arith.mulf %a, %a : f32", "^bb0(%a: bf16):\n    %b = arith.extf %a : bf16 to f32", "the region takes ['bf16'], the operands have ['f32']"),
        ("a map that yields another type", "tile.yield %b : f32", "tile.yield %c : i32", "the yielded types are not the results' element types"),
        ("a map without end", "    tile.yield %b : f32\n", "", "is not a terminator"),
        ("a relayout of another shape", "#split>\n  tile.store", "#line>\n  tile.store", "syntax error", "LLMC0001"),
        ("an unknown reduction", '"add" over', '"mean" over', "kind 'mean' is none of"),
        ("a reduction of no axis", '"add" over 0', '"add" over 1', "axis 1 of a fragment of rank 1"),
        ("an element that threads lack", "%5 = tile.extract %4 at [0] : !tile.frag<1xf32, #one>", "%5 = tile.extract %3 at [0] : !tile.frag<32xf32, #line>", "is not held by every thread"),
        ("a value of another type", "tile.full 0.000000e+00 : f32", "tile.full 0.000000e+00 : bf16", "a value of bf16 in"),
        ("a scalar of another type", "%6 = tile.splat %5 : f32", "%6 = tile.splat %c : i32", "a scalar of i32 in"),
        ("coordinates that are floats", "!tile.frag<32xi32,", "!tile.frag<32xf32,", "coordinates are i32"),
        ("a slice beyond the end", "start = 0 : i64, size = 32", "start = 64 : i64, size = 32", "slice"),
        ("use before definition", "tile.relayout %1 :", "tile.relayout %2 :", "but used with type", "LLMC0001"),
        ("missing terminator", "  tile.return\n", "", "terminator"),
        ("unknown op", "tile.iota", "tile.jota", "tile.jota is not registered", "LLMC0001"),
    ),
    *planted(
        RING,
        ("no copies", "copies = 1 : i32", "copies = 0 : i32", "at least one copy a stage"),
        ("no consumers", "consumers = 2 : i32", "consumers = 0 : i32", "one consumer warp"),
        ("more consumers than warps", "consumers = 2 : i32", "consumers = 4 : i32", "4 consumer warps of a kernel of 3"),
        ("no stages", "!tile.ring<4, 512xbf16>\n  tile.roles", "!tile.ring<0, 512xbf16>\n  tile.roles", "a ring has at least one stage", "LLMC0001"),
        ("a stage that is cut", "!tile.ring<4, 512xbf16>\n  tile.roles", "!tile.ring<4, 511xbf16>\n  tile.roles", "operand is used with type", "LLMC0001"),
        ("a stage of another type", "%2 = tile.ring_acquire %1[%0] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>", "%2 = tile.ring_acquire %1[%0] : !tile.ring<4, 512xbf16> -> !tile.smem<256xbf16>", "a stage of the ring is"),
        ("bytes beyond a stage", "bytes = 1024 : i64", "bytes = 1040 : i64", "bytes 0..1040 of a stage of 1024"),
        ("bytes that are no multiple of 16", "bytes = 1024 : i64", "bytes = 1000 : i64", "multiples of 16"),
        ("bytes of nothing", "bytes = 1024 : i64", "bytes = 0 : i64", "multiples of 16"),
        ("roles of too few warps", "tile.roles warps [1, 2]", "tile.roles warps [1, 1]", "roles take 2 warps, the kernel has 3"),
        ("a role too few", "warps [1, 2] regs", "warps [1, 1, 1] regs", "2 roles, 3 warp counts"),
        ("registers that setmaxnreg can't give", "regs [40, 232]", "regs [41, 232]", "multiples of 8 from 24 to 256"),
        ("a role without end", "    tile.yield\n  }, {", "  }, {", "is not a terminator"),
    ),
    *planted(
        WGMMA,
        ("an accumulator in flight that is read", f"{WAIT}\n  tile.store %4, %y[%z, %z] : !tile.frag<64x8xf32, #c>", "tile.store %3, %y[%z, %z] : !tile.inflight<64x8xf32, #c>", "should be of base attribute tile.frag", "LLMC0001"),
        ("an accumulator in flight used twice", WAIT, f"{WAIT}\n  {WAIT.replace('%4', '%5')}", "an accumulator in flight has one user"),
        ("an accumulator in flight that a role of scf yields twice", WAIT, f"%t = arith.constant true\n  %5, %6 = scf.if %t -> (!tile.inflight<64x8xf32, #c>, !tile.inflight<64x8xf32, #c>) {{\n    scf.yield %3, %3 : !tile.inflight<64x8xf32, #c>, !tile.inflight<64x8xf32, #c>\n  }} else {{\n    scf.yield %3, %3 : !tile.inflight<64x8xf32, #c>, !tile.inflight<64x8xf32, #c>\n  }}\n  {WAIT.replace('%3', '%5')}", "an accumulator in flight has one user"),
        ("a wait that leaves a group and gives a fragment", "{pending = 0 : i64}", "{pending = 1 : i64}", "does not give"),
        ("a wait for more than there are", "{pending = 0 : i64}", "{pending = 8 : i64}", "0 to 7 groups may stay in flight"),
        ("a wait for a fragment", "tile.wgmma_wait %3 {pending = 0 : i64} : !tile.inflight<64x8xf32, #c>", "tile.wgmma_wait %0 {pending = 0 : i64} : !tile.frag<64x8xf32, #c>", "should be of base attribute tile.inflight", "LLMC0001"),
        ("an accumulator of halves", "tile.full 0.000000e+00 : f32 : !tile.frag<64x8xf32, #c>", "tile.full 0.000000e+00 : bf16 : !tile.frag<64x8xbf16, #c>", "operand is used with type", "LLMC0001"),
        ("a panel without swizzle", "#p = #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>", "#p = #layout.mem<[[8, 64]], [[64, 1]]>", "descriptors here have the 128-byte one"),
        ("fragments that are no wgmma's", "#a = #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]]", "#a = #layout.tv<shape = [64, 64], reg = [[2, [0, 8]], [2, [8, 0]], [2, [0, 1]], [4, [0, 16]]]", "wgmma: a"),
        ("rows of a without swizzle", "%2 = tile.full 0.000000e+00 : bf16 : !tile.frag<64x64xbf16, #a>\n  %3 = tile.wgmma %2, %1, %0 : !tile.frag<64x64xbf16, #a>", "%2 = tile.alloc : !tile.smem<64x64xbf16>\n  %3 = tile.wgmma %2, %1, %0 : !tile.smem<64x64xbf16>", "wgmma: a: swizzle None"),
        ("a start beyond k", "tile.wgmma %2, %1, %0 :", "tile.wgmma %2, %1, %0 {start = 16 : i64} :", "wgmma: "),
    ),
    *planted(
        ASYNC,
        ("a cluster too large", "cluster = 2 : i32", "cluster = 16 : i32", "clusters of 16 CTAs"),
        ("a map of a buffer that is not there", "<buffer = 0,", "<buffer = 2,", "tensor map 0 is of buffer 2, there are 2"),
        ("a map without argument", "%m: !tile.tmap<16x64xbf16, swizzle = 128>, ", "", "used but never defined", "LLMC0001"),
        ("a map of another box", "box = [16, 64]", "box = [8, 64]", "the argument of"),
        ("a bulk store to what is read only", 'effects = ["rw", "rw"]', 'effects = ["r", "rw"]', "tile.bulk_store writes to a buffer whose effect is r"),
        ("a box that lies otherwise", "#layout.mem<[[16, 64]], [[64, 1]], swizzle = [3, 3, 3]>>\n", "#layout.mem<[[16, 64]], [[64, 1]]>>\n", "operand is used with type", "LLMC0001"),
        ("a coordinate too few", "%m[%c, %c]", "%m[%c]", "1 coordinates for"),
        ("no arrivals", "count = 1 : i32", "count = 0 : i32", "a phase of 0 arrivals"),
        ("no barriers", "!tile.mbarriers<2>\n  %p", "!tile.mbarriers<0>\n  %p", "there is at least one mbarrier", "LLMC0001"),
        ("bytes that no copy brings", "bytes = 2048 : i64", "bytes = 2047 : i64", "copies bring multiples of 16"),
        ("a peer of a number", "tile.peer %b at %c : !tile.mbarriers<2> -> !tile.mbarriers<2>", "tile.peer %c at %c : i32 -> i32", "a peer's memory is the same"),
        ("a store beyond the memory", "bytes = 128 : i64", "bytes = 4096 : i64", "bytes 0..4096 of a stage of 2048"),
        ("a wait for fewer than no groups", "tile.bulk_wait 0", "tile.bulk_wait -1", "-1 pending groups"),
        ("a counter that is not named", ' on %n[%c] {by = "counter"} : !layout.buffer<[4], i32>', ' {by = "counter"}', "by counter: counters are needed"),
        ("an unknown form of dependency", 'by = "counter"', 'by = "luck"', "by = 'luck' is none of"),
    ),
]  # fmt: skip
