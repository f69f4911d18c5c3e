// RUN: %llmc-opt %s --pass-pipeline assign-registers | filecheck %s
// RUN: %llmc-opt %s --pass-pipeline assign-registers | %llmc-opt | filecheck %s

// The back edge of a conditional branch gets a block for its moves; `else` values are moved in front.

ptx.kernel @count {params = {n = "u32", x = "u64"}, reqntid = 32 : i32} {
  %n = ptx.ld param.u32 [@n] : !ptx.reg<b32>
  %x = ptx.ld param.u64 [@x] : !ptx.reg<b64>
  ptx.bra ^bb1(%n)
^bb1(%i: !ptx.reg<b32>):
  %j = ptx.add s32 %i, -1 : !ptx.reg<b32>
  %p = ptx.setp gt.s32 %j, 0 : !ptx.reg<pred>
  %v = ptx.ld global.b32 [%x] if %p else %j : !ptx.reg<b32>
  ptx.st global.b32 [%x - 4], %v
  ptx.cbra %p, ^bb1(%j), ^bb2
^bb2:
  ptx.ret
}

// CHECK:      ptx.kernel @count
// CHECK-NEXT:   %{{.*}} = ptx.ld param.u32 [@n] : !ptx.reg<b32, "%r1">
// CHECK-NEXT:   %{{.*}} = ptx.ld param.u64 [@x] : !ptx.reg<b64, "%rd0">
// CHECK-NEXT:   %{{.*}} = ptx.mov b32 %{{.*}} : !ptx.reg<b32, "%r0">
// CHECK-NEXT:   ptx.bra ^bb1(%{{.*}})
// CHECK-NEXT: ^bb1(%{{.*}}: !ptx.reg<b32, "%r0">):
// CHECK-NEXT:   %{{.*}} = ptx.add s32 %{{.*}}, -1 : !ptx.reg<b32, "%r2">
// CHECK-NEXT:   %{{.*}} = ptx.setp gt.s32 %{{.*}}, 0 : !ptx.reg<pred, "%p0">
// CHECK-NEXT:   %{{.*}} = ptx.mov b32 %{{.*}} : !ptx.reg<b32, "%r3">
// CHECK-NEXT:   %{{.*}} = ptx.ld global.b32 [%{{.*}}] if %{{.*}} else %{{.*}} : !ptx.reg<b32, "%r3">
// CHECK-NEXT:   ptx.st global.b32 [%{{.*}} - 4], %{{.*}}
// CHECK-NEXT:   ptx.cbra %{{.*}}, ^bb2, ^bb3
// CHECK-NEXT: ^bb2:
// CHECK-NEXT:   %{{.*}} = ptx.mov b32 %{{.*}} : !ptx.reg<b32, "%r0">
// CHECK-NEXT:   ptx.bra ^bb1(%{{.*}})
// CHECK-NEXT: ^bb3:
// CHECK-NEXT:   ptx.ret
