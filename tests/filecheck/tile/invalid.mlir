// RUN: %llmc-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{1 buffers, 0 effects}}
tile.kernel @effects(%x: !layout.buffer<[64], f32>) attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  tile.return
}

// -----

// expected-error @below {{33 warps; a CTA has 1 to 32}}
tile.kernel @warps() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 33 : i32} {
  tile.return
}

// -----

// expected-error @below {{but 2 warps run it}}
tile.kernel @layouts_cover_the_warps() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 2 : i32} {
  %0 = tile.full 0.0 : f32 : !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.return
}

// -----

tile.kernel @offsets(%x: !layout.buffer<[64, 64], f32>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  // expected-error @below {{1 offsets for a memory of rank 2}}
  %0 = tile.load %x[%c] : !layout.buffer<[64, 64], f32> -> !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.return
}

// -----

tile.kernel @large_tiles_are_checked(%x: !layout.buffer<[16], f32>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  // expected-error @below {{dimension 0: a tile of 32 in a memory of 16 must be checked}}
  %0 = tile.load %x[%c] : !layout.buffer<[16], f32> -> !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.return
}

// -----

tile.kernel @constant_tiles_lie_inside(%x: !layout.buffer<[64], f32>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 60 : i32
  // expected-error @below {{dimension 0: [60, 92) leaves the memory's 64}}
  %0 = tile.load %x[%c] : !layout.buffer<[64], f32> -> !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  %1 = tile.load %x[%c] {checked = [true]} : !layout.buffer<[64], f32> -> !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.return
}

// -----

tile.kernel @constant_elements_lie_inside(%x: !layout.buffer<["T", 64], f32>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = ["T"], warps = 1 : i32} {
  %c = arith.constant -1 : i32
  %d = arith.constant 64 : i32
  %e = arith.constant 63 : i32
  // expected-error @below {{dimension 0: [-1, 0) leaves the memory's T}}
  %0 = tile.load_scalar %x[%c, %e] : !layout.buffer<["T", 64], f32> -> f32
  // expected-error @below {{dimension 1: [64, 65) leaves the memory's 64}}
  tile.store_scalar %0, %x[%e, %d] : f32 -> !layout.buffer<["T", 64], f32>
  %never = arith.constant false
  scf.if %never {
    tile.store_scalar %0, %x[%e, %d] : f32 -> !layout.buffer<["T", 64], f32>
    scf.yield
  }
  tile.return
}

// -----

tile.kernel @loads_keep_the_element_type(%x: !layout.buffer<[32], f32>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  // expected-error @below {{loads bf16 from}}
  %0 = tile.load %x[%c] : !layout.buffer<[32], f32> -> !tile.frag<32xbf16, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.return
}

// -----

tile.kernel @cache_hints(%x: !layout.buffer<[32], f32>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  // expected-error @below {{cache hint 'warm' is none of}}
  %0 = tile.load %x[%c] {cache = "warm"} : !layout.buffer<[32], f32> -> !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.return
}

// -----

tile.kernel @reductions() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %0 = tile.full 0.0 : f32 : !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  // expected-error @below {{kind 'mean' is none of add, mul, max, min, and, or}}
  %1 = tile.reduce %0 "mean" over 0 : i64 : !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>> -> !tile.frag<1xf32, #layout.tv<shape = [1], reg = [], lane = [[32, [0]]], warp = []>>
  tile.return
}

// -----

tile.kernel @maps_have_one_layout() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %0 = tile.full 0.0 : f32 : !tile.frag<64xf32, #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>>
  // expected-error @below {{use tile.relayout}}
  %1 = tile.map %0 : (!tile.frag<64xf32, #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>>) -> !tile.frag<64xf32, #layout.tv<shape = [64], reg = [[2, [32]]], lane = [[32, [1]]], warp = []>> {
  ^bb0(%a: f32):
    tile.yield %a : f32
  }
  tile.return
}

// -----

tile.kernel @relabel_keeps_registers() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %0 = tile.full 0.0 : f32 : !tile.frag<64xf32, #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>>
  // expected-error @below {{relabel keeps registers and warps: 2 registers of 1 warps against 1 of 1}}
  %1 = tile.relabel %0 : !tile.frag<64xf32, #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>> -> !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.return
}

// -----

