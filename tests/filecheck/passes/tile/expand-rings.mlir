// RUN: %llmc-opt %s --pass-pipeline expand-rings --split-input-file --verify-diagnostics | filecheck %s

// A ring whose counts are those of its uses stays as it is; one that would hang is refused.

tile.kernel @sound(%x: !layout.buffer<[4096], bf16>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 3 : i32} {
  %0 = arith.constant 0 : i32
  %r = tile.ring {copies = 1 : i32, consumers = 2 : i32} : !tile.ring<4, 512xbf16>
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

// CHECK: tile.ring {copies = 1 : i32, consumers = 2 : i32} : !tile.ring<4, 512xbf16>

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
