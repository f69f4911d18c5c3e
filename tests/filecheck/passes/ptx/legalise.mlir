// RUN: %llmc-opt %s --pass-pipeline legalise | filecheck %s

// Equal loads of a parameter are one, copies and dead instructions go; volatile registers are read each time.

ptx.kernel @k {params = {x = "u64", n = "u32"}, reqntid = 32 : i32} {
  %x = ptx.ld param.u64 [@x] : !ptx.reg<b64>
  %a = ptx.ld param.u32 [@n] : !ptx.reg<b32>
  %b = ptx.mov b32 %a : !ptx.reg<b32>
  %c = ptx.ld param.u32 [@n] : !ptx.reg<b32>
  %d = ptx.add s32 %c, 1 : !ptx.reg<b32>
  %t = ptx.mov u32 sreg(clock) : !ptx.reg<b32>
  %u = ptx.mov u32 sreg(clock) : !ptx.reg<b32>
  ptx.st global.v4.b32 [%x], {%b, %c, %t, %u}
  ptx.ret
}

// CHECK:      %[[x:.*]] = ptx.ld param.u64 [@x]
// CHECK-NEXT: %[[n:.*]] = ptx.ld param.u32 [@n]
// CHECK-NEXT: %[[t:.*]] = ptx.mov u32 sreg(clock)
// CHECK-NEXT: %[[u:.*]] = ptx.mov u32 sreg(clock)
// CHECK-NEXT: ptx.st global.v4.b32 [%[[x]]], {%[[n]], %[[n]], %[[t]], %[[u]]}
// CHECK-NEXT: ptx.ret
