// RUN: %llmc-opt %s --pass-pipeline=name-dependencies | filecheck %s
// A kernel that has dependencies already keeps them.

// CHECK: tile.kernel @copy
tile.kernel @copy(%w: !layout.buffer<[64], f32>, %x: !layout.buffer<[64], f32>, %y: !layout.buffer<[64], f32>) attributes {constants = array<i64: 0>, effects = ["r", "r", "w"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  // CHECK-NEXT: tile.await "x" of %x : !layout.buffer<[64], f32>
  // CHECK-NEXT: tile.await "y" of %y : !layout.buffer<[64], f32>
  // CHECK-NEXT: arith.constant
  %0 = arith.constant 0 : i32
  %1 = tile.load_scalar %w[%0] : !layout.buffer<[64], f32> -> f32
  // CHECK: tile.store_scalar
  tile.store_scalar %1, %y[%0] : f32 -> !layout.buffer<[64], f32>
  // CHECK-NEXT: tile.publish "y" of %y : !layout.buffer<[64], f32>
  // CHECK-NEXT: tile.return
  tile.return
}
// CHECK: tile.kernel @has_some
tile.kernel @has_some(%y: !layout.buffer<[64], f32>) attributes {effects = ["w"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  // CHECK-NEXT: tile.await "its own" {by = "grid"}
  tile.await "its own" {by = "grid"}
  // CHECK-NEXT: tile.return
  tile.return
}