tile.kernel @stages_are_aligned() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  // expected-error @below {{a stage is a multiple of 16 bytes}}
  %0 = tile.ring {copies = 1 : i32, consumers = 1 : i32} : !tile.ring<2, 5xf32>
  tile.return
}

// -----

tile.kernel @roles() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 3 : i32} {
  // expected-error @below {{roles take 2 warps, the kernel has 3}}
  tile.roles warps [1, 1] {
    tile.yield
  }, {
    tile.yield
  }
  tile.return
}

// -----

// expected-error @below {{the register layout has shape [32], the tile}}
func.func @shapes_agree(%x: !tile.frag<16xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>) {
  func.return
}

// -----

tile.kernel @accumulators_in_flight_have_one_user() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 4 : i32} {
  %0 = tile.full 0.0 : f32 : !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // expected-error @below {{an accumulator in flight has one user}}
  %1 = tile.wgmma_begin %0 : !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // expected-error @below {{an accumulator in flight has one user}}
  %2 = tile.wgmma_wait %1 {pending = 1 : i64} : !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // expected-error @below {{an accumulator in flight has one user}}
  %3 = tile.wgmma_wait %1 {pending = 0 : i64} : !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  tile.return
}

// -----

tile.kernel @prefetches_have_the_rank_of_the_buffer(%x: !layout.buffer<[64, 64], f32>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  // expected-error @below {{a tile of [32] at 1 offsets of a buffer of rank 2}}
  tile.prefetch %x[%c] {tv = #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>} : !layout.buffer<[64, 64], f32>
  tile.return
}

// -----

tile.kernel @phases_have_arrivals() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  // expected-error @below {{a phase of 0 arrivals}}
  %0 = tile.mbarrier_init {count = 0 : i32} : !tile.mbarriers<2>
  tile.return
}

// -----

// expected-error @below {{there is at least one mbarrier}}
func.func @no_barriers(%x: !tile.mbarriers<0>) {
  func.return
}

// -----

tile.kernel @copies_come_in_sixteens() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %0 = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<2>
  // expected-error @below {{expects 24 bytes: copies bring multiples of 16}}
  tile.mbarrier_expect %0[%c] {bytes = 24 : i64} : !tile.mbarriers<2>
  tile.return
}

// -----

tile.kernel @arrivals_are_by_warp_or_role() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %0 = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<2>
  // expected-error @below {{by = 'lane' is none of warp, role}}
  tile.mbarrier_arrive %0[%c] {by = "lane"} : !tile.mbarriers<2>
  tile.return
}

// -----

tile.kernel @copies_end_inside(%x: !layout.buffer<[4096], bf16>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %s = tile.alloc : !tile.smem<512xbf16>
  %0 = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<2>
  // expected-error @below {{bytes 512..1536 of a stage of 1024}}
  tile.bulk_copy %x[%c], %s, %0[%c] {bytes = 1024 : i64, at = 512 : i64} : !layout.buffer<[4096], bf16>[i32] -> !tile.smem<512xbf16>, !tile.mbarriers<2>
  tile.return
}

// -----

tile.kernel @dependencies_have_a_form(%n: !layout.buffer<[4], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  // expected-error @below {{by = 'luck' is none of stream, grid, counter}}
  tile.await "x" {by = "luck"}
  tile.return
}

// -----

tile.kernel @touched_too_early(%n: !layout.buffer<[4], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %x = tile.load_scalar %n[%c] : !layout.buffer<[4], f32> -> f32
  tile.await "n" of %n : !layout.buffer<[4], f32>
  tile.return
}
// expected-error @-6 {{%n is touched before it is awaited}}

// -----

tile.kernel @touched_too_late(%n: !layout.buffer<[4], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  tile.await "n" of %n : !layout.buffer<[4], f32>
  tile.publish "n" of %n : !layout.buffer<[4], f32>
  %x = tile.load_scalar %n[%c] : !layout.buffer<[4], f32> -> f32
  tile.return
}
// expected-error @-7 {{%n is touched after it is published}}

// -----

