// RUN: %llmc-opt %s --pass-pipeline expand-rings --split-input-file --verify-diagnostics | filecheck %s

// A ring becomes stages and two rows of mbarriers. The loads of a stage are expected at once where they follow its acquire.

tile.kernel @stream(%x: !layout.buffer<[4096], bf16>, %n: i32) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = ["n"], warps = 3 : i32} {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %r = tile.ring {copies = 2 : i32, consumers = 2 : i32} : !tile.ring<3, 512xbf16>
  tile.roles warps [1, 2] {
    scf.for %i = %c0 to %n step %c1 : i32 {
      %1 = tile.ring_acquire %r[%i] : !tile.ring<3, 512xbf16> -> !tile.smem<512xbf16>
      tile.bulk_load %x[%c0], %r[%i] {bytes = 512 : i64} : !layout.buffer<[4096], bf16>[i32] -> !tile.ring<3, 512xbf16>
      tile.bulk_load %x[%c1], %r[%i] {bytes = 512 : i64, at = 512 : i64, cache = "evict_first"} : !layout.buffer<[4096], bf16>[i32] -> !tile.ring<3, 512xbf16>
    }
    tile.yield
  }, {
    scf.for %i = %c0 to %n step %c1 : i32 {
      %s = tile.ring_wait %r[%i] : !tile.ring<3, 512xbf16> -> !tile.smem<512xbf16>
      tile.ring_release %r[%i] : !tile.ring<3, 512xbf16>
    }
    tile.yield
  }
  tile.return
}

// CHECK-LABEL: tile.kernel @stream
// CHECK-NOT:   tile.ring
// CHECK:       %[[three:.*]] = arith.constant 3 : i32
// CHECK:       %[[stages:.*]] = tile.alloc : !tile.smem<3x512xbf16>
// CHECK-NEXT:  %[[full:.*]] = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<3>
// CHECK-NEXT:  %[[empty:.*]] = tile.mbarrier_init {count = 2 : i32} : !tile.mbarriers<3>
// CHECK-NEXT:  tile.roles warps [1, 2] {
// CHECK-NEXT:    scf.for %i =
// CHECK-NEXT:      %[[slot:.*]] = arith.remui %i, %[[three]] : i32
// CHECK-NEXT:      %[[lap:.*]] = arith.divui %i, %[[three]] : i32
// CHECK-NEXT:      %[[parity:.*]] = arith.andi %[[lap]], %c1 : i32
// CHECK-NEXT:      %[[other:.*]] = arith.xori %[[parity]], %c1 : i32
// CHECK-NEXT:      tile.mbarrier_wait %[[empty]][%[[slot]]] parity %[[other]]
// CHECK-NEXT:      tile.mbarrier_expect %[[full]][%[[slot]]] {bytes = 1024 : i64}
// CHECK-NEXT:      %[[stage:.*]] = tile.stage %[[stages]][%[[slot]]]
// CHECK-NEXT:      tile.bulk_copy %x[%c0], %[[stage]], %[[full]][%[[slot]]] {bytes = 512 : i64}
// CHECK-NEXT:      tile.bulk_copy %x[%c1], %[[stage]], %[[full]][%[[slot]]] {bytes = 512 : i64, at = 512 : i64, cache = "evict_first"}
// CHECK:         scf.for %i
// CHECK:           tile.mbarrier_wait %[[full]][%{{.*}}] parity %{{.*}}
// CHECK-NEXT:      tile.stage %[[stages]][%{{.*}}]
// CHECK-NEXT:      tile.mbarrier_arrive %[[empty]][%{{.*}}]

// -----

// Loads in a block of their own each expect what they bring.

tile.kernel @elsewhere(%x: !layout.buffer<[4096], bf16>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 3 : i32} {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %r = tile.ring {copies = 4 : i32, consumers = 2 : i32} : !tile.ring<2, 512xbf16>
  tile.roles warps [1, 2] {
    %1 = tile.ring_acquire %r[%c0] : !tile.ring<2, 512xbf16> -> !tile.smem<512xbf16>
    %c4 = arith.constant 4 : i32
    scf.for %i = %c0 to %c4 step %c1 : i32 {
      tile.bulk_load %x[%i], %r[%c0] {bytes = 16 : i64} : !layout.buffer<[4096], bf16>[i32] -> !tile.ring<2, 512xbf16>
    }
    tile.yield
  }, {
    %s = tile.ring_wait %r[%c0] : !tile.ring<2, 512xbf16> -> !tile.smem<512xbf16>
    tile.ring_release %r[%c0] : !tile.ring<2, 512xbf16>
    tile.yield
  }
  tile.return
}

// CHECK-LABEL: tile.kernel @elsewhere
// CHECK:       tile.mbarrier_init {count = 4 : i32}
// CHECK:       scf.for
// CHECK:         tile.mbarrier_expect %{{.*}} {bytes = 16 : i64}
// CHECK:         tile.bulk_copy

// -----

tile.kernel @hangs(%x: !layout.buffer<[4096], bf16>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 3 : i32} {
  %0 = arith.constant 0 : i32
  // expected-error @below {{a ring stage is full after 2 bulk loads, its producer issues 1}}
  %r = tile.ring {copies = 2 : i32, consumers = 2 : i32} : !tile.ring<4, 512xbf16>
  tile.roles warps [1, 2] {
    %1 = tile.ring_acquire %r[%0] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>
    tile.bulk_load %x[%0], %r[%0] {bytes = 1024 : i64} : !layout.buffer<[4096], bf16>[i32] -> !tile.ring<4, 512xbf16>
    tile.yield
  }, {
    %1 = tile.ring_wait %r[%0] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>
    tile.ring_release %r[%0] : !tile.ring<4, 512xbf16>
    tile.yield
  }
  tile.return
}

// -----

// Every second counter of three stages: each comes back to a stage two phases later, which its parity can't tell from none.

tile.kernel @skips(%x: !layout.buffer<[4096], bf16>, %n: i32) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = ["n"], warps = 2 : i32} {
  %c0 = arith.constant 0 : i32
  %c2 = arith.constant 2 : i32
  %r = tile.ring {copies = 1 : i32, consumers = 1 : i32} : !tile.ring<3, 512xbf16>
  tile.roles warps [1, 1] {
    scf.for %i = %c0 to %n step %c2 : i32 {
      // expected-error @below {{a wait goes from counter i to i + 6 of a ring of 3 stages}}
      %s = tile.ring_wait %r[%i] : !tile.ring<3, 512xbf16> -> !tile.smem<512xbf16>
      tile.ring_release %r[%i] : !tile.ring<3, 512xbf16>
    }
    tile.yield
  }, {
    tile.yield
  }
  tile.return
}
