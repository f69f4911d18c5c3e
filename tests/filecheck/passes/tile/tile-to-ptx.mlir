// RUN: %llmc-opt %s --pass-pipeline 'tile-to-ptx' | filecheck %s

// Buffers become 64-bit parameters, threads work out their addresses once, one op stands for each instruction.

#a = #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>
builtin.module attributes {llmc.target = "sm_80"} {
tile.kernel @k(%x: !layout.buffer<[64], f32>, %y: !layout.buffer<[64], f32>) attributes {effects = ["r", "w"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  %c = arith.constant 0 : i32
  %0 = tile.load %x[%c] {access = "8"} : !layout.buffer<[64], f32> -> !tile.frag<64xf32, #a>
  %1 = tile.map %0 : (!tile.frag<64xf32, #a>) -> !tile.frag<64xf32, #a> {
  ^bb0(%v: f32):
    %2 = arith.mulf %v, %v : f32
    tile.yield %2 : f32
  }
  tile.store %1, %y[%c] {access = "8"} : !tile.frag<64xf32, #a> -> !layout.buffer<[64], f32>
  tile.return
}
}

// CHECK-NOT: tile.
// CHECK:     ptx.kernel @k {params = {p0 = "u64", p1 = "u64"}, reqntid = 32 : i32
// CHECK:     ptx.mov u32 sreg(tid.x)
// CHECK:     ptx.ld param.u64 [@p0]
// CHECK:     ptx.ld global.{{.*}}v2
// CHECK:     ptx.mul {{.*}}f32
// CHECK:     ptx.mul {{.*}}f32
// CHECK:     ptx.st global.{{.*}}v2
// CHECK:     ptx.ret