tile.kernel @written_unawaited(%n: !layout.buffer<[4], f32>, %m: !layout.buffer<[4], f32>) attributes {effects = ["r", "w"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  tile.await "n" of %n : !layout.buffer<[4], f32>
  tile.return
}
// expected-error @-4 {{%m is written, but never awaited as other buffers are}}

// -----

tile.kernel @counter_form(%n: !layout.buffer<[4], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  // expected-error @below {{by counter: counters are needed}}
  tile.publish "x" {by = "counter"}
  tile.return
}

// -----

tile.kernel @counters_are_integers(%n: !layout.buffer<[4], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  // expected-error @below {{counters are a buffer of i32 with one dimension}}
  tile.publish "x" on %n[%c] {by = "counter"} : !layout.buffer<[4], f32>
  tile.return
}

// -----

tile.kernel @waits_count_groups(%n: !layout.buffer<[4], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  // expected-error @below {{-1 pending groups}}
  tile.bulk_wait -1 : i64
  tile.return
}

// -----

tile.kernel @stores_keep_the_element_type(%n: !layout.buffer<[4], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %s = tile.alloc : !tile.smem<64xbf16>
  // expected-error @below {{stores bf16 into}}
  tile.bulk_store %s, %n[%c] {bytes = 16 : i64} : !tile.smem<64xbf16> -> !layout.buffer<[4], f32>[i32]
  tile.return
}

// -----

// expected-error @below {{has an extent outside 1..256}}
tile.kernel @boxes_are_small(%x: !layout.buffer<["T", 256], bf16>, %m: !tile.tmap<257x64xbf16>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], maps = [#layout.tensor_map<buffer = 0, box = [257, 64]>], sizes = ["T"], warps = 1 : i32} {
  tile.return
}

// -----

// expected-error @below {{the 128-byte swizzle has rows of 128 bytes; take 64 columns}}
tile.kernel @rows_are_panels(%x: !layout.buffer<["T", 256], bf16>, %m: !tile.tmap<16x128xbf16, swizzle = 128>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], maps = [#layout.tensor_map<buffer = 0, box = [16, 128], swizzle = 128>], sizes = ["T"], warps = 1 : i32} {
  tile.return
}

// -----

// expected-error @below {{rows of 8 bytes; the innermost extent of a box is a multiple of 16 bytes}}
tile.kernel @rows_come_in_sixteens(%x: !layout.buffer<["T", 256], bf16>, %m: !tile.tmap<16x4xbf16>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], maps = [#layout.tensor_map<buffer = 0, box = [16, 4]>], sizes = ["T"], warps = 1 : i32} {
  tile.return
}

// -----

// expected-error @below {{is a !tile.tmap<16x64xbf16>, not !tile.tmap<8x64xbf16>}}
tile.kernel @maps_have_their_type(%x: !layout.buffer<["T", 256], bf16>, %m: !tile.tmap<8x64xbf16>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], maps = [#layout.tensor_map<buffer = 0, box = [16, 64]>], sizes = ["T"], warps = 1 : i32} {
  tile.return
}

// -----

// expected-error @below {{tensor map 0 is of buffer 1, there are 1}}
tile.kernel @maps_are_of_buffers(%x: !layout.buffer<["T", 256], bf16>, %m: !tile.tmap<8x64xbf16>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], maps = [#layout.tensor_map<buffer = 1, box = [8, 64]>], sizes = ["T"], warps = 1 : i32} {
  tile.return
}

// -----

tile.kernel @boxes_lie_as_their_swizzle_says(%x: !layout.buffer<["T", 256], bf16>, %m: !tile.tmap<16x64xbf16, swizzle = 128>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], maps = [#layout.tensor_map<buffer = 0, box = [16, 64], swizzle = 128>], sizes = ["T"], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %s = tile.alloc : !tile.smem<16x64xbf16>
  %b = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<1>
  // expected-error @below {{elements do not lie where a box of [16, 64] with a 128-byte swizzle puts them}}
  tile.tma_copy %m[%c, %c], %s, %b[%c] : !tile.tmap<16x64xbf16, swizzle = 128> -> !tile.smem<16x64xbf16>, !tile.mbarriers<1>
  tile.return
}

// -----

tile.kernel @boxes_fit(%x: !layout.buffer<["T", 256], bf16>, %m: !tile.tmap<16x64xbf16>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], maps = [#layout.tensor_map<buffer = 0, box = [16, 64]>], sizes = ["T"], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %s = tile.alloc : !tile.smem<8x64xbf16>
  // expected-error @below {{hold 512 of its elements, the box has 1024}}
  tile.tma_store %s, %m[%c, %c] : !tile.smem<8x64xbf16> -> !tile.tmap<16x64xbf16>
  tile.return
}

// -----

tile.kernel @boxes_begin_at_patterns(%x: !layout.buffer<["T", 256], bf16>, %m: !tile.tmap<8x64xbf16, swizzle = 128>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], maps = [#layout.tensor_map<buffer = 0, box = [8, 64], swizzle = 128>], sizes = ["T"], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %r = tile.ring {copies = 1 : i32, consumers = 1 : i32} : !tile.ring<2, 16x64xbf16, #layout.mem<[[16, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // expected-error @below {{byte 128 is no multiple of 1024}}
  tile.tma_load %m[%c, %c], %r[%c] {at = 128 : i64} : !tile.tmap<8x64xbf16, swizzle = 128> -> !tile.ring<2, 16x64xbf16, #layout.mem<[[16, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  tile.return
}

// -----

// expected-error @below {{clusters of 9 CTAs}}
tile.kernel @clusters_are_small() attributes {cluster = 9 : i32, effects = [], grid = ["9", "1", "1"], sizes = [], warps = 1 : i32} {
  tile.return
}

// -----

tile.kernel @peers_have_memory() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  // expected-error @below {{a peer's memory is the same}}
  %0 = tile.peer %c at %c : i32 -> i32
  tile.return
}

