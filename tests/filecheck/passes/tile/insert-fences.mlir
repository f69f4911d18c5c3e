// RUN: %llmc-opt %s --pass-pipeline insert-fences --split-input-file | filecheck %s

// What one thread has stored, another loads: all have to wait in between. The second load needs no barrier of its own.

#a = #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>
#b = #layout.tv<shape = [64], reg = [[2, [32]]], lane = [[32, [1]]], warp = []>
tile.kernel @k(%x: !layout.buffer<[64], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %s = tile.alloc : !tile.smem<64xf32>
  %0 = tile.load %x[%c] : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #a>
  tile.store %0, %s[%c] : !tile.frag<64xf32, #a> -> !tile.smem<64xf32>
  %1 = tile.load %s[%c] : !tile.smem<64xf32> -> !tile.frag<64xf32, #b>
  %2 = tile.load %s[%c] : !tile.smem<64xf32> -> !tile.frag<64xf32, #b>
  tile.store %1, %x[%c] : !tile.frag<64xf32, #b> -> !layout.buffer<[64], f32>
  tile.return
}

// CHECK:      tile.store %{{.*}}, %s[%c]
// CHECK-NEXT: tile.barrier
// CHECK-NEXT: tile.load %s[%c]
// CHECK-NEXT: tile.load %s[%c]
// CHECK-NEXT: tile.store

// -----

// The store has read what the threads wrote before they write again, and before the kernel ends.

#a = #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>
tile.kernel @stores(%x: !layout.buffer<[64], f32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %s = tile.alloc : !tile.smem<64xf32>
  %0 = tile.load %x[%c] : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #a>
  tile.store %0, %s[%c] : !tile.frag<64xf32, #a> -> !tile.smem<64xf32>
  tile.bulk_store %s, %x[%c] {bytes = 256 : i64} : !tile.smem<64xf32> -> !layout.buffer<[64], f32>[i32]
  tile.bulk_commit
  tile.store %0, %s[%c] : !tile.frag<64xf32, #a> -> !tile.smem<64xf32>
  tile.bulk_store %s, %x[%c] {bytes = 256 : i64} : !tile.smem<64xf32> -> !layout.buffer<[64], f32>[i32]
  tile.return
}

// CHECK-LABEL: tile.kernel @stores
// CHECK:      tile.store
// CHECK-NEXT: tile.barrier
// CHECK-NEXT: tile.bulk_store
// CHECK-NEXT: tile.bulk_commit
// CHECK-NEXT: tile.bulk_wait 0 : i64 {read}
// CHECK-NEXT: tile.barrier
// CHECK-NEXT: tile.store
// CHECK-NEXT: tile.barrier
// CHECK-NEXT: tile.bulk_store
// CHECK-NEXT: tile.bulk_commit
// CHECK-NEXT: tile.bulk_wait 0 : i64 {read}
// CHECK-NEXT: tile.return

// -----

// CTAs that send to each other meet when their barriers are made, and before they end.

tile.kernel @cluster(%x: !layout.buffer<[64], f32>) attributes {cluster = 2 : i32, effects = ["r"], grid = ["2", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %mask = arith.constant 3 : i32
  %s = tile.alloc : !tile.smem<64xf32>
  %b = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<1>
  tile.mbarrier_expect %b[%c] {bytes = 512 : i64} : !tile.mbarriers<1>
  tile.bulk_copy %x[%c], %s, %b[%c] multicast %mask {bytes = 256 : i64} : !layout.buffer<[64], f32>[i32] -> !tile.smem<64xf32>, !tile.mbarriers<1>
  tile.mbarrier_wait %b[%c] parity %c : !tile.mbarriers<1>
  tile.return
}

// CHECK-LABEL: tile.kernel @cluster
// CHECK:      tile.mbarrier_init
// CHECK-NEXT: tile.cluster_barrier
// CHECK-NEXT: tile.mbarrier_expect
// CHECK-NEXT: tile.bulk_copy
// CHECK-NEXT: tile.mbarrier_wait
// CHECK-NEXT: tile.cluster_barrier
// CHECK-NEXT: tile.return
