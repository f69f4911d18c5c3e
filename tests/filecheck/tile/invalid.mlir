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
  %2 = tile.wgmma_wait %1 {pending = 1 : i64} : !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
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