// -----

tile.kernel @parts_are_f32() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %0 = tile.full 1.0 : bf16 : !tile.frag<32xbf16, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  // expected-error @below {{partial sums are f32, not bf16}}
  %1 = tile.split_reduce %0 {scope = "cluster"} : !tile.frag<32xbf16, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>> -> !tile.frag<32xbf16, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.return
}

// -----

tile.kernel @scopes() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %0 = tile.full 1.0 : f32 : !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  // expected-error @below {{scope 'grid' is none of cta, cluster}}
  %1 = tile.split_reduce %0 {scope = "grid"} : !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>> -> !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.return
}
// -----

// expected-error @below {{tile.store writes to a buffer whose effect is r}}
tile.kernel @effects_are_kept(%x: !layout.buffer<[32], f32>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %0 = tile.full 0.0 : f32 : !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.store %0, %x[%c] : !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>> -> !layout.buffer<[32], f32>
  tile.return
}

// -----

tile.kernel @consumers_are_warps() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  // expected-error @below {{2 consumer warps of a kernel of 1}}
  %0 = tile.ring {copies = 1 : i32, consumers = 2 : i32} : !tile.ring<2, 512xbf16>
  tile.return
}

// -----

// expected-error @below {{a ring has at least one stage, not 0}}
func.func private @stages(!tile.ring<0, 512xbf16>)

// -----

tile.kernel @is_thread(%T: i32) attributes {effects = [], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  // expected-error @below {{thread -1; a CTA has threads 0 to 1023}}
  %0 = tile.is_thread {id = -1 : i32}
  tile.return
}

// -----

tile.kernel @stage(%T: i32) attributes {effects = [], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 0 : i32
  %1 = tile.alloc : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // expected-error @below {{a stage of !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> is !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>}}
  %2 = tile.stage %1[%0] : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.smem<64x64xf32, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  tile.return
}

// -----

tile.kernel @view(%T: i32) attributes {effects = [], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = tile.alloc : !tile.smem<64xf32>
  // expected-error @below {{the view ends at byte 257 of 256}}
  %1 = tile.view %0 at 129 : i64 : !tile.smem<64xf32> -> !tile.smem<32xf32>
  tile.return
}

// -----

tile.kernel @load_scalar(%b2: !layout.buffer<["T"], i32>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 0 : i32
  // expected-error @below {{loads f32 from !layout.buffer<["T"], i32>}}
  %1 = tile.load_scalar %b2[%0] : !layout.buffer<["T"], i32> -> f32
  tile.return
}

// -----

