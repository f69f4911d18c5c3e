// RUN: %llmc-opt %s --pass-pipeline allocate-shared | filecheck %s

// Every allocation gets its offset; those of one alias group, which are never live at once, share bytes.

tile.kernel @k() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %0 = tile.alloc : !tile.smem<64x64xbf16>
  %1 = tile.alloc {alias = "a"} : !tile.smem<1024xf32>
  %2 = tile.alloc {alias = "a"} : !tile.smem<2048xf32>
  %3 = tile.mbarrier_init {count = 2 : i32} : !tile.mbarriers<4>
  tile.return
}

// CHECK:      tile.kernel @k() attributes {{.*}}smem_bytes = 16416
// CHECK-NEXT: tile.alloc {offset = [[first:[0-9]+]] : i64} : !tile.smem<64x64xbf16>
// CHECK-NEXT: tile.alloc {alias = "a", offset = [[both:[0-9]+]] : i64} : !tile.smem<1024xf32>
// CHECK-NEXT: tile.alloc {alias = "a", offset = [[both]] : i64} : !tile.smem<2048xf32>
// CHECK-NEXT: tile.mbarrier_init {count = 2 : i32, offset = 16384 : i64} : !tile.mbarriers<4>
