// RUN: %llmc-opt %s --pass-pipeline select-access | filecheck %s

// A thread that holds two elements side by side moves them at once; one whose elements lie 32 apart can't.

#a = #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>
#b = #layout.tv<shape = [64], reg = [[2, [32]]], lane = [[32, [1]]], warp = []>
tile.kernel @k(%x: !layout.buffer<[64], f32>, %y: !layout.buffer<[64], f32>) attributes {effects = ["r", "w"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %0 = tile.load %x[%c] : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #a>
  %1 = tile.load %x[%c] : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #b>
  tile.store %0, %y[%c] : !tile.frag<64xf32, #a> -> !layout.buffer<[64], f32>
  tile.return
}

// CHECK:      tile.load %x[%c] {access = "8"}
// CHECK-NEXT: tile.load %x[%c] {access = "4"}
// CHECK-NEXT: tile.store %0, %y[%c] {access = "8"}