tile.kernel @store_scalar(%b0: !layout.buffer<["T", 64], bf16>, %b2: !layout.buffer<["T"], i32>, %T: i32) attributes {effects = ["r", "rw"], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 0 : i32
  %1 = arith.constant 3 : i32
  %2 = arith.constant 1 : i32
  %3 = tile.load_scalar %b2[%0] : !layout.buffer<["T"], i32> -> i32
  %4 = arith.cmpi slt, %3, %1 : i32
  scf.if %4 {
    // expected-error @below {{stores !layout.buffer<["T", 64], bf16> into !layout.buffer<["T"], i32>}}
    tile.store_scalar %b0, %b2[%0] : !layout.buffer<["T", 64], bf16> -> !layout.buffer<["T"], i32>
  }
  tile.return
}

// -----

tile.kernel @atomic_add(%b2: !layout.buffer<["T"], i32>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 0 : i32
  %1 = arith.constant 1 : i32
  // expected-error @below {{adds i32 to !layout.buffer<["T"], i32>}}
  %2 = tile.atomic_add %1, %b2[%0] : !layout.buffer<["T"], i32>, i32 -> f32
  tile.return
}

// -----

tile.kernel @cp_async(%b1: !layout.buffer<["T", 64], f32>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 64 : i32
  %1 = arith.constant 0 : i32
  %2, %3, %4 = tile.task
  %5 = arith.muli %2, %0 : i32
  %6 = tile.alloc : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %7 = tile.stage %6[%1] : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // expected-error @below {{copies f32 into !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>}}
  tile.cp_async %b1[%5, %1], %7[%1, %1] {tv = #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>, checked = [true, false]} : !layout.buffer<["T", 64], f32> -> !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  tile.return
}

// -----

tile.kernel @cp_async_wait(%T: i32) attributes {effects = [], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  // expected-error @below {{-1 groups can't be open; it takes 0 or more}}
  tile.cp_async_wait -1 : i64
  tile.return
}

// -----

tile.kernel @iota(%T: i32) attributes {effects = [], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  // expected-error @below {{coordinates are i32}}
  %0 = tile.iota 1 : i64 : !tile.frag<1x64xf32, #layout.tv<shape = [1, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [0, 0]]], warp = [[4, [0, 0]]]>>
  tile.return
}

// -----

tile.kernel @mma(%b0: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 64 : i32
  %1 = arith.constant 0 : i32
  %2 = tile.alloc : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %3 = tile.stage %2[%1] : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %4 = tile.load %3[%1, %1] : !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %5 = tile.load %b0[%1, %1] bounds(%T) {checked = [true, false], cache = "nc"} : !layout.buffer<["T", 64], bf16> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]], [8, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [0, 0]]]>>
  %6 = tile.full 0.000000e+00 : f32 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %7 = scf.for %8 = %1 to %T step %0 iter_args(%9 = %6) -> (!tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>) : i32 {
    // expected-error @below {{the result is !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, the accumulator !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>}}
    %10 = tile.mma %4, %5, %9 "m16n8k16" : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]], [8, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [0, 0]]]>>, !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
    scf.yield %10 : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  }
  tile.return
}

// -----

tile.kernel @slice(%T: i32) attributes {effects = [], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = tile.full 1.000000e+00 : f32 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // expected-error @below {{the slice is !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, not !tile.frag<64x8xbf16, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>}}
  %1 = tile.slice %0 {axis = 1 : i64, start = 0 : i64, size = 8 : i64} : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x8xbf16, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  tile.return
}

// -----

tile.kernel @concat(%b0: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 64 : i32
  %1 = arith.constant 0 : i32
  %2 = tile.alloc : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %3 = tile.stage %2[%1] : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %4 = tile.load %3[%1, %1] : !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %5 = tile.load %b0[%1, %1] bounds(%T) {checked = [true, false], cache = "nc"} : !layout.buffer<["T", 64], bf16> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]], [8, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [0, 0]]]>>
  %6 = tile.full 0.000000e+00 : f32 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %7 = scf.for %8 = %1 to %T step %0 iter_args(%9 = %6) -> (!tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>) : i32 {
    %10 = tile.mma %4, %5, %9 "m16n8k16" : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]], [8, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [0, 0]]]>>, !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
    scf.yield %10 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  }
  %11 = tile.reduce %7 "max" over 1 : i64 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x1xf32, #layout.tv<shape = [64, 1], reg = [[2, [8, 0]]], lane = [[4, [0, 0]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %12 = tile.map %7, %11 : (!tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.frag<64x1xf32, #layout.tv<shape = [64, 1], reg = [[2, [8, 0]]], lane = [[4, [0, 0]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>) -> !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> {
  ^bb0(%13: f32, %14: f32):
    %15 = arith.subf %13, %14 : f32
    %16 = math.exp2 %15 : f32
    tile.yield %16 : f32
  }
  // expected-error @below {{the result is !tile.frag<64x128xf32, #layout.tv<shape = [64, 128], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]], [2, [0, 64]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, not !tile.frag<64x128xbf16, #layout.tv<shape = [64, 128], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]], [2, [0, 64]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>}}
  %17 = tile.concat %12, %12 {axis = 1 : i64} : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x128xbf16, #layout.tv<shape = [64, 128], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]], [2, [0, 64]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  tile.return
}

