// RUN: %llmc-opt %s --pass-pipeline 'tile-to-ptx' --split-input-file --verify-diagnostics | filecheck %s

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

// -----

// Dependencies: of grids, and by a counter that one thread polls and adds to.

builtin.module attributes {llmc.target = "sm_90a"} {
tile.kernel @depends(%n: !layout.buffer<[4], i32>) attributes {effects = ["rw"], grid = ["1", "1", "1"], sizes = [], warps = 2 : i32} {
  %c = arith.constant 3 : i32
  tile.await "x" {by = "grid"}
  tile.await "y" on %n[%c] until %c {by = "counter"} : !layout.buffer<[4], i32>
  tile.publish "y" on %n[%c] {by = "counter"} : !layout.buffer<[4], i32>
  tile.publish "x" {by = "grid"}
  tile.await "z"
  tile.return
}
}

// CHECK-LABEL: ptx.kernel @depends
// CHECK:       ptx.griddepcontrol wait
// CHECK:       [[first:%.*]] = ptx.setp eq.s32
// CHECK:       ptx.cbra [[first]], ^[[poll:.*]], ^[[done:.*]]
// CHECK:     ^[[poll]]:
// CHECK-NEXT:  [[value:%.*]] = ptx.ld acquire.gpu.global.b32 [%{{.*}} + 12]
// CHECK-NEXT:  [[reached:%.*]] = ptx.setp ge.u32 [[value]], 3
// CHECK-NEXT:  ptx.cbra [[reached]], ^[[done]], ^[[poll]]
// CHECK:     ^[[done]]:
// CHECK-NEXT:  ptx.bar sync 0
// CHECK-NEXT:  ptx.bar sync 0
// CHECK-NEXT:  ptx.fence acq_rel.gpu if [[first]]
// CHECK-NEXT:  ptx.red release.gpu.global.add.u32 [%{{.*}} + 12], 1 if [[first]]
// CHECK-NEXT:  ptx.griddepcontrol launch_dependents
// CHECK-NEXT:  ptx.ret

// -----

builtin.module attributes {llmc.target = "sm_90a"} {
tile.kernel @rings_are_expanded_before() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  // expected-error @below {{the PTX lowering does not support 'tile.ring'}}
  %r = tile.ring {copies = 1 : i32, consumers = 1 : i32} : !tile.ring<2, 512xbf16>
  tile.return
}
}