// -----

tile.kernel @broadcast(%T: i32) attributes {effects = [], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = tile.full 1.000000e+00 : f32 : !tile.frag<16x64xf32, #layout.tv<shape = [16, 64], reg = [[8, [0, 1]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  %1 = tile.reduce %0 "add" over 1 : i64 : !tile.frag<16x64xf32, #layout.tv<shape = [16, 64], reg = [[8, [0, 1]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>> -> !tile.frag<16x1xf32, #layout.tv<shape = [16, 1], reg = [], lane = [[8, [0, 0]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  // expected-error @below {{broadcast keeps the elements' type, f32}}
  %2 = tile.broadcast %1 : !tile.frag<16x1xf32, #layout.tv<shape = [16, 1], reg = [], lane = [[8, [0, 0]], [4, [1, 0]]], warp = [[4, [4, 0]]]>> -> !tile.frag<16x64xbf16, #layout.tv<shape = [16, 64], reg = [[8, [0, 1]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  tile.return
}

// -----

tile.kernel @splat(%b2: !layout.buffer<["T"], i32>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 0 : i32
  %1 = tile.load_scalar %b2[%0] : !layout.buffer<["T"], i32> -> i32
  // expected-error @below {{a scalar of i32 in !tile.frag<1xf32, #layout.tv<shape = [1], reg = [], lane = [[32, [0]]], warp = [[4, [0]]]>>}}
  %2 = tile.splat %1 : i32 -> !tile.frag<1xf32, #layout.tv<shape = [1], reg = [], lane = [[32, [0]]], warp = [[4, [0]]]>>
  tile.return
}

// -----

tile.kernel @extract(%b2: !layout.buffer<["T"], i32>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 0 : i32
  %1 = tile.load_scalar %b2[%0] : !layout.buffer<["T"], i32> -> i32
  %2 = tile.splat %1 : i32 -> !tile.frag<1xi32, #layout.tv<shape = [1], reg = [], lane = [[32, [0]]], warp = [[4, [0]]]>>
  // expected-error @below {{extracts f32 from !tile.frag<1xi32, #layout.tv<shape = [1], reg = [], lane = [[32, [0]]], warp = [[4, [0]]]>>}}
  %3 = tile.extract %2 at [0] : !tile.frag<1xi32, #layout.tv<shape = [1], reg = [], lane = [[32, [0]]], warp = [[4, [0]]]>> -> f32
  tile.return
}

// -----

tile.kernel @ring_acquire() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 3 : i32} {
  %0 = arith.constant 0 : i32
  %1 = arith.constant 8 : i32
  %2 = arith.constant 1 : i32
  %3 = tile.ring {copies = 1 : i32, consumers = 2 : i32} : !tile.ring<4, 512xbf16>
  tile.roles warps [1, 2] {
    scf.for %4 = %0 to %1 step %2 : i32 {
      // expected-error @below {{a stage of the ring is !tile.smem<512xbf16>}}
      %5 = tile.ring_acquire %3[%4] : !tile.ring<4, 512xbf16> -> !tile.smem<512xf32>
    }
    tile.yield
  }, {
    tile.yield
  }
  tile.return
}

// -----

tile.kernel @ring_wait() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 3 : i32} {
  %0 = arith.constant 0 : i32
  %1 = arith.constant 8 : i32
  %2 = arith.constant 1 : i32
  %3 = tile.ring {copies = 1 : i32, consumers = 2 : i32} : !tile.ring<4, 512xbf16>
  tile.roles warps [1, 2] {
    tile.yield
  }, {
    scf.for %4 = %0 to %1 step %2 : i32 {
      // expected-error @below {{a stage of the ring is !tile.smem<512xbf16>}}
      %5 = tile.ring_wait %3[%4] : !tile.ring<4, 512xbf16> -> !tile.smem<512xf32>
    }
    tile.yield
  }
  tile.return
}

// -----

tile.kernel @bulk_load(%b0: !layout.buffer<[4096], bf16>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 3 : i32} {
  %0 = arith.constant 512 : i32
  %1 = arith.constant 0 : i32
  %2 = arith.constant 8 : i32
  %3 = arith.constant 1 : i32
  %4 = tile.ring {copies = 1 : i32, consumers = 2 : i32} : !tile.ring<4, 512xbf16>
  tile.roles warps [1, 2] {
    scf.for %5 = %1 to %2 step %3 : i32 {
      %6 = arith.muli %5, %0 : i32
      // expected-error @below {{-1 bytes at 0: bulk copies take multiples of 16}}
      tile.bulk_load %b0[%6], %4[%5] {bytes = -1 : i64} : !layout.buffer<[4096], bf16>[i32] -> !tile.ring<4, 512xbf16>
    }
    tile.yield
  }, {
    tile.yield
  }
  tile.return
}

// -----

tile.kernel @wgmma() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 4 : i32} {
  %0 = tile.full 0.000000e+00 : f32 : !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %1 = tile.alloc : !tile.smem<8x64xbf16, #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %2 = tile.wgmma_begin %0 : !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %3 = tile.full 0.000000e+00 : bf16 : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // expected-error @below {{the result is !tile.inflight<64x8xbf16, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, the accumulator !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>}}
  %4 = tile.wgmma %3, %1, %2 : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.smem<8x64xbf16, #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>>, !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xbf16, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  tile.return
}

// -----

tile.kernel @store(%b0: !layout.buffer<["T", 64], bf16>, %b1: !layout.buffer<["T", 64], f32>, %b2: !layout.buffer<["T"], i32>, %T: i32) attributes {effects = ["r", "rw", "rw"], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 64 : i32
  %1 = arith.constant 0 : i32
  %2, %3, %4 = tile.task
  %5 = arith.muli %2, %0 : i32
  %6 = tile.load %b2[%5] {checked = [true]} : !layout.buffer<["T"], i32> -> !tile.frag<64xi32, #layout.tv<shape = [64], reg = [[4, [16]]], lane = [[8, [0]], [4, [1]]], warp = [[4, [4]]]>>
  %7 = tile.relabel %6 : !tile.frag<64xi32, #layout.tv<shape = [64], reg = [[4, [16]]], lane = [[8, [0]], [4, [1]]], warp = [[4, [4]]]>> -> !tile.frag<64x1xi32, #layout.tv<shape = [64, 1], reg = [[4, [16, 0]]], lane = [[8, [0, 0]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  %8 = tile.load %b0[%1, %1] gather(%7 : !tile.frag<64x1xi32, #layout.tv<shape = [64, 1], reg = [[4, [16, 0]]], lane = [[8, [0, 0]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>) {gather_dims = array<i64: 0>} : !layout.buffer<["T", 64], bf16> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  %9 = tile.map %8 : (!tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>) -> !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>> {
  ^bb0(%10: bf16):
    %11 = arith.extf %10 : bf16 to f32
    tile.yield %11 : f32
  }
  // expected-error @below {{a tile of shape [64] for a memory of rank 2; relabel to change rank}}
  tile.store %6, %b1[%5, %1] {checked = [true, false]} : !tile.frag<64xi32, #layout.tv<shape = [64], reg = [[4, [16]]], lane = [[8, [0]], [4, [1]]], warp = [[4, [4]]]>> -> !layout.buffer<["T", 64], f32>
  tile.return
}

// -----

tile.kernel @relayout(%b0: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  %0 = arith.constant 64 : i32
  %1 = arith.constant 0 : i32
  %2 = tile.alloc : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %3 = tile.stage %2[%1] : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %4 = tile.load %3[%1, %1] : !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %5 = tile.load %b0[%1, %1] bounds(%T) {checked = [true, false], cache = "nc"} : !layout.buffer<["T", 64], bf16> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]], [8, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [0, 0]]]>>
  %6 = tile.full 0.000000e+00 : f32 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %7 = scf.for %8 = %1 to %T step %0 iter_args(%9 = %6) -> (!tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>) : i32 {
    %10 = tile.mma %4, %5, %9 "m16n8k16" : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]], [8, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [0, 0]]]>>, !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
    scf.yield %10 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  }
  %11 = tile.reduce %7 "max" over 1 : i64 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x1xf32, #layout.tv<shape = [64, 1], reg = [[2, [8, 0]]], lane = [[4, [0, 0]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %12 = tile.map %7, %11 : (!tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.frag<64x1xf32, #layout.tv<shape = [64, 1], reg = [[2, [8, 0]]], lane = [[4, [0, 0]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>) -> !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> {
  ^bb0(%13: f32, %14: f32):
    %15 = arith.subf %13, %14 : f32
    %16 = math.exp2 %15 : f32
    tile.yield %16 : f32
  }
  // expected-error @below {{relayout of !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> gives !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[4, [0, 1]], [8, [8, 0]]], lane = [[16, [0, 4]], [2, [1, 0]]], warp = [[4, [2, 0]]]>>: shape and elements stay}}
  %17 = tile.relayout %12 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[4, [0, 1]], [8, [8, 0]]], lane = [[16, [0, 4]], [2, [1, 0]]], warp = [[4, [2, 0]]]>>
  tile.return
}

// -----

tile.kernel @full(%T: i32) attributes {effects = [], grid = ["1", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  // expected-error @below {{a value of f32 in !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>}}
  %0 = tile.full 0.000000e+00 : f32 : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  tile.return
}

// -----

tile.kernel @wgmma_of_shared_memory() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 4 : i32} {
  %0 = tile.full 0.000000e+00 : f32 : !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %1 = tile.alloc : !tile.smem<8x64xbf16, #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %2 = tile.alloc : !tile.smem<64x64xbf16>
  // expected-error @below {{wgmma: a: swizzle None; descriptors have [3, 3, 3], [2, 3, 3], [1, 3, 3]}}
  %3 = tile.wgmma %2, %1, %0 : !tile.smem<64x64xbf16>, !tile.smem<8x64xbf16, #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>>, !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  tile.return
}

// -----

tile.kernel @wgmma_wait() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 4 : i32} {
  %0 = tile.full 0.000000e+00 : f32 : !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %1 = tile.alloc : !tile.smem<8x64xbf16, #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %2 = tile.wgmma_begin %0 : !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %3 = tile.full 0.000000e+00 : bf16 : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %4 = tile.wgmma %3, %1, %2 : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.smem<8x64xbf16, #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>>, !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // expected-error @below {{waiting for !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> with 1 groups pending does not give !tile.inflight<64x8xbf16, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>}}
  %5 = tile.wgmma_wait %4 {pending = 1 : i64} : !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xbf16, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  tile.return
}

// -----

tile.kernel @unpack() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %0 = tile.full 0.0 : f32 : !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  // expected-error @below {{unpacks 8-bit integers, not f32}}
  %1 = tile.unpack %0 : !tile.frag<32xf32, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>> -> !tile.frag<32xbf16, #layout.tv<shape = [32], reg = [], lane = [[32, [1]]], warp = []>>
  tile.return
}

// -----

// expected-error @below {{a grid has at least one CTA along each axis, not 0}}
tile.kernel @an_empty_grid() attributes {effects = [], grid = ["0", "1", "1"], sizes = [], warps = 1 : i32} {
  tile.return
}

// -----

// expected-error @below {{'ceildiv(T, 0)' divides by zero}}
tile.kernel @a_grid_by_zero(%T: i32) attributes {effects = [], grid = ["ceildiv(T, 0)", "1", "1"], sizes = ["T"], warps = 1 : i32} {
  tile.return
}

// -----

// expected-error @below {{'ceildiv(T)' is no size expression}}
tile.kernel @a_grid_of_half_a_quotient(%T: i32) attributes {effects = [], grid = ["ceildiv(T)", "1", "1"], sizes = ["T"], warps = 1 : i32} {
  tile.return
}

// -----

// expected-error @below {{the grid uses the sizes ['B'], which are none of ['T']}}
tile.kernel @a_grid_of_other_sizes(%T: i32) attributes {effects = [], grid = ["B", "1", "1"], sizes = ["T"], warps = 1 : i32} {
  tile.return
}
